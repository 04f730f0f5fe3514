//! The functions of the contract, answered by the pretend cluster.

use std::time::Duration;

use ocho_core::ClusterGlob;

use crate::generated::ocho::pods::types::{Answer, Outcome, PodId};

/// Asks pods, all at once: it takes as long as the slowest.
async fn ask(pods: Vec<PodId>, question: &str, detail: &str, timeout_ms: u32) -> Vec<Answer> {
    let timeout = Duration::from_millis(timeout_ms.into());
    let answers: Vec<(Answer, Duration)> = pods.into_iter().map(|pod| ask_one(pod, question, detail, timeout)).collect();
    let slowest = answers.iter().map(|(_, after)| *after).max().unwrap_or_default();
    super::pause(slowest).await;
    answers.into_iter().map(|(answer, _)| answer).collect()
}

fn ask_one(id: PodId, question: &str, detail: &str, timeout: Duration) -> (Answer, Duration) {
    let (outcome, after) = super::with(|cluster| {
        cluster.requests.push(format!("{question} {} #{}{detail}", id.cluster, id.seq));
        match cluster.pods.iter_mut().find(|pod| pod.cluster == id.cluster && pod.seq == id.seq) {
            Some(pod) => pod.answer(question, timeout),
            None => (Outcome::NotRegistered, Duration::ZERO),
        }
    });
    let elapsed_ms = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
    (Answer { pod: id, outcome, elapsed_ms }, after)
}

pub(crate) mod registry {
    use super::{ClusterGlob, PodId};
    use crate::generated::ocho::pods::types::{Error, Pod};

    #[expect(clippy::unused_async, reason = "has the form of the generated function")]
    pub(crate) async fn find(clusters: String) -> Result<Vec<Pod>, Error> {
        let pattern = ClusterGlob::new(&clusters);
        crate::pretend::with(|cluster| {
            let now = cluster.clock.now;
            if let Some((_, why)) = cluster.registry_fails.as_ref().filter(|(from, _)| *from <= now) {
                return Err(Error::RegistryUnreachable(why.clone()));
            }
            let there = cluster.pods.iter().filter(|pod| pod.from <= now && pattern.matches(&pod.cluster));
            let mut there: Vec<_> = there.collect();
            there.sort_by_key(|pod| (&pod.cluster, pod.seq));
            Ok(there
                .into_iter()
                .map(|pod| Pod {
                    id: PodId { cluster: pod.cluster.clone(), seq: pod.seq },
                    application: pod.application.clone(),
                    task: pod.task.clone(),
                    registration: "{}".to_owned(),
                })
                .collect())
        })
    }
}

macro_rules! questions {
    ($($interface:ident { $($name:ident: $question:literal),* })*) => {
        $(pub(crate) mod $interface {
            use crate::generated::ocho::pods::types::{Answer, PodId};
            $(pub(crate) async fn $name(pods: Vec<PodId>, timeout_ms: u32) -> Vec<Answer> {
                super::ask(pods, $question, "", timeout_ms).await
            })*
        })*
    };
}

questions! {
    observe { info: "info", log: "log" }
    secrets { info: "info" }
    verbs { on: "control/on", off: "control/off", kill: "control/kill", reregister: "reset" }
}

pub(crate) mod control {
    pub(crate) use super::verbs::{kill, off, on, reregister};
    use crate::generated::ocho::pods::types::{Answer, PodId};

    pub(crate) async fn signal(pods: Vec<PodId>, payload: String, timeout_ms: u32) -> Vec<Answer> {
        super::ask(pods, "control/signal", &format!(" {payload}"), timeout_ms).await
    }
}

pub(crate) mod exec {
    use crate::generated::ocho::pods::types::{Answer, PodId};

    pub(crate) async fn run(pods: Vec<PodId>, command_line: String, files: Vec<String>, timeout_ms: u32) -> Vec<Answer> {
        let detail = format!(" `{command_line}` {files:?}");
        super::ask(pods, "exec", &detail, timeout_ms).await
    }
}

pub(crate) use super::marathon::{inspect, operate};

/// No tool runs here: the pretend cluster is for one.
pub(crate) mod shell {
    use crate::generated::ocho::proxy::types::{Error, Outcome};

    #[expect(clippy::unused_async, reason = "has the form of the generated function")]
    pub(crate) async fn run(argv: Vec<String>, files: Vec<String>) -> Result<Outcome, Error> {
        super::shell_blocking::run(&argv, &files)
    }
}

pub(crate) mod shell_blocking {
    use crate::generated::ocho::proxy::types::{Error, Outcome};

    pub(crate) fn run(argv: &[String], _files: &[String]) -> Result<Outcome, Error> {
        Err(Error::NoSuchTool(argv.first().cloned().unwrap_or_default()))
    }
}
