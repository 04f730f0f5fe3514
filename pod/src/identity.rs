//! What the pod is called and what it writes about itself: the registration, the sub-process's variable `ochopod`.

use std::collections::BTreeMap;

use ocho_core::{ClusterName, masking};
use rand::RngExt;
use serde_json::{Map, Value};

use crate::environment::{Environment, Network};
use crate::whereabouts::Whereabouts;

/// A pod's names and addresses, fixed for its life.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Its key: a random UUID.
    pub(crate) key: String,
    /// Its cluster.
    pub(crate) cluster: ClusterName,
    /// What it registers, but for `seq`, which the registry gives. Secrets are masked.
    pub(crate) registration: Map<String, Value>,
    /// The same with secrets, for the sub-process.
    pub(crate) hints: Map<String, Value>,
    /// The port that the control API opens on.
    pub(crate) listen_port: u16,
}

impl Identity {
    /// Puts together what the environment and the surroundings say.
    #[must_use]
    pub(crate) fn new(environment: &Environment, place: &Whereabouts) -> Self {
        let (listen_port, ports) = ports(environment, place.network);
        let text = |value: &str| Value::String(value.to_owned());
        let flag = |value: bool| text(if value { "true" } else { "false" });
        let mut hints = Map::new();
        hints.extend(environment.others.iter().map(|(name, value)| (name.clone(), text(value))));
        hints.extend(
            [
                ("application", text(&environment.application)),
                ("cluster", text(&environment.name)),
                ("namespace", text(&environment.namespace)),
                ("task", text(&environment.task)),
                ("ip", text(&place.ip)),
                ("public", text(&place.public)),
                ("node", text(&place.node)),
                ("port", text(&environment.control_port.to_string())),
                ("ports", ports.into_iter().map(|(port, mapped)| (port, Value::from(mapped))).collect()),
                ("fwk", text(place.framework)),
                ("zk", text(&place.zookeeper.connect_string())),
                ("debug", flag(environment.debug)),
                ("local", flag(environment.local)),
                ("start", flag(environment.start)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Self {
            key: random_uuid(),
            cluster: environment.cluster.clone(),
            registration: masked(&hints),
            hints: with_credentials(hints, place),
            listen_port,
        }
    }

    /// The value of the sub-process's variable `ochopod`: one line of JSON.
    #[must_use]
    pub(crate) fn for_sub_process(&self, dependencies: &[String]) -> String {
        let mut hints = self.hints.clone();
        hints.insert("metrics".to_owned(), Value::Object(Map::new()));
        hints.insert("dependencies".to_owned(), Value::from(dependencies));
        ocho_core::json::to_line(&hints)
    }
}

/// Where the control port opens, and the ports to advertise.
///
/// In the machine's network a control port that nobody mapped is reached under its own number.
fn ports(environment: &Environment, network: Network) -> (u16, BTreeMap<String, u16>) {
    let mut ports = environment.ports.clone();
    let inside = environment.control_port;
    match network {
        Network::Machine => {
            let mapped = *ports.entry(inside.to_string()).or_insert(inside);
            (mapped, ports)
        }
        Network::Container => (inside, ports),
    }
}

fn masked(hints: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Value::Object(hints.clone());
    masking::mask(&mut all);
    match all {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn with_credentials(mut hints: Map<String, Value>, place: &Whereabouts) -> Map<String, Value> {
    if let Some(credentials) = place.zookeeper.credentials() {
        hints.insert("zk".to_owned(), Value::String(format!("{credentials}@{}", place.zookeeper)));
    }
    hints
}

/// A random UUID (version 4).
#[must_use]
pub(crate) fn random_uuid() -> String {
    let mut bytes: [u8; 16] = rand::rng().random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = ocho_core::signature::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::environment::tests::given;

    fn identity(network: Network, more: &[(&str, &str)]) -> Identity {
        let task = [("MARATHON_APP_ID", "/ochopod.lab.web"), ("MESOS_TASK_ID", "t"), ("ochopod_cluster", "web")];
        let environment = Environment::read(&given(&[&task, more].concat())).unwrap();
        let place = Whereabouts {
            ip: "10.0.0.1".to_owned(),
            node: "n".to_owned(),
            public: String::new(),
            zookeeper: "zk://u:secret@z:2181/mesos".parse().unwrap(),
            framework: "marathon",
            network,
        };
        Identity::new(&environment, &place)
    }

    #[test]
    fn registration_has_the_originals_members() {
        let identity = identity(Network::Machine, &[("PORT_8080", "31001"), ("PORT_9000", "32001"), ("ochopod_x", "y")]);
        assert_eq!(
            Value::Object(identity.registration),
            json!({"node": "n", "application": "ochopod.lab.web", "task": "t", "fwk": "marathon", "ip": "10.0.0.1",
                "zk": "z:2181", "namespace": "marathon", "ports": {"8080": 31001, "9000": 32001}, "cluster": "web",
                "start": "true", "port": "8080", "debug": "true", "local": "false", "public": "", "x": "y"})
        );
        assert_eq!(identity.listen_port, 31001);
    }

    #[test]
    fn b32_what_is_mapped_is_advertised() {
        let unmapped = identity(Network::Machine, &[]);
        assert_eq!((unmapped.listen_port, &unmapped.registration["ports"]), (8080, &json!({"8080": 8080})));
        let container = identity(Network::Container, &[("PORT_9000", "31001")]);
        assert_eq!((container.listen_port, &container.registration["ports"]), (8080, &json!({"9000": 31001})));
        let container = identity(Network::Container, &[("PORT_8080", "31001")]);
        assert_eq!((container.listen_port, &container.registration["ports"]), (8080, &json!({"8080": 31001})));
    }

    #[test]
    fn s06_secrets_stay_with_the_sub_process() {
        let identity = identity(Network::Machine, &[("ochopod_github_token", "s3cret")]);
        let published = Value::Object(identity.registration.clone()).to_string();
        assert!(!published.contains("s3cret") && !published.contains("secret@"), "{published}");
        let own: Value = serde_json::from_str(&identity.for_sub_process(&["db".to_owned()])).unwrap();
        assert_eq!((&own["github_token"], &own["zk"]), (&json!("s3cret"), &json!("u:secret@z:2181")));
        assert_eq!((&own["dependencies"], &own["metrics"]), (&json!(["db"]), &json!({})));
    }

    #[test]
    fn uuids_have_their_form() {
        let uuid = random_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!((&uuid[8..9], &uuid[14..15]), ("-", "4"));
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
        assert_ne!(uuid, random_uuid());
    }
}
