//! What a pod writes about itself into the registry: `/ochopod/clusters/<cluster>/pods/<uuid>.<sequence>`.

use serde_json::{Map, Value};

use crate::PodSeq;

/// Folder in ZooKeeper below which every cluster has a folder of its own.
pub const CLUSTERS_PATH: &str = "/ochopod/clusters";

/// A pod's registration. Everything that the pod wrote is kept; the fields are what others act upon.
///
/// Values that come from the pod's environment are texts on the wire (`port` too), `seq` and host ports are numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Its number in the cluster, kept across reconnections (so it may differ from the node's suffix).
    pub seq: PodSeq,
    /// The Marathon app that runs it, without the leading slash.
    pub application: Option<String>,
    /// The Marathon task that runs it.
    pub task: Option<String>,
    /// Where its control port can be reached, if it said so.
    pub control: Option<ControlAddress>,
    /// All of it, as written.
    pub all: Map<String, Value>,
}

/// Host and port of a pod's control API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ControlAddress {
    /// Address or name of the host.
    pub host: String,
    /// Port on that host.
    pub port: u16,
}

/// Why a node is not a registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARegistration {
    /// A pod creates its node first and writes it in a second step.
    #[error("the node is still empty")]
    Empty,
    /// No JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// No number to call it by.
    #[error("`seq` is missing or not a number from 0 to 4294967295")]
    Seq,
}

impl Registration {
    /// Reads a node's content.
    ///
    /// # Errors
    /// Where it is empty, not a JSON object, or without a `seq`.
    pub fn parse(node: &[u8]) -> Result<Self, NotARegistration> {
        if node.is_empty() {
            return Err(NotARegistration::Empty);
        }
        let all: Map<String, Value> = serde_json::from_slice(node).map_err(|cause| NotARegistration::Json(cause.to_string()))?;
        let seq = all.get("seq").and_then(Value::as_u64).and_then(|seq| seq.try_into().ok()).ok_or(NotARegistration::Seq)?;
        let text = |key: &str| all.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self { seq: PodSeq(seq), application: text("application"), task: text("task"), control: control_address(&all), all })
    }
}

/// The control port is named by its number inside the container, a text, and looked up in `ports`.
fn control_address(all: &Map<String, Value>) -> Option<ControlAddress> {
    let host = all.get("ip")?.as_str().filter(|host| !host.is_empty())?;
    let container_port = all.get("port")?.as_str()?;
    let port = all.get("ports")?.get(container_port)?.as_u64()?;
    Some(ControlAddress { host: host.to_owned(), port: u16::try_from(port).ok().filter(|port| *port > 0)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_a_pod_writes() {
        let node = br#"{"node": "n", "application": "ochopod.lab.web-2016", "task": "t", "seq": 4, "ip": "127.0.0.1",
            "ports": {"8080": 31001, "9000": 32001}, "cluster": "web", "port": "8080", "public": ""}"#;
        let pod = Registration::parse(node).unwrap();
        assert_eq!(
            (pod.seq, pod.application.as_deref(), pod.task.as_deref()),
            (PodSeq(4), Some("ochopod.lab.web-2016"), Some("t"))
        );
        assert_eq!(pod.control, Some(ControlAddress { host: "127.0.0.1".to_owned(), port: 31001 }));
        assert_eq!(pod.all["cluster"], "web");
    }

    #[test]
    fn a_control_port_that_cannot_be_reached_is_none() {
        for node in [
            r#"{"seq": 1, "ip": "h", "port": 8080, "ports": {"8080": 1}}"#,
            r#"{"seq": 1, "ip": "h", "port": "8080", "ports": {"80": 1}}"#,
            r#"{"seq": 1, "ip": "", "port": "8080", "ports": {"8080": 1}}"#,
            r#"{"seq": 1, "ip": "h", "port": "8080", "ports": {"8080": 70000}}"#,
            r#"{"seq": 1, "ip": "h", "port": "8080", "ports": {"8080": 0}}"#,
            r#"{"seq": 1}"#,
        ] {
            assert_eq!(Registration::parse(node.as_bytes()).unwrap().control, None, "{node}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let text = |node: &str| Registration::parse(node.as_bytes()).unwrap_err().to_string();
        assert_eq!(text(""), "the node is still empty");
        assert!(text("[1]").starts_with("not a JSON object: "));
        assert!(text("{\"seq\": 1").starts_with("not a JSON object: "));
        for seq in ["-1", "\"1\"", "4294967296", "1.5", "null"] {
            assert_eq!(text(&format!("{{\"seq\": {seq}}}")), "`seq` is missing or not a number from 0 to 4294967295");
        }
        assert!(text(&"[".repeat(100_000)).starts_with("not a JSON object: "));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_not_a_panic(node: Vec<u8>) {
            let _ = Registration::parse(&node);
        }
    }
}
