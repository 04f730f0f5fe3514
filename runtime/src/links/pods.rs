//! `ocho:pods`: who is there, asking pods and steering them. Secrets are masked here, for every host and every plugin.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use ocho_core::masking;
use ocho_core::{ClusterGlob, PodId, PodSeq};
use serde_json::Value;
use wasmtime::component::{Accessor, FutureReader, StreamReader};

use super::streams::follow;
use super::{Ocho, reach};
use crate::bindings::ocho::pods::{control, exec, observe, registry, secrets, types};
use crate::host::{Answer, Pod, PodOutcome, Problem, RegistryError, Verb};
use crate::state::Reach;

/// A call never waits longer for pods, whatever the guest says; the run's own limit ends it earlier as a rule.
const TIMEOUT_MAX: Duration = Duration::from_secs(6 * 60 * 60);

impl types::Host for &mut Arc<Reach> {}
impl registry::Host for &mut Arc<Reach> {}
impl observe::Host for &mut Arc<Reach> {}
impl secrets::Host for &mut Arc<Reach> {}
impl control::Host for &mut Arc<Reach> {}
impl exec::Host for &mut Arc<Reach> {}

type Pods = Vec<types::Pod>;
type PodIds = Vec<types::PodId>;
type Answers = wasmtime::Result<Vec<types::Answer>>;

impl<T: Send + 'static> registry::HostWithStore<T> for Ocho {
    async fn find(accessor: &Accessor<T, Self>, clusters: String) -> wasmtime::Result<Result<Pods, types::Error>> {
        let reach = reach(accessor);
        let registry = reach.world.registry.clone();
        let find = async move {
            let pods = registry.find(ClusterGlob::new(&clusters)).await?;
            Ok(pods.into_iter().map(Into::into).collect())
        };
        reach.aside(find).await
    }

    async fn changes(
        accessor: &Accessor<T, Self>,
        clusters: String,
    ) -> wasmtime::Result<(StreamReader<Pods>, FutureReader<Result<(), types::Error>>)> {
        let reach = reach(accessor);
        let place = reach.under_way.stream()?;
        let lists = reach.world.registry.changes(ClusterGlob::new(&clusters));
        let lists = lists.map(|list| list.map(|pods| pods.into_iter().map(Into::into).collect()).map_err(Into::into));
        let (items, end) = follow::<Pods, types::Error>(lists.boxed(), place);
        accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, items)?;
            let end = FutureReader::new(&mut access, end)?;
            Ok((stream, end))
        })
    }
}

impl<T: Send> observe::HostWithStore<T> for Ocho {
    async fn info(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::Info, timeout_ms).await
    }

    async fn log(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::Log, timeout_ms).await
    }
}

impl<T: Send> secrets::HostWithStore<T> for Ocho {
    async fn info(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask_unmasked(reach(accessor), pods, Verb::Info, timeout_ms).await
    }
}

impl<T: Send> control::HostWithStore<T> for Ocho {
    async fn on(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::On, timeout_ms).await
    }

    async fn off(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::Off, timeout_ms).await
    }

    async fn kill(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::Kill, timeout_ms).await
    }

    async fn signal(accessor: &Accessor<T, Self>, pods: PodIds, payload: String, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::Signal(payload), timeout_ms).await
    }

    async fn reregister(accessor: &Accessor<T, Self>, pods: PodIds, timeout_ms: u32) -> Answers {
        ask(reach(accessor), pods, Verb::Reregister, timeout_ms).await
    }
}

impl<T: Send> exec::HostWithStore<T> for Ocho {
    async fn run(
        accessor: &Accessor<T, Self>,
        pods: PodIds,
        command_line: String,
        files: Vec<String>,
        timeout_ms: u32,
    ) -> Answers {
        let reach = reach(accessor);
        match reach.read_files(&files) {
            Ok(files) => ask(reach, pods, Verb::Exec { command_line, files }, timeout_ms).await,
            // Nothing was asked, and each pod's answer says why.
            Err(problem) => Ok(pods.into_iter().map(|pod| other(pod, problem.clone())).collect()),
        }
    }
}

async fn ask(reach: Arc<Reach>, pods: PodIds, verb: Verb, timeout_ms: u32) -> Answers {
    let mut answers = ask_unmasked(reach, pods, verb, timeout_ms).await?;
    for answer in &mut answers {
        if let types::Outcome::Replied(reply) = &mut answer.outcome {
            mask_text(&mut reply.body);
        }
    }
    Ok(answers)
}

/// Pods whose names are no names get their answer without being asked; the order stays.
async fn ask_unmasked(reach: Arc<Reach>, pods: PodIds, verb: Verb, timeout_ms: u32) -> Answers {
    let known: Vec<Option<PodId>> = pods.iter().map(pod_id).collect();
    let timeout = Duration::from_millis(timeout_ms.into()).min(TIMEOUT_MAX);
    let asked = known.iter().flatten().cloned().collect();
    let control = reach.world.pods.clone();
    let answers = reach.aside(async move { control.ask(asked, verb, timeout).await }).await?;
    let mut answers = answers.into_iter();
    let answer = |(pod, known): (types::PodId, Option<PodId>)| match known.and_then(|_| answers.next()) {
        Some(answer) => answer.into(),
        None => types::Answer { pod, outcome: types::Outcome::NotRegistered, elapsed_ms: 0 },
    };
    Ok(pods.into_iter().zip(known).map(answer).collect())
}

fn mask_text(json: &mut String) {
    if let Ok(mut value) = serde_json::from_str::<Value>(json) {
        masking::mask(&mut value);
        *json = value.to_string();
    }
}

fn pod_id(pod: &types::PodId) -> Option<PodId> {
    Some(PodId { cluster: pod.cluster.parse().ok()?, seq: PodSeq(pod.seq) })
}

fn other(pod: types::PodId, problem: Problem) -> types::Answer {
    types::Answer { pod, outcome: types::Outcome::Other(problem.into()), elapsed_ms: 0 }
}

impl From<PodId> for types::PodId {
    fn from(id: PodId) -> Self {
        Self { cluster: id.cluster.into(), seq: id.seq.0 }
    }
}

impl From<Pod> for types::Pod {
    fn from(pod: Pod) -> Self {
        let mut registration = Value::Object(pod.registration.all);
        masking::mask(&mut registration);
        Self {
            id: pod.id.into(),
            application: pod.registration.application,
            task: pod.registration.task,
            registration: registration.to_string(),
        }
    }
}

impl From<Answer> for types::Answer {
    fn from(answer: Answer) -> Self {
        let outcome = match answer.outcome {
            PodOutcome::Replied { status, body } => types::Outcome::Replied(types::Reply { status, body }),
            PodOutcome::TimedOut => types::Outcome::TimedOut,
            PodOutcome::Unreachable(why) => types::Outcome::Unreachable(why),
            PodOutcome::NoControlPort => types::Outcome::NoControlPort,
            PodOutcome::NotRegistered => types::Outcome::NotRegistered,
            PodOutcome::Other(problem) => types::Outcome::Other(problem.into()),
        };
        let elapsed_ms = u32::try_from(answer.elapsed.as_millis()).unwrap_or(u32::MAX);
        Self { pod: answer.pod.into(), outcome, elapsed_ms }
    }
}

impl From<Problem> for types::Problem {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, message: problem.message }
    }
}

impl From<RegistryError> for types::Error {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Unreachable(why) => Self::RegistryUnreachable(why),
            RegistryError::Other(problem) => Self::Other(problem.into()),
        }
    }
}
