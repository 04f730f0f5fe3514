//! Pretend pods: who they are, what they answer, and how orders change them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use ocho_core::{ClusterName, PodId, PodSeq, Registration};
use ocho_runtime::host;
use ocho_runtime::host::{PodOutcome, Pods, Verb};
use serde_json::{Map, Value, json};

use super::{Cluster, State};
use crate::plugin::scene::format::PodPart;
use crate::plugin::scene::values::{Answer, Says};

/// A pod of a scene.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub(super) cluster: ClusterName,
    pub(super) seq: u32,
    pub(super) application: Option<String>,
    pub(super) task: Option<String>,
    /// From when until when it is in the registry.
    pub(super) from: Duration,
    pub(super) until: Option<Duration>,
    /// Another task takes its place.
    pub(super) is_replaced: bool,
    registration: Map<String, Value>,
    info: Map<String, Value>,
    log: Vec<String>,
    always: Option<Answer>,
    scripts: BTreeMap<&'static str, VecDeque<Answer>>,
    is_dead: bool,
}

/// The container port of the control API, as pods register it.
const CONTROL: &str = "8080";

impl Pod {
    /// A pod as Marathon's tasks become one.
    pub(super) fn of_task(cluster: ClusterName, seq: u32, application: &str, from: Duration) -> Self {
        Self {
            application: Some(application.to_owned()),
            task: Some(format!("task.{cluster}.{seq}")),
            from,
            until: None,
            is_replaced: false,
            registration: Map::new(),
            info: info(seq),
            log: Vec::new(),
            always: None,
            scripts: BTreeMap::new(),
            is_dead: false,
            cluster,
            seq,
        }
    }

    fn written(part: &PodPart, seq: u32) -> Self {
        let application = part.application.clone().unwrap_or_else(|| format!("app.{}", part.cluster));
        let mut pod = Self::of_task(part.cluster.clone(), seq, &application, part.registers.0);
        if let Some(task) = &part.task {
            pod.task = Some(task.clone());
        }
        if application.is_empty() {
            (pod.application, pod.task) = (None, None);
        }
        pod.until = part.leaves.map(|span| span.0);
        pod.registration.clone_from(&part.registration);
        pod.info.extend(part.info.clone());
        pod.log = part.log.iter().map(|line| format!("{line}\n")).collect();
        pod.always.clone_from(&part.is);
        let answers = &part.answers;
        for (question, answers) in [
            ("info", &answers.info),
            ("log", &answers.log),
            ("on", &answers.on),
            ("off", &answers.off),
            ("kill", &answers.kill),
            ("signal", &answers.signal),
            ("reregister", &answers.reregister),
            ("exec", &answers.exec),
        ] {
            if !answers.is_empty() {
                pod.scripts.insert(question, answers.iter().cloned().collect());
            }
        }
        pod
    }

    pub(super) fn set_process(&mut self, process: &str) {
        self.info.insert("process".to_owned(), process.into());
    }

    pub(super) fn is_there(&self, now: Duration) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }

    pub(super) fn is_of(&self, application: &str) -> bool {
        self.application.as_deref() == Some(application)
    }

    /// What it wrote into the registry.
    pub(super) fn registered(&self) -> host::Pod {
        let (namespace, name) = self.cluster.as_str().split_once('.').unwrap_or(("", self.cluster.as_str()));
        let mut all = json!({
            "seq": self.seq, "namespace": namespace, "cluster": name, "application": self.application, "task": self.task,
            "ip": "127.0.0.1", "node": format!("i-{:08}", self.seq), "public": "", "port": CONTROL,
            "ports": {CONTROL: port(self.seq)},
        });
        if let Some(members) = all.as_object_mut() {
            members.extend(self.registration.clone());
        }
        let registration = Registration::parse(all.to_string().as_bytes()).unwrap_or_else(|_| Registration {
            seq: PodSeq(self.seq),
            application: self.application.clone(),
            task: self.task.clone(),
            control: None,
            all: Map::new(),
        });
        host::Pod { id: self.id(), registration }
    }

    pub(super) fn id(&self) -> PodId {
        PodId { cluster: self.cluster.clone(), seq: PodSeq(self.seq) }
    }

    fn answer(&mut self, question: &'static str) -> Answer {
        match self.scripts.get_mut(question) {
            Some(script) if script.len() > 1 => script.pop_front(),
            Some(script) => script.front().cloned(),
            None => self.always.clone(),
        }
        .unwrap_or_else(|| Answer { says: self.act(question), after: Duration::ZERO })
    }

    /// What a pod does that nobody wrote answers for.
    fn act(&mut self, question: &str) -> Says {
        let (status, body) = match question {
            "info" => (200, Value::Object(self.info.clone())),
            "log" => (200, json!(self.log)),
            "exec" => (404, json!({})),
            _ if self.is_dead => (410, json!({})),
            "on" | "off" | "kill" => {
                self.is_dead = question == "kill";
                self.set_process(match question {
                    "on" => "running",
                    "off" => "stopped",
                    _ => "dead",
                });
                (200, json!({}))
            }
            _ => (200, json!({})),
        };
        Says::Http { status, body: body.to_string() }
    }
}

