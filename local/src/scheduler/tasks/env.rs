//! The environment of a task.

use std::collections::BTreeMap;

use crate::scheduler::model::app::{App, EnvValue};
use crate::scheduler::model::task::Task;

/// Variables of the scheduler's own environment that a task sees, too. Nothing else passes: tokens stay here.
const INHERITED: [&str; 7] = ["PATH", "LANG", "LC_ALL", "TZ", "USER", "SHELL", "TMPDIR"];

/// Labels with longer names, or values, have no variable.
const LABEL_NAME_MAX: usize = 493;
const LABEL_VALUE_MAX: usize = 512;

/// Everything but the scheduler's own environment that the variables come from.
pub(crate) struct Place<'a> {
    pub(crate) host: &'a str,
    /// The registry, `host:port`.
    pub(crate) zookeeper: &'a str,
    pub(crate) sandbox: &'a str,
    /// Whether an image brings its own home and paths.
    pub(crate) in_container: bool,
}

/// The environment of a task: what the application says wins over all else but the task's id, by which its processes are found.
pub(crate) fn of_task(task: &Task, place: &Place<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    if !place.in_container {
        env = inherited();
        env.insert("HOME".into(), place.sandbox.into());
    }
    env.insert("MESOS_SANDBOX".into(), place.sandbox.into());
    env.insert("MESOS_DIRECTORY".into(), place.sandbox.into());
    env.insert("ochopod_zk".into(), format!("zk://{}/", place.zookeeper));
    env.insert("HOST".into(), place.host.into());
    env.extend(of_app(&task.app));
    env.extend(of_ports(&task.app, &task.ports));
    env.extend(own(&task.app));
    env.insert("MESOS_TASK_ID".into(), task.id.clone());
    env
}

fn inherited() -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> =
        INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    env.entry("PATH".into()).or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    env
}

fn own(app: &App) -> impl Iterator<Item = (String, String)> {
    app.spec.env.iter().filter_map(|(name, value)| match value {
        // The kernel knows no such names and values; starting would fail for them.
        EnvValue::Text(text) if fits(name, text) => Some((name.clone(), text.clone())),
        _ => None,
    })
}

fn fits(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

fn of_app(app: &App) -> Vec<(String, String)> {
    let spec = &app.spec;
    let mut env = vec![
        ("MARATHON_APP_ID".to_owned(), app.id.to_string()),
        ("MARATHON_APP_VERSION".to_owned(), app.version.to_string()),
        // `{:?}` writes a fraction also for whole numbers: 16.0.
        ("MARATHON_APP_RESOURCE_CPUS".to_owned(), format!("{:?}", spec.cpus)),
        ("MARATHON_APP_RESOURCE_MEM".to_owned(), format!("{:?}", spec.mem)),
        ("MARATHON_APP_RESOURCE_DISK".to_owned(), format!("{:?}", spec.disk)),
        ("MARATHON_APP_RESOURCE_GPUS".to_owned(), spec.gpus.to_string()),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE".to_owned(), "FALSE".to_owned()),
    ];
    if let Some(image) = spec.docker_image() {
        env.push(("MARATHON_APP_DOCKER_IMAGE".to_owned(), image.to_owned()));
    }
    let labels = spec.labels.iter().filter(|(name, value)| name.len() < LABEL_NAME_MAX && value.len() < LABEL_VALUE_MAX);
    let mut names = Vec::new();
    for (name, value) in labels {
        let name = variable(name);
        env.push((format!("MARATHON_APP_LABEL_{name}"), value.replace('\0', "")));
        names.push(name);
    }
    env.push(("MARATHON_APP_LABELS".to_owned(), names.join(" ")));
    env
}

/// A label's name as part of a variable: runs of other characters become one `_`.
fn variable(label: &str) -> String {
    let mut name = String::new();
    for c in label.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            name.push(c.to_ascii_uppercase());
        } else if !name.ends_with('\u{0}') {
            name.push('\u{0}');
        }
    }
    name.replace('\u{0}', "_")
}

