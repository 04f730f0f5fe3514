//! One configuration: check, off if wanted, on, ok; each stage asked of every pod before the next one begins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, header};
use ocho_core::PodSeq;
use ocho_core::registration::ControlAddress;
use ocho_core::signature::Token;
use serde_json::Value;
use tracing::{debug, warn};

use crate::cluster::Pods;
use crate::control::task::Task;
use crate::generation::Generation;
use crate::http_client::{AskError, Question, ask};
use crate::leader::topology::{control_address, number};
use crate::signing::sign;

/// Pods asked at the same time.
const AT_ONCE: usize = 256;

/// How to configure.
#[derive(Debug, Clone)]
pub(crate) struct RunSettings {
    pub(crate) grace: Duration,
    pub(crate) full_shutdown: bool,
    pub(crate) sequential: bool,
    /// The leader's own control port, for pods that do not name theirs.
    pub(crate) control_port: String,
    /// What requests are signed with.
    pub(crate) token: Option<Token>,
}

/// What to configure.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) pods: Pods,
    pub(crate) dependencies: BTreeMap<String, Pods>,
    pub(crate) generation: Generation,
    /// Key of the leader.
    pub(crate) leader: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// Every pod that lives is configured.
    Configured {
        /// Those that turned out to be dead.
        dead: BTreeSet<String>,
    },
    /// Some pod refused or was silent; the text names it.
    Failed {
        reason: String,
        /// Those that turned out to be dead before.
        dead: BTreeSet<String>,
    },
}

struct Target {
    key: String,
    seq: PodSeq,
    address: ControlAddress,
}

impl Run {
    /// Runs all stages. May be dropped midway: requests under way are then given up.
    pub(crate) async fn configure(mut self, settings: &RunSettings) -> Outcome {
        let mut dead = BTreeSet::new();
        let fail = |reason: String, dead| Outcome::Failed { reason, dead };
        let mut targets = match self.targets(settings) {
            Ok(targets) => targets,
            Err(reason) => return fail(reason, dead),
        };
        let answers = self.stage(Task::Check, &targets, settings).await;
        dead.extend(answers.iter().filter(|answer| matches!(answer.code, Ok(410))).map(|answer| answer.key.clone()));
        if let Some(reason) = refusals(Task::Check, &answers, &[200, 410]) {
            return fail(reason, dead);
        }
        self.pods.retain(|key, _| !dead.contains(key));
        targets.retain(|target| !dead.contains(&target.key));
        if targets.is_empty() {
            return Outcome::Configured { dead };
        }
        if settings.full_shutdown {
            self.stage(Task::Off, &targets, settings).await;
        }
        let answers = self.stage(Task::On, &targets, settings).await;
        if let Some(reason) = refusals(Task::On, &answers, &[200]) {
            return fail(reason, dead);
        }
        let answers = self.stage(Task::Ok, &targets, settings).await;
        if let Some(reason) = refusals(Task::Ok, &answers, &[200]) {
            warn!(reason, "not every pod liked to hear that the cluster is configured");
        }
        Outcome::Configured { dead }
    }

    /// Sorted by number, the oldest pod first.
    fn targets(&self, settings: &RunSettings) -> Result<Vec<Target>, String> {
        let target = |(key, pod): (&String, _)| {
            let seq = number(pod);
            let address =
                control_address(pod, &settings.control_port).ok_or(format!("#{seq} does not expose its control port"))?;
            Ok(Target { key: key.clone(), seq, address })
        };
        let mut targets = self.pods.iter().map(target).collect::<Result<Vec<_>, String>>()?;
        targets.sort_by_key(|target| target.seq);
        Ok(targets)
    }

    async fn stage(&self, task: Task, targets: &[Target], settings: &RunSettings) -> Vec<Answer> {
        let at_once = if settings.sequential { 1 } else { AT_ONCE };
        let stop_early = settings.sequential && matches!(task, Task::Check | Task::On);
        let path = format!("/control/{task}/{}", settings.grace.as_secs());
        // The client waits longer than the server was asked to.
        let limit = settings.grace.mul_f64(1.25);
        let common = self.common_body();
        let mut asked = Vec::with_capacity(targets.len());
        for target in targets {
            let body = format!("{common}\"key\": {}}}", Value::from(target.key.as_str()));
            asked.push(ask_target(target, &path, body, settings, limit));
        }
        let mut answers = Vec::with_capacity(targets.len());
        let mut coming = stream::iter(asked).buffer_unordered(at_once);
        while let Some(answer) = coming.next().await {
            debug!(task = %task, seq = answer.seq.0, answer = ?answer.code, "asked");
            let refused = !matches!(answer.code, Ok(200) | Ok(410));
            answers.push(answer);
            if refused && stop_early {
                break;
            }
        }
        answers
    }

    /// The body up to the receiver's key, which is all that differs.
    fn common_body(&self) -> String {
        let [dependencies, pods] = [ocho_core::json::to_line(&self.dependencies), ocho_core::json::to_line(&self.pods)];
        let (generation, leader) = (self.generation.to_json(), Value::from(self.leader.as_str()));
        format!("{{\"dependencies\": {dependencies}, \"pods\": {pods}, \"generation\": {generation}, \"leader\": {leader}, ")
    }
}

struct Answer {
    key: String,
    seq: PodSeq,
    code: Result<u16, AskError>,
}

async fn ask_target(target: &Target, path: &str, body: String, settings: &RunSettings, limit: Duration) -> Answer {
    let headers = settings.token.as_ref().map(|token| sign(token, path, body.as_bytes())).unwrap_or_default();
    let code = post(&target.address, path, headers, body, limit).await;
    Answer { key: target.key.clone(), seq: target.seq, code }
}

async fn post(
    address: &ControlAddress,
    path: &str,
    mut headers: HeaderMap,
    body: String,
    limit: Duration,
) -> Result<u16, AskError> {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = Bytes::from(body);
    let question = Question { method: Method::POST, host: &address.host, port: address.port, path, headers, body };
    ask(question, limit).await.map(|(status, _)| status.as_u16())
}

/// Names the first pods that did not answer as they should have.
fn refusals(task: Task, answers: &[Answer], wanted: &[u16]) -> Option<String> {
    const NAMED: usize = 3;
    let wrong = answers.iter().filter(|answer| !answer.code.as_ref().is_ok_and(|code| wanted.contains(code)));
    let mut reasons: Vec<String> = wrong
        .map(|answer| match &answer.code {
            Ok(code) => format!("#{} answered {task} with {code}", answer.seq),
            Err(error) => format!("#{} did not answer {task}: {error}", answer.seq),
        })
        .collect();
    let more = reasons.len().saturating_sub(NAMED);
    reasons.truncate(NAMED);
    if more > 0 {
        reasons.push(format!("{more} more"));
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
