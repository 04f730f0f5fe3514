//! Who is there: the pods of the own cluster and of its dependencies, and a fingerprint to compare.

use std::collections::{BTreeMap, BTreeSet};

use ocho_core::registration::ControlAddress;
use ocho_core::signature::hex;
use ocho_core::{PodSeq, Registration};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::cluster::Pods;

/// Member that a pod adds to its registration when it dies but stays reachable.
pub(crate) const DEAD_MARK: &str = "dead";

/// What a leader acts upon.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Topology {
    pub(crate) local: LocalPods,
    pub(crate) dependencies: BTreeMap<String, Pods>,
}

/// The pods of the own cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LocalPods {
    /// Those that can be part of the cluster.
    pub(crate) pods: Pods,
    /// Those that say that they are dead.
    pub(crate) dead: BTreeSet<String>,
    /// Nodes that are no registration, with the reason.
    pub(crate) unreadable: BTreeMap<String, String>,
}

impl LocalPods {
    /// Reads the nodes of `/pods`. Where two belong to the same pod, the younger one counts.
    pub(crate) fn read<'a>(nodes: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> Self {
        let mut local = Self::default();
        let mut youngest: BTreeMap<&str, (&str, &String, &Vec<u8>)> = BTreeMap::new();
        for (name, content) in nodes {
            let (key, number) = name.split_once('.').unwrap_or((name, ""));
            let held = youngest.entry(key).or_insert((number, name, content));
            if number > held.0 {
                *held = (number, name, content);
            }
        }
        for (key, (_, name, content)) in youngest {
            match read_pod(content) {
                Ok(pod) if is_dead(&pod) => drop(local.dead.insert(key.to_owned())),
                Ok(pod) => drop(local.pods.insert(key.to_owned(), pod)),
                Err(reason) => drop(local.unreadable.insert(name.clone(), reason)),
            }
        }
        local
    }
}

fn read_pod(content: &[u8]) -> Result<Map<String, Value>, String> {
    let pod = Registration::parse(content).map_err(|cause| cause.to_string())?.all;
    if pod.get("ip").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("`ip` is missing or not a text".to_owned());
    }
    let ports = pod.get("ports").and_then(Value::as_object).ok_or("`ports` is missing or not an object")?;
    match ports.iter().find(|(_, port)| port.as_u64().is_none_or(|port| port == 0 || port > 65_535)) {
        Some((name, port)) => Err(format!("port {name} leads to {port}, which is not a number from 1 to 65535")),
        None => Ok(pod),
    }
}

fn is_dead(pod: &Map<String, Value>) -> bool {
    pod.get(DEAD_MARK) == Some(&Value::Bool(true))
}

/// Where a pod's control API is. A pod that does not name its control port is thought to use the leader's.
pub(crate) fn control_address(pod: &Map<String, Value>, leaders_port: &str) -> Option<ControlAddress> {
    let host = pod.get("ip")?.as_str()?.to_owned();
    let own_port = pod.get("port").and_then(Value::as_str).unwrap_or(leaders_port);
    let port = pod.get("ports")?.get(own_port)?.as_u64()?;
    Some(ControlAddress { host, port: u16::try_from(port).ok()? })
}

/// The pod's number, for messages.
pub(crate) fn number(pod: &Map<String, Value>) -> PodSeq {
    crate::cluster::seq_of(pod).unwrap_or(PodSeq(0))
}

/// 47 characters that stand for the topology: sixteen bytes as hexadecimal pairs, separated by colons.
///
/// It depends on the values alone, not on the order in which they became known.
pub(crate) fn fingerprint(pods: &Pods, dependencies: &BTreeMap<String, Pods>) -> String {
    let sorted = |pods: &Pods| -> Map<String, Value> {
        pods.iter().map(|(key, pod)| (key.clone(), canonical(&Value::Object(pod.clone())))).collect()
    };
    let dependencies: Map<String, Value> =
        dependencies.iter().map(|(name, pods)| (name.clone(), Value::Object(sorted(pods)))).collect();
    let mut digest = Sha256::new();
    digest.update(Value::Object(sorted(pods)).to_string());
    digest.update("\n");
    digest.update(Value::Object(dependencies).to_string());
    let pairs: Vec<String> = digest.finalize()[..16].iter().map(|byte| hex(&[*byte])).collect();
    pairs.join(":")
}

