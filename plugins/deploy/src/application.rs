//! The Marathon app that a definition becomes.

use ocho_sdk::{ClusterName, Map, Value, image, json};

use crate::definition::Definition;
use crate::settings;

/// What the command line adds to a definition.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) namespace: String,
    pub(crate) suffix: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) pods: u32,
    /// Blocks of settings by qualified cluster.
    pub(crate) overrides: Map<String, Value>,
}

/// An app that can be posted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Application {
    /// Without a leading slash, as its pods register it.
    pub(crate) id: String,
    pub(crate) cluster: ClusterName,
    pub(crate) app: Value,
}

/// Makes the app. `moment` makes its id unique: `2026-11-20-19-12-59-3f9a`.
pub(crate) fn build(definition: Definition, request: &Request, moment: &str) -> Result<Application, String> {
    let name = match &request.suffix {
        Some(suffix) => format!("{}-{suffix}", definition.cluster),
        None => definition.cluster.clone(),
    };
    let qualified = format!("{}.{name}", request.namespace);
    let cluster: ClusterName = qualified.parse().map_err(|error| format!("{error}"))?;
    let settings = settings(&definition, request.overrides.get(&qualified))?;
    let id = format!("ochopod.{qualified}-{moment}");
    let generated = generated(&definition, request, &id, &name, &settings);
    let app = settings::merge(Value::Object(definition.verbatim), generated);
    Ok(Application { id, cluster, app })
}

/// The definition's settings with the override over them; nothing in them may be null.
fn settings(definition: &Definition, over: Option<&Value>) -> Result<Value, String> {
    let own = Value::Object(definition.settings.clone());
    let merged = match over {
        Some(over) => settings::merge(own, over.clone()),
        None => own,
    };
    let missing = merged.as_object().map(settings::missing).unwrap_or_default();
    if missing.is_empty() {
        return Ok(merged);
    }
    let lines: String = missing.iter().map(|path| format!("\n\t - {path}")).collect();
    Err(format!("{} setting(s) missing ->{lines}", missing.len()))
}

/// What wins over `verbatim`. The two volumes are where pods look for ZooKeeper's address.
fn generated(definition: &Definition, request: &Request, id: &str, name: &str, settings: &Value) -> Value {
    let image = match &request.release {
        Some(release) => image::with_tag(&definition.image, release),
        None => definition.image.clone(),
    };
    let ports = definition.ports.iter().map(|port| port.to_json()).collect();
    object([
        ("id", text(id)),
        ("instances", request.pods.into()),
        (
            "env",
            object([
                ("ochopod_cluster", text(name)),
                ("ochopod_debug", text(flag(definition.is_debug))),
                ("ochopod_start", text(flag(definition.is_started))),
                ("ochopod_namespace", text(&request.namespace)),
                ("pod", json::to_line(settings).into()),
            ]),
        ),
        (
            "container",
            object([
                ("type", text("DOCKER")),
                (
                    "docker",
                    object([
                        ("forcePullImage", true.into()),
                        ("image", image.into()),
                        ("network", text("BRIDGE")),
                        ("portMappings", Value::Array(ports)),
                    ]),
                ),
                ("volumes", Value::Array(vec![volume("/etc/mesos"), volume("/opt/mesosphere")])),
            ]),
        ),
    ])
}

/// `json!` would do the same and make this component 3 KiB larger.
fn object<const MEMBERS: usize>(members: [(&str, Value); MEMBERS]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn flag(is_set: bool) -> &'static str {
    if is_set { "true" } else { "false" }
}

fn volume(path: &str) -> Value {
    object([("containerPath", text(path)), ("hostPath", text(path)), ("mode", text("RO"))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition;

    fn request() -> Request {
        Request { namespace: "marathon".to_owned(), suffix: None, release: None, pods: 1, overrides: Map::new() }
    }

    fn built(text: &str, request: &Request) -> Result<Application, String> {
        build(definition::read(text).unwrap(), request, "2026-11-20-19-12-59")
    }

    /// The tests against the built programs read the same three files.
    #[test]
    fn the_whole_example() {
        let over = include_str!("../../../tests/fixtures/deploy/over.yml");
        let over = crate::yaml::read(over).unwrap().unwrap().to_json();
        let request = Request {
            namespace: "test".to_owned(),
            release: Some("3.0".to_owned()),
            pods: 2,
            overrides: over.as_object().unwrap().clone(),
            ..request()
        };
        let mut application = built(include_str!("../../../tests/fixtures/deploy/redis.yml"), &request).unwrap();
        assert_eq!(application.cluster.as_str(), "test.redis");
        assert_eq!(application.app["env"]["pod"], r#"{"a": 2, "b": {"c": [1, 2, 3], "d": "x", "e": "hey"}}"#);

        let mut expected: Value =
            ocho_sdk::serde_json::from_str(include_str!("../../../tests/fixtures/deploy/redis.json")).unwrap();
        expected["id"] = json!("ochopod.test.redis-2026-11-20-19-12-59");
        application.app["env"]["pod"] = expected["env"]["pod"].clone();
        assert_eq!(application.app, expected);
    }

    #[test]
    fn nulls_are_told_together() {
        let text = "cluster: c\nimage: i\nsettings: {a: ~, b: {c: ~, d: 1, e: {f: ~}}}\n";
        let message = built(text, &request()).unwrap_err();
        assert_eq!(message, "3 setting(s) missing ->\n\t - pod.a\n\t - pod.b.c\n\t - pod.b.e.f");
        let over = json!({"a": 1, "b": {"c": 2, "e": {"f": 3}}});
        let request = Request { overrides: Map::from_iter([("marathon.c".to_owned(), over)]), ..request() };
        assert!(built(text, &request).is_ok());
    }

    #[test]
    fn a_suffix_is_part_of_the_name() {
        let request = Request { suffix: Some("blue".to_owned()), ..request() };
        let application = built("cluster: c\nimage: i\n", &request).unwrap();
        assert_eq!(application.id, "ochopod.marathon.c-blue-2026-11-20-19-12-59");
        assert_eq!(
            (application.cluster.as_str(), &application.app["env"]["ochopod_cluster"]),
            ("marathon.c-blue", &json!("c-blue"))
        );
    }

    #[test]
    fn names_that_cannot_be_clusters_are_refused() {
        assert!(built("cluster: a b\nimage: i\n", &request()).unwrap_err().starts_with("cluster name `marathon.a b`"));
    }
}
