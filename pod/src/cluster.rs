//! What a pod is told about its cluster when it is configured: the peers, the dependencies and its own place among them.

use std::collections::BTreeMap;

use ocho_core::PodSeq;
use serde_json::{Map, Value};

use crate::generation::Generation;

/// Registrations by pod key, sorted by key as text.
pub type Pods = BTreeMap<String, Map<String, Value>>;

/// One picture of the cluster, the same for every pod but for `key`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The receiver's own key; `pods[key]` is its registration.
    pub key: String,
    /// The pods of the cluster.
    pub pods: Pods,
    /// For each dependency, by the text that names it, the pods that it has at present.
    pub dependencies: BTreeMap<String, Pods>,
    /// The receiver's own number, stable for its life.
    pub seq: PodSeq,
    /// Key of the pod that leads. Leaders that are original pods do not say.
    pub leader: Option<String>,
    /// Which leader asks, and for which topology. Leaders that are original pods do not say.
    pub(crate) generation: Option<Generation>,
}

/// Why a request's body is no picture of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACluster {
    /// The body as a whole.
    #[error("the body is not a JSON object with `key`, `pods` and `dependencies`")]
    NotAnObject,
    /// A member with the wrong shape.
    #[error("`{0}` is missing or has the wrong type")]
    Member(&'static str),
    /// The receiver is not among the pods.
    #[error("`pods` has no entry for the key `{0}`")]
    NotAmongThem(String),
    /// The receiver's registration has no number.
    #[error("the registration of `{0}` has no `seq`")]
    NoSeq(String),
}

/// Why the addresses of a dependency cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrepError {
    /// One of its pods does not expose the port.
    #[error("pod #{seq} of `{dependency}` does not expose port {port}")]
    NotExposed {
        /// The dependency as it was named.
        dependency: String,
        /// Number of the pod.
        seq: String,
        /// The port that was asked for.
        port: u16,
    },
}

impl Cluster {
    /// Reads the body of a control request.
    ///
    /// # Errors
    /// Where a member is missing or has another shape than a leader gives it. Members of other names are passed over.
    pub fn read(body: &Value) -> Result<Self, NotACluster> {
        let body = body.as_object().ok_or(NotACluster::NotAnObject)?;
        let key = body.get("key").and_then(Value::as_str).ok_or(NotACluster::Member("key"))?.to_owned();
        let pods = body.get("pods").and_then(read_pods).ok_or(NotACluster::Member("pods"))?;
        let dependencies = body.get("dependencies").and_then(Value::as_object).ok_or(NotACluster::Member("dependencies"))?;
        let dependencies = dependencies
            .iter()
            .map(|(name, pods)| Some((name.clone(), read_pods(pods)?)))
            .collect::<Option<_>>()
            .ok_or(NotACluster::Member("dependencies"))?;
        let own = pods.get(&key).ok_or_else(|| NotACluster::NotAmongThem(key.clone()))?;
        let seq = seq_of(own).ok_or_else(|| NotACluster::NoSeq(key.clone()))?;
        let generation = body.get("generation").and_then(Generation::read);
        let leader = body.get("leader").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { key, pods, dependencies, seq, leader, generation })
    }

    /// Rank of the receiver among the keys, from 0. Keys are random, so this says nothing about age.
    #[must_use]
    pub fn index(&self) -> usize {
        self.pods.keys().take_while(|key| **key < self.key).count()
    }

    /// Rank of the receiver by number, from 0: the oldest pod is 0, and a pod that joins moves nobody.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.pods.values().filter_map(seq_of).filter(|seq| *seq < self.seq).count()
    }

    /// How many pods the cluster has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.pods.len()
    }

    /// The addresses of a dependency, `ip:port,ip:port`, sorted by number; empty where it has no pod or is not known.
    ///
    /// `port` is the port inside the container; what is listed is the port of the host that leads there.
    ///
    /// # Errors
    /// Where one of its pods does not expose the port.
    pub fn grep(&self, dependency: &str, port: u16, address: Address) -> Result<String, GrepError> {
        let Some(pods) = self.dependencies.get(dependency) else { return Ok(String::new()) };
        Ok(addresses(dependency, pods, port, address)?.join(","))
    }
}

