//! Pods: who is there, and what they answer.

use std::fmt;
use std::time::Duration;

use ocho_core::{ClusterGlob, ClusterName, PodId, PodSeq};
use serde_json::Value;

use crate::generated::ocho::pods::types as wire;
use crate::host;

/// How long a pod may take to say how it is.
pub const INFO_TIMEOUT: Duration = Duration::from_secs(5);

/// A registered pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its cluster and number.
    pub id: PodId,
    /// The Marathon app that runs it, without the leading slash.
    pub application: Option<String>,
    /// The Marathon task that runs it.
    pub task: Option<String>,
}

/// What came of asking one pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The pod that was asked.
    pub pod: PodId,
    /// What it said. A silent pod has its place too.
    pub reply: PodReply,
}

/// A pod's reply, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum PodReply {
    /// It answered with JSON.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        body: Value,
    },
    /// It answered with something that is not JSON.
    Garbled {
        /// HTTP status.
        status: u16,
    },
    /// No answer in time.
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// No connection, or no control port to connect to. Carries the reason.
    Unreachable(String),
    /// The registry does not know this pod any more.
    NotRegistered,
    /// It was not asked, since that would have harmed it. Carries the reason.
    NotAsked(String),
    /// The pod is the host itself, which nobody steers through its own tools. Carries a sentence.
    IsHost(String),
}

impl Answer {
    /// The body of an answer with status 200.
    #[must_use]
    pub fn body(&self) -> Option<&Value> {
        match &self.reply {
            PodReply::Answered { status: 200, body } => Some(body),
            _ => None,
        }
    }

    /// The HTTP status, where the pod answered as a pod does.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.reply {
            PodReply::Answered { status, .. } => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for PodReply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(out, "answered HTTP {status}"),
            Self::Garbled { status } => write!(out, "answered HTTP {status} with something that is not JSON"),
            Self::TimedOut { after } => write!(out, "no answer within {}", Seconds(*after)),
            Self::Unreachable(why) | Self::NotAsked(why) | Self::IsHost(why) => write!(out, "{why}"),
            Self::NotRegistered => write!(out, "not registered any more"),
        }
    }
}

/// `5 s`, `1.25 s`. Formatting a floating-point number would make every tool 20 KiB larger.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.as_secs())?;
        let millis = format!("{:03}", self.0.subsec_millis());
        match millis.trim_end_matches('0') {
            "" => out.write_str(" s"),
            part => write!(out, ".{part} s"),
        }
    }
}

/// Why a question about pods has no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodsError {
    /// The registry (ZooKeeper) did not answer. Carries the addresses and the time waited.
    #[error("no answer from the registry: {0}")]
    RegistryUnreachable(String),
    /// Anything else.
    #[error("cannot look up pods: {0}")]
    Other(String),
}

/// Lists the pods of every cluster whose qualified name matches, each once, sorted by cluster, then number.
///
/// # Errors
/// Where the registry does not answer.
pub async fn find(clusters: &ClusterGlob) -> Result<Vec<Pod>, PodsError> {
    let found = host::registry::find(clusters.as_str().to_owned()).await.map_err(|error| match error {
        wire::Error::RegistryUnreachable(text) => PodsError::RegistryUnreachable(text),
        wire::Error::Other(problem) => PodsError::Other(problem.message),
    })?;
    let mut pods = found.into_iter().map(read).collect::<Result<Vec<Pod>, _>>()?;
    // A pod that connects anew has two nodes for a while. The list comes sorted.
    pods.dedup_by(|later, earlier| later.id == earlier.id);
    crate::debug(format_args!("<- registry ({} pods match {clusters})", pods.len()));
    Ok(pods)
}

fn read(pod: wire::Pod) -> Result<Pod, PodsError> {
    let cluster: ClusterName = pod.id.cluster.parse().map_err(|error| PodsError::Other(format!("{error}")))?;
    let id = PodId { cluster, seq: PodSeq(pod.id.seq) };
    Ok(Pod { id, application: pod.application, task: pod.task })
}