fn port(seq: u32) -> u32 {
    31_000 + seq % 1000
}

fn info(seq: u32) -> Map<String, Value> {
    let info = json!({
        "ip": "127.0.0.1", "node": format!("i-{seq:08}"), "process": "running", "state": "follower", "status": "",
        "public": "", "port": CONTROL, "ports": {CONTROL: port(seq)}, "metrics": {},
    });
    info.as_object().cloned().unwrap_or_default()
}

impl State {
    pub(super) fn add_pods(&mut self, part: &PodPart) {
        for seq in part.seq.iter().chain(&part.seqs) {
            let pod = Pod::written(part, *seq);
            if let Some(application) = pod.application.clone() {
                self.count_in(&application);
            }
            self.pods.push(pod);
        }
    }

    /// Asks one pod: what comes of it, and after how long.
    fn ask(&mut self, id: &PodId, verb: &Verb, timeout: Duration) -> (PodOutcome, Duration) {
        let (question, body, is_order) = question(verb);
        self.hear(format!("{question} {id}"), body, is_order);
        let now = self.now;
        let pod = self.pods.iter_mut().find(|pod| pod.cluster == id.cluster && pod.seq == id.seq.0 && pod.is_there(now));
        let Some(answer) = pod.map(|pod| pod.answer(question)) else { return (PodOutcome::NotRegistered, Duration::ZERO) };
        if answer.after >= timeout && !timeout.is_zero() {
            return (PodOutcome::TimedOut, timeout);
        }
        match answer.says {
            Says::Http { status, body } => (PodOutcome::Replied { status, body }, answer.after),
            Says::Nothing => (PodOutcome::TimedOut, timeout),
            Says::Refused => (PodOutcome::Unreachable("connection refused".to_owned()), answer.after),
            Says::NoPort => (PodOutcome::NoControlPort, answer.after),
            Says::Left => (PodOutcome::NotRegistered, answer.after),
        }
    }
}

/// A verb's word, what comes with it, and whether it is an order.
fn question(verb: &Verb) -> (&'static str, Option<Value>, bool) {
    match verb {
        Verb::Info => ("info", None, false),
        Verb::Log => ("log", None, false),
        Verb::On => ("on", None, true),
        Verb::Off => ("off", None, true),
        Verb::Kill => ("kill", None, true),
        Verb::Signal(payload) => ("signal", Some(json_or_text(payload)), true),
        Verb::Reregister => ("reregister", None, true),
        Verb::Exec { command_line, files } => {
            let files: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            ("exec", Some(json!({"line": command_line, "files": files})), true)
        }
    }
}

/// JSON as JSON, anything else as a text.
pub(super) fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

impl Pods for Cluster {
    fn ask(&self, pods: Vec<PodId>, verb: Verb, timeout: Duration) -> BoxFuture<'_, Vec<host::Answer>> {
        async move {
            let answers: Vec<host::Answer> = self.change(|state| {
                let ask = |pod: PodId| {
                    let (outcome, elapsed) = state.ask(&pod, &verb, timeout);
                    host::Answer { pod, outcome, elapsed }
                };
                pods.into_iter().map(ask).collect()
            });
            // All are asked at once: it takes as long as the slowest.
            self.pause(answers.iter().map(|answer| answer.elapsed).max().unwrap_or_default()).await;
            answers
        }
        .boxed()
    }
}