/// The same value with the members of its objects sorted by name.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            sorted.into_iter().map(|(name, member)| (name.clone(), canonical(member))).collect()
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(nodes: &[(&str, &str)]) -> LocalPods {
        let nodes: Vec<(String, Vec<u8>)> =
            nodes.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect();
        LocalPods::read(nodes.iter().map(|(name, content)| (name, content)))
    }

    const GOOD: &str = r#"{"seq": 1, "ip": "h", "port": "8080", "ports": {"8080": 31000}}"#;

    #[test]
    fn b07_one_bad_registration_is_skipped() {
        let local = read(&[
            ("a.0000000001", GOOD),
            ("b.0000000002", ""),
            ("c.0000000003", "[]"),
            ("d.0000000004", r#"{"seq": 4, "ports": {}}"#),
            ("e.0000000005", r#"{"seq": 5, "ip": "h"}"#),
            ("f.0000000006", r#"{"seq": 6, "ip": "h", "ports": {"8080": "32101"}}"#),
            ("no-dot", "x"),
        ]);
        assert_eq!(local.pods.keys().collect::<Vec<_>>(), ["a"]);
        let reasons: Vec<&str> = local.unreadable.values().map(String::as_str).collect();
        assert_eq!(reasons[0], "the node is still empty");
        assert_eq!(
            reasons[2..5],
            [
                "`ip` is missing or not a text",
                "`ports` is missing or not an object",
                "port 8080 leads to \"32101\", which is not a number from 1 to 65535",
            ]
        );
        assert_eq!(local.unreadable.len(), 6);
    }

    #[test]
    fn the_younger_of_two_nodes_counts() {
        let younger = GOOD.replace("31000", "31001");
        for nodes in [[("a.0000000009", GOOD), ("a.0000000010", &younger)], [("a.0000000010", &younger), ("a.0000000009", GOOD)]]
        {
            assert_eq!(read(&nodes).pods["a"]["ports"]["8080"], 31001);
        }
    }

    #[test]
    fn b02_a_dead_pod_is_no_part_of_the_cluster() {
        let local = read(&[
            ("a.1", GOOD),
            ("b.2", &GOOD.replace('{', r#"{"dead": true, "#).replacen("\"ports\": {\"dead\": true, ", "\"ports\": {", 1)),
        ]);
        assert_eq!((local.pods.len(), local.dead.contains("b")), (1, true));
    }

    #[test]
    fn b44_each_pod_has_a_control_port_of_its_own() {
        let pod = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let port = |text: &str| control_address(&pod(text), "8080").map(|address| address.port);
        assert_eq!(port(GOOD), Some(31000));
        assert_eq!(port(r#"{"ip": "h", "port": "9090", "ports": {"9090": 5, "8080": 6}}"#), Some(5));
        assert_eq!(port(r#"{"ip": "h", "ports": {"8080": 6}}"#), Some(6));
        assert_eq!(port(r#"{"ip": "h", "port": "9090", "ports": {"8080": 6}}"#), None);
    }

    fn pods(value: Value) -> Pods {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn b08_the_fingerprint_does_not_depend_on_order() {
        let one = pods(json!({"a": {"x": 1, "y": {"p": 1, "q": 2}}, "b": {}}));
        let other = pods(json!({"b": {}, "a": {"y": {"q": 2, "p": 1}, "x": 1}}));
        let none = BTreeMap::new();
        assert_eq!(fingerprint(&one, &none), fingerprint(&other, &none));
        assert_eq!(fingerprint(&one, &none).len(), 47);
        // A dependency that is called like something else cannot be mistaken for it.
        let named = BTreeMap::from([("local".to_owned(), one.clone())]);
        assert_ne!(fingerprint(&one, &none), fingerprint(&Pods::new(), &named));
        assert_ne!(fingerprint(&one, &none), fingerprint(&one, &BTreeMap::from([("db".to_owned(), Pods::new())])));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_not_a_panic(name in ".*", content: Vec<u8>) {
            LocalPods::read([(&name, &content)].into_iter());
        }
    }
}