/// Asks for each pod's state, process, ports, status and metrics, secrets masked.
pub async fn info(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "info", host::observe::info(wire_ids(pods), millis(timeout)).await)
}

/// As [`info`], unmasked. Needs a grant of its own, which only `poll` has.
pub async fn info_with_secrets(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "info", host::secrets::info(wire_ids(pods), millis(timeout)).await)
}

/// Asks for each pod's own log, a JSON list of lines.
pub async fn log(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "log", host::observe::log(wire_ids(pods), millis(timeout)).await)
}

/// Starts the sub-processes of pods.
pub async fn on(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "control/on", host::control::on(wire_ids(pods), millis(timeout)).await)
}

/// Stops the sub-processes of pods, gracefully.
pub async fn off(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "control/off", host::control::off(wire_ids(pods), millis(timeout)).await)
}

/// Ends pods for good: they answer 200 while they end and 410 once they are gone.
pub async fn kill(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "control/kill", host::control::kill(wire_ids(pods), millis(timeout)).await)
}

/// Hands a value to the models of pods.
pub async fn signal(pods: &[PodId], payload: &Value, timeout: Duration) -> Vec<Answer> {
    let payload = ocho_core::json::to_line(payload);
    answers(pods, timeout, "control/signal", host::control::signal(wire_ids(pods), payload, millis(timeout)).await)
}

/// Makes pods connect and register anew; their sub-processes go on.
pub async fn reregister(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    answers(pods, timeout, "reset", host::control::reregister(wire_ids(pods), millis(timeout)).await)
}

/// Runs a tool of the pods, with copies of `files` of the working folder.
pub async fn exec(pods: &[PodId], command_line: &str, files: &[String], timeout: Duration) -> Vec<Answer> {
    let asked = host::exec::run(wire_ids(pods), command_line.to_owned(), files.to_vec(), millis(timeout)).await;
    answers(pods, timeout, "exec", asked)
}

fn wire_ids(pods: &[PodId]) -> Vec<wire::PodId> {
    pods.iter().map(|pod| wire::PodId { cluster: pod.cluster.to_string(), seq: pod.seq.0 }).collect()
}

/// At least one millisecond, since zero would mean "no time at all".
fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Answers come in the order of the pods, so each belongs to the pod in its place.
fn answers(pods: &[PodId], timeout: Duration, verb: &str, answers: Vec<wire::Answer>) -> Vec<Answer> {
    let read = |(pod, answer): (&PodId, wire::Answer)| {
        let reply = reply(answer.outcome, timeout);
        crate::debug(format_args!("-> {verb} {pod} ({reply}, {} ms)", answer.elapsed_ms));
        Answer { pod: pod.clone(), reply }
    };
    pods.iter().zip(answers).map(read).collect()
}

/// Another host says of itself what this one says of its own pods.
fn host_itself(body: &Value) -> Option<PodReply> {
    let refusal = body.get("code").filter(|code| *code == "host-pod").and(body.get("error"))?;
    Some(PodReply::IsHost(refusal.as_str()?.to_owned()))
}

fn reply(outcome: wire::Outcome, timeout: Duration) -> PodReply {
    match outcome {
        wire::Outcome::Replied(reply) => match serde_json::from_str(&reply.body) {
            Ok(body) => host_itself(&body).unwrap_or(PodReply::Answered { status: reply.status, body }),
            Err(_) => PodReply::Garbled { status: reply.status },
        },
        wire::Outcome::TimedOut => PodReply::TimedOut { after: timeout },
        wire::Outcome::Unreachable(why) => PodReply::Unreachable(format!("unreachable: {why}")),
        wire::Outcome::NoControlPort => PodReply::Unreachable("it registered no control port that can be reached".to_owned()),
        wire::Outcome::NotRegistered => PodReply::NotRegistered,
        wire::Outcome::Other(problem) if problem.code == "host-pod" => PodReply::IsHost(problem.message),
        wire::Outcome::Other(problem) => PodReply::Unreachable(problem.message),
    }
}
