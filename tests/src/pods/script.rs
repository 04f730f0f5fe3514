//! What a simulated pod is and does, beyond what every pod does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// An answer out of the ordinary, to all requests of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// The connection is accepted and nothing ever comes.
    Silent,
    /// The ordinary answer, late.
    After(Duration),
    /// A status and a JSON body.
    Json(u16, Value),
    /// A status and a body that is no JSON.
    Text(u16, String),
}

/// What stands in the node of the registry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Registration,
    Empty,
    Raw(Vec<u8>),
}

/// How the registration speaks of the control port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlPort {
    /// As it should: a text, and the host's port for it.
    AsText,
    /// A number, which no reader takes.
    AsNumber,
    /// The host's port is absent.
    NotExposed,
    /// As it should, but nobody listens there.
    Refused,
}

/// A pod to be simulated: [`PodScript::running`] and what differs from it.
#[derive(Debug, Clone)]
#[must_use]
pub struct PodScript {
    pub(crate) application: String,
    pub(crate) task: String,
    pub(crate) machine: String,
    pub(crate) public: String,
    pub(crate) process: String,
    pub(crate) state: String,
    pub(crate) status: String,
    pub(crate) metrics: Option<Value>,
    pub(crate) dependencies: Vec<String>,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) hints: Map<String, Value>,
    pub(crate) log: Vec<String>,
    pub(crate) tools: BTreeMap<String, (i64, Vec<String>)>,
    pub(crate) node: Node,
    pub(crate) control_port: ControlPort,
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    pub(crate) info_lacks: Vec<String>,
}

impl PodScript {
    /// A follower whose sub-process runs.
    pub fn running() -> Self {
        Self {
            application: "ochopod.simulated".to_owned(),
            task: "simulated.task".to_owned(),
            machine: "i-00000001".to_owned(),
            public: String::new(),
            process: "running".to_owned(),
            state: "follower".to_owned(),
            status: String::new(),
            metrics: Some(json!({})),
            dependencies: Vec::new(),
            ports: BTreeMap::new(),
            hints: Map::new(),
            log: Vec::new(),
            tools: BTreeMap::new(),
            node: Node::Registration,
            control_port: ControlPort::AsText,
            behaviours: BTreeMap::new(),
            info_lacks: Vec::new(),
        }
    }

    /// A leader, with the text that its cluster shows.
    pub fn leader(mut self, status: &str) -> Self {
        self.state = "leader".to_owned();
        self.status = status.to_owned();
        self
    }

    /// Another state of the sub-process: `stopped`, `dead`, ...
    pub fn process(mut self, process: &str) -> Self {
        self.process = process.to_owned();
        self
    }

    /// The Marathon app and task that run it.
    pub fn of(mut self, application: &str, task: &str) -> Self {
        self.application = application.to_owned();
        self.task = task.to_owned();
        self
    }

    /// The machine's name, and its public address.
    pub fn on(mut self, machine: &str, public: &str) -> Self {
        self.machine = machine.to_owned();
        self.public = public.to_owned();
        self
    }

    /// What it measures; `None` where it does not speak of metrics.
    pub fn metrics(mut self, metrics: Option<Value>) -> Self {
        self.metrics = metrics;
        self
    }

    /// One more port: inside the container, and on the host.
    pub fn port(mut self, container: u16, host: u16) -> Self {
        self.ports.insert(container.to_string(), host);
        self
    }

    /// One more key of its registration.
    pub fn hint(mut self, key: &str, value: Value) -> Self {
        self.hints.insert(key.to_owned(), value);
        self
    }

    /// The lines of its log, without their ends.
    pub fn log(mut self, lines: &[&str]) -> Self {
        self.log = lines.iter().map(|line| format!("{line}\n")).collect();
        self
    }

    /// A tool for `exec`, with its exit code and its lines.
    pub fn tool(mut self, name: &str, code: i64, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self.tools.insert(name.to_owned(), (code, lines));
        self
    }

    /// Answers `path` (`/info`, `/control/kill`, ...; without the seconds) out of the ordinary.
    pub fn answers(mut self, path: &str, behaviour: Behaviour) -> Self {
        self.behaviours.insert(path.to_owned(), behaviour);
        self
    }

    /// Accepts connections and never answers anything.
    pub fn silent(self) -> Self {
        self.answers("", Behaviour::Silent)
    }

    /// Answers everything late.
    pub fn slow(self, by: Duration) -> Self {
        self.answers("", Behaviour::After(by))
    }

    /// Was killed, and idles until its task goes.
    pub fn gone(self) -> Self {
        self.process("dead")
    }

    /// Leaves a key out of `/info`.
    pub fn without(mut self, key: &str) -> Self {
        self.info_lacks.push(key.to_owned());
        self
    }

    /// Has made its node and not written it yet.
    pub fn not_written_yet(mut self) -> Self {
        self.node = Node::Empty;
        self
    }

    /// Has written something else into its node.
    pub fn node(mut self, content: &[u8]) -> Self {
        self.node = Node::Raw(content.to_owned());
        self
    }

    /// Gives its control port as a number.
    pub fn port_as_number(mut self) -> Self {
        self.control_port = ControlPort::AsNumber;
        self
    }

    /// Does not expose its control port.
    pub fn control_port_hidden(mut self) -> Self {
        self.control_port = ControlPort::NotExposed;
        self
    }

    /// Has a control port on which nobody listens.
    pub fn refuses_connections(mut self) -> Self {
        self.control_port = ControlPort::Refused;
        self
    }

    /// What stands both in the registration and in `/info`.
    pub(crate) fn shared_facts(&self, port: u16) -> Map<String, Value> {
        let mut ports: Map<String, Value> = self.ports.iter().map(|(inside, host)| (inside.clone(), json!(host))).collect();
        if self.control_port != ControlPort::NotExposed {
            ports.insert("8080".to_owned(), json!(port));
        }
        let facts = json!({
            "application": self.application, "task": self.task, "ip": "127.0.0.1", "node": self.machine,
            "public": self.public, "port": "8080", "ports": ports,
        });
        facts.as_object().cloned().unwrap_or_default()
    }
}
