//! Pretend pods: what they answer, and how questions change them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::generated::ocho::pods::types as wire;

/// A pod that a tool can find and ask.
#[derive(Debug, Clone)]
pub struct Pod {
    pub(super) cluster: String,
    pub(super) seq: u32,
    pub(super) application: Option<String>,
    pub(super) task: Option<String>,
    pub(super) info: Map<String, Value>,
    pub(super) log: Vec<String>,
    /// When it registers.
    pub(super) from: Duration,
    scripts: BTreeMap<String, Vec<Says>>,
    is_dead: bool,
}

/// What a pod says to one question.
#[derive(Debug, Clone)]
pub enum Says {
    /// This status with this body.
    Http(u16, Value),
    /// This status with a body that is not JSON.
    Garbage(u16),
    /// Nothing, for as long as it is waited for.
    Nothing,
    /// It cannot be reached.
    Refused,
    /// It left the registry meanwhile.
    Left,
    /// It is the host itself.
    IsHost,
    /// What it says after so long a time.
    After(Duration, Box<Says>),
}

impl Pod {
    /// A running pod `<cluster> #<seq>`, of application `app.<cluster>`.
    #[must_use]
    pub fn new(cluster: &str, seq: u32) -> Self {
        let info = json!({
            "ip": "127.0.0.1", "node": format!("i-{seq:08}"), "process": "running", "state": "follower", "status": "",
            "public": "", "ports": {"8080": 31000 + seq}, "metrics": {}, "port": "8080",
        });
        Self {
            cluster: cluster.to_owned(),
            seq,
            application: Some(format!("app.{cluster}")),
            task: Some(format!("task.{cluster}.{seq}")),
            info: info.as_object().cloned().unwrap_or_default(),
            log: Vec::new(),
            from: Duration::ZERO,
            scripts: BTreeMap::new(),
            is_dead: false,
        }
    }

    /// Of another application.
    #[must_use]
    pub fn of(mut self, application: &str) -> Self {
        self.application = Some(application.to_owned());
        self
    }

    /// Without application and task.
    #[must_use]
    pub fn outside_of_marathon(mut self) -> Self {
        (self.application, self.task) = (None, None);
        self
    }

    /// With a member of `/info`.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.info.insert(member.to_owned(), value.into());
        self
    }

    /// Without a member of `/info`.
    #[must_use]
    pub fn without(mut self, member: &str) -> Self {
        self.info.remove(member);
        self
    }

    /// With lines in its log.
    #[must_use]
    pub fn logged<S: Into<String>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.log.extend(lines.into_iter().map(|line| line.into() + "\n"));
        self
    }

    /// Answers a question (`info`, `log`, `exec`, `control/off`, ...) with these, one after the other; the last one stays.
    #[must_use]
    pub fn says(mut self, question: &str, answers: impl IntoIterator<Item = Says>) -> Self {
        self.scripts.insert(question.to_owned(), answers.into_iter().collect());
        self
    }

    /// The host itself, which refuses to be steered.
    #[must_use]
    pub fn host_itself(self) -> Self {
        ["exec", "control/on", "control/off", "control/kill"]
            .into_iter()
            .fold(self, |pod, question| pod.says(question, [Says::IsHost]))
    }

    /// Never answers anything.
    #[must_use]
    pub fn silent(self) -> Self {
        ["info", "log", "exec", "control/on", "control/off", "control/kill"]
            .into_iter()
            .fold(self, |pod, question| pod.says(question, [Says::Nothing]))
    }

    /// `<cluster> #<seq>`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} #{}", self.cluster, self.seq)
    }

    /// Whether it was killed.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// Its `process`, as `/info` says it.
    #[must_use]
    pub fn process(&self) -> &str {
        self.info.get("process").and_then(Value::as_str).unwrap_or_default()
    }

    /// What it answers to a question, and after how long.
    pub(super) fn answer(&mut self, question: &str, timeout: Duration) -> (wire::Outcome, Duration) {
        let says = match self.scripts.get_mut(question) {
            Some(script) if script.len() > 1 => script.remove(0),
            Some(script) => script.first().cloned().unwrap_or(Says::Nothing),
            None => self.act(question),
        };
        let (says, after) = match says {
            Says::After(after, _) if after >= timeout => (Says::Nothing, timeout),
            Says::After(after, says) => (*says, after),
            Says::Nothing => (Says::Nothing, timeout),
            says => (says, Duration::ZERO),
        };
        (outcome(says, &self.cluster), after)
    }

    fn act(&mut self, question: &str) -> Says {
        let mut become_process = |process: &str| {
            self.info.insert("process".to_owned(), process.into());
            Says::Http(200, json!({}))
        };
        match question {
            "info" => Says::Http(200, Value::Object(self.info.clone())),
            "log" => Says::Http(200, json!(self.log)),
            "exec" => Says::Http(404, json!({})),
            "control/signal" | "reset" if !self.is_dead => Says::Http(200, json!({})),
            _ if self.is_dead => Says::Http(410, json!({})),
            "control/on" => become_process("running"),
            "control/off" => become_process("stopped"),
            _ => {
                let says = become_process("dead");
                self.is_dead = true;
                says
            }
        }
    }
}

fn outcome(says: Says, cluster: &str) -> wire::Outcome {
    let replied = |status, body: String| wire::Outcome::Replied(wire::Reply { status, body });
    match says {
        Says::Http(status, body) => replied(status, body.to_string()),
        Says::Garbage(status) => replied(status, "<html>".to_owned()),
        Says::Refused => wire::Outcome::Unreachable("connection refused".to_owned()),
        Says::Left => wire::Outcome::NotRegistered,
        Says::IsHost => {
            wire::Outcome::Other(wire::Problem { code: "host-pod".to_owned(), message: format!("{cluster} is the host itself") })
        }
        Says::Nothing | Says::After(..) => wire::Outcome::TimedOut,
    }
}
