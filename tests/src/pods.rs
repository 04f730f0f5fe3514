//! Simulated pods: registered in a registry, answering on their control ports as their script says.

mod control;
mod script;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use zookeeper_client::{Acls, Client, CreateMode};

use crate::runtime::{Task, block_on};
use crate::server::nobody;
use control::Control;
pub use control::Request;
pub use script::{Behaviour, PodScript};
use script::{ControlPort, Node};

const CLUSTERS: &str = "/ochopod/clusters";
/// So long a registration stays after its test crashed. A machine that stands still for some seconds must not end it.
const SESSION: Duration = Duration::from_secs(30);

/// A session with a registry, and the pods that it registered. Dropping it ends both.
pub struct Pods {
    client: Client,
    pods: BTreeMap<(String, u32), Pod>,
}

/// One pod: its node and its control port.
struct Pod {
    node: String,
    control: Arc<Control>,
    address: SocketAddr,
    _serving: Option<Task>,
}

impl Pods {
    /// Connects to the registry at `host:port`.
    ///
    /// # Panics
    /// Where it does not answer.
    #[track_caller]
    #[must_use]
    pub fn join(registry: &str) -> Self {
        let connecting = async { Client::connector().with_session_timeout(SESSION).connect(registry).await };
        let client = block_on(connecting).unwrap_or_else(|cause| panic!("no registry at `{registry}`: {cause}"));
        Self { client, pods: BTreeMap::new() }
    }

    /// Starts a pod and registers it, in two steps as the original does.
    ///
    /// # Panics
    /// Where the registry refuses.
    #[track_caller]
    pub fn add(&mut self, cluster: &str, seq: u32, script: PodScript) {
        let control = Arc::new(Control::new(script.clone()));
        let (address, serving) = match script.control_port {
            ControlPort::Refused => (nobody(), None),
            _ => {
                let (address, task) = control.serve();
                (address, Some(task))
            }
        };
        control.set_port(address.port());
        let content = content(cluster, seq, &script, address.port());
        let node = block_on(self.register(cluster, &content))
            .unwrap_or_else(|cause| panic!("cannot register {cluster} #{seq}: {cause}"));
        self.pods.insert((cluster.to_owned(), seq), Pod { node, control, address, _serving: serving });
    }

    async fn register(&self, cluster: &str, content: &[u8]) -> Result<String, zookeeper_client::Error> {
        let folder = format!("{CLUSTERS}/{cluster}/pods");
        self.client.mkdir(&folder, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await?;
        let prefix = format!("{folder}/{}.", unique_id());
        let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
        let (_stat, number) = self.client.create(&prefix, b"", &options).await?;
        let node = format!("{prefix}{number}");
        if !content.is_empty() {
            self.client.set_data(&node, content, None).await?;
        }
        Ok(node)
    }

    /// What the pods of a cluster wrote into their nodes, whoever registered them; nothing where there is no such cluster.
    #[must_use]
    pub fn registrations(&self, cluster: &str) -> Vec<Value> {
        let folder = format!("{CLUSTERS}/{cluster}/pods");
        block_on(async {
            let mut found = Vec::new();
            for node in self.client.list_children(&folder).await.unwrap_or_default() {
                // One that leaves meanwhile is not there.
                let content = self.client.get_data(&format!("{folder}/{node}")).await;
                found.extend(content.ok().and_then(|(content, _)| serde_json::from_slice(&content).ok()));
            }
            found
        })
    }

    /// Takes a pod away: its node and its control port.
    ///
    /// # Panics
    /// Where there is no such pod, or the registry refuses.
    #[track_caller]
    pub fn remove(&mut self, cluster: &str, seq: u32) {
        let pod = self.pods.remove(&(cluster.to_owned(), seq)).unwrap_or_else(|| panic!("no pod {cluster} #{seq}"));
        block_on(self.client.delete(&pod.node, None)).unwrap_or_else(|cause| panic!("cannot delete `{}`: {cause}", pod.node));
    }

    /// What a pod was asked so far, oldest first.
    ///
    /// # Panics
    /// Where there is no such pod.
    #[track_caller]
    #[must_use]
    pub fn requests(&self, cluster: &str, seq: u32) -> Vec<Request> {
        self.pod(cluster, seq).control.requests()
    }

    /// The paths of what a pod was asked so far.
    ///
    /// # Panics
    /// Where there is no such pod.
    #[track_caller]
    #[must_use]
    pub fn paths(&self, cluster: &str, seq: u32) -> Vec<String> {
        self.requests(cluster, seq).into_iter().map(|request| request.path).collect()
    }

    /// The port on which a pod answers.
    ///
    /// # Panics
    /// Where there is no such pod.
    #[track_caller]
    #[must_use]
    pub fn port(&self, cluster: &str, seq: u32) -> u16 {
        self.pod(cluster, seq).address.port()
    }

    #[track_caller]
    fn pod(&self, cluster: &str, seq: u32) -> &Pod {
        self.pods.get(&(cluster.to_owned(), seq)).unwrap_or_else(|| panic!("no pod {cluster} #{seq}"))
    }
}

/// What the pod writes into its node.
fn content(cluster: &str, seq: u32, script: &PodScript, port: u16) -> Vec<u8> {
    match &script.node {
        Node::Empty => Vec::new(),
        Node::Raw(bytes) => bytes.clone(),
        Node::Registration => Value::Object(registration(cluster, seq, script, port)).to_string().into_bytes(),
    }
}

fn registration(cluster: &str, seq: u32, script: &PodScript, port: u16) -> Map<String, Value> {
    let (namespace, name) = cluster.rsplit_once('.').unwrap_or(("", cluster));
    let mut registration = script.shared_facts(port);
    let own = json!({
        "cluster": name, "namespace": namespace, "seq": seq, "zk": "127.0.0.1:2181",
        "fwk": "marathon", "debug": "false", "local": "false", "start": "true",
    });
    registration.extend(own.as_object().cloned().unwrap_or_default());
    registration.extend(script.hints.clone());
    if script.control_port == ControlPort::AsNumber {
        registration.insert("port".to_owned(), json!(8080));
    }
    registration
}

/// Text in the shape of a UUID, unique among all test processes of a machine at one time.
fn unique_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