/// Which of a pod's addresses is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// The one that other pods use.
    Internal,
    /// The public one, which may be empty.
    Public,
}

/// Where each of `pods` can be reached, `host:port`, sorted by number.
///
/// # Errors
/// Where one of them does not expose the port.
pub fn addresses(dependency: &str, pods: &Pods, port: u16, address: Address) -> Result<Vec<String>, GrepError> {
    let member = match address {
        Address::Internal => "ip",
        Address::Public => "public",
    };
    let mut sorted: Vec<_> = pods.values().collect();
    sorted.sort_by_key(|pod| seq_of(pod));
    let reach = |pod: &Map<String, Value>| {
        let host = pod.get(member)?.as_str()?;
        let port = pod.get("ports")?.get(port.to_string())?.as_u64()?;
        Some(format!("{host}:{port}"))
    };
    let not_exposed = |pod| {
        let seq = seq_of(pod).map_or_else(|| "?".to_owned(), |seq| seq.to_string());
        GrepError::NotExposed { dependency: dependency.to_owned(), seq, port }
    };
    sorted.into_iter().map(|pod| reach(pod).ok_or_else(|| not_exposed(pod))).collect()
}

/// The number in a registration.
#[must_use]
pub fn seq_of(registration: &Map<String, Value>) -> Option<PodSeq> {
    registration.get("seq")?.as_u64()?.try_into().ok().map(PodSeq)
}

fn read_pods(pods: &Value) -> Option<Pods> {
    pods.as_object()?.iter().map(|(key, pod)| Some((key.clone(), pod.as_object()?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn three() -> Value {
        let pod = |seq: u32, ip: &str| json!({"seq": seq, "ip": ip, "public": "", "ports": {"80": 31000 + seq}});
        json!({
            "key": "b",
            "pods": {"c": pod(1, "h1"), "b": pod(7, "h2"), "a": pod(9, "h3")},
            "dependencies": {"db*": {"y": pod(4, "d4"), "x": pod(11, "d11")}, "none": {}},
            "more": 1
        })
    }

    #[test]
    fn b43_a_rank_by_age_beside_the_index() {
        let cluster = Cluster::read(&three()).unwrap();
        assert_eq!((cluster.index(), cluster.rank(), cluster.size(), cluster.seq), (1, 1, 3, PodSeq(7)));
        assert_eq!(cluster.generation, None);
    }

    #[test]
    fn addresses_of_a_dependency() {
        let cluster = Cluster::read(&three()).unwrap();
        assert_eq!(cluster.grep("db*", 80, Address::Internal).unwrap(), "d4:31004,d11:31011");
        assert_eq!(cluster.grep("db*", 80, Address::Public).unwrap(), ":31004,:31011");
        assert_eq!(cluster.grep("none", 80, Address::Internal).unwrap(), "");
        assert_eq!(cluster.grep("unknown", 80, Address::Internal).unwrap(), "");
        let error = cluster.grep("db*", 81, Address::Internal).unwrap_err().to_string();
        assert_eq!(error, "pod #4 of `db*` does not expose port 81");
    }

    #[test]
    fn says_what_is_wrong() {
        let broken = |change: fn(&mut Value)| {
            let mut body = three();
            change(&mut body);
            Cluster::read(&body).unwrap_err().to_string()
        };
        assert_eq!(broken(|b| *b = json!([])), "the body is not a JSON object with `key`, `pods` and `dependencies`");
        assert_eq!(broken(|b| b["key"] = json!(1)), "`key` is missing or has the wrong type");
        assert_eq!(broken(|b| b["pods"] = json!({"b": 1})), "`pods` is missing or has the wrong type");
        assert_eq!(broken(|b| b["dependencies"] = json!({"db": []})), "`dependencies` is missing or has the wrong type");
        assert_eq!(broken(|b| b["key"] = json!("z")), "`pods` has no entry for the key `z`");
        assert_eq!(broken(|b| b["pods"]["b"]["seq"] = json!("7")), "the registration of `b` has no `seq`");
    }

    proptest! {
        #[test]
        fn any_json_is_an_answer_not_a_panic(text in r#"[\[\]{}":,a-z0-9]{0,60}"#) {
            if let Ok(value) = serde_json::from_str(&text) {
                let _ = Cluster::read(&value);
            }
        }
    }
}