fn of_ports(app: &App, ports: &[u16]) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (nth, (need, port)) in app.ports().iter().zip(ports).enumerate() {
        let value = port.to_string();
        let asked = if need.asked == 0 { *port } else { need.asked };
        if nth == 0 {
            env.push(("PORT".to_owned(), value.clone()));
        }
        env.push((format!("PORT{nth}"), value.clone()));
        env.push((format!("PORT_{asked}"), value.clone()));
        if let Some(name) = &need.name {
            env.push((format!("PORT_{}", name.to_uppercase()), value));
        }
    }
    if !ports.is_empty() {
        env.push(("PORTS".to_owned(), ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
    }
    env
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scheduler::model::app::*;
    use crate::scheduler::model::id::PathId;
    use crate::scheduler::model::task::TaskState;
    use crate::scheduler::model::time::Timestamp;

    fn task(spec: AppSpec, ports: &[u16]) -> Task {
        let app = App { id: PathId::absolute("/product/web"), instances: 1, spec, version: Timestamp(0), version_info: None };
        Task {
            id: "product_web.instance-x._app.1".into(),
            instance: "product_web.instance-x".into(),
            incarnation: 1,
            app: Arc::new(app),
            state: TaskState::Staging,
            ports: ports.to_vec(),
            staged_at: Timestamp(0),
            started_at: None,
            ready: true,
            kill: None,
            health: Vec::new(),
            readiness: None,
        }
    }

    fn env(spec: AppSpec, ports: &[u16]) -> BTreeMap<String, String> {
        of_task(
            &task(spec, ports),
            &Place { host: "127.0.0.1", zookeeper: "127.0.0.1:2181", sandbox: "/box", in_container: false },
        )
    }

    #[test]
    fn ports_of_a_bridge_app() {
        let mapping = |port: u16, name: Option<&str>| PortMapping {
            container_port: port,
            name: name.map(Into::into),
            ..PortMapping::any(Some(0))
        };
        let container = Container {
            kind: ContainerKind::Docker,
            docker: None,
            volumes: Vec::new(),
            port_mappings: Some(vec![mapping(8080, None), mapping(0, Some("admin-x"))]),
        };
        let spec =
            AppSpec { networks: vec![Network::plain(NetworkMode::Bridge)], container: Some(container), ..AppSpec::default() };
        let env = env(spec, &[31_001, 31_002]);
        let ports: Vec<String> =
            env.iter().filter(|(name, _)| name.starts_with("PORT")).map(|(name, value)| format!("{name}={value}")).collect();
        let want = [
            "PORT=31001",
            "PORT0=31001",
            "PORT1=31002",
            "PORTS=31001,31002",
            "PORT_31002=31002",
            "PORT_8080=31001",
            "PORT_ADMIN-X=31002",
        ];
        assert_eq!(ports, want);
    }

    #[test]
    fn the_application_wins() {
        let own =
            [("HOST", "mine"), ("ochopod_zk", "zk://elsewhere"), ("MESOS_TASK_ID", "other"), ("bad=name", "x"), ("nul", "a\0b")];
        let spec = AppSpec {
            env: own.map(|(name, value)| (name.to_owned(), EnvValue::Text(value.into()))).into(),
            labels: [("my.l..abel".to_owned(), "v1".to_owned())].into(),
            ..AppSpec::default()
        };
        let env = env(spec, &[]);
        assert_eq!(env["HOST"], "mine");
        assert_eq!(env["ochopod_zk"], "zk://elsewhere");
        assert_eq!(env["MESOS_TASK_ID"], "product_web.instance-x._app.1", "its processes are found by that");
        assert_eq!(env["MARATHON_APP_LABELS"], "MY_L_ABEL");
        assert_eq!(env["MARATHON_APP_LABEL_MY_L_ABEL"], "v1");
        assert_eq!(env["MARATHON_APP_RESOURCE_MEM"], "128.0");
        assert_eq!(env["MARATHON_APP_ID"], "/product/web");
        assert!(!env.contains_key("bad=name") && !env.contains_key("nul") && !env.contains_key("PORTS"));
    }
}
