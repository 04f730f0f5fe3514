//! `ocho:marathon`: reading and changing apps.

use std::sync::Arc;

use futures::StreamExt as _;
use wasmtime::component::{Accessor, FutureReader, StreamReader};

use super::streams::follow;
use super::{Ocho, reach};
use crate::bindings::ocho::marathon::{inspect, operate, types};
use crate::host::{Deployment, Marathon, MarathonError, MarathonEvent, MarathonResult, Refusal};
use crate::state::Reach;

impl types::Host for &mut Arc<Reach> {}
impl inspect::Host for &mut Arc<Reach> {}
impl operate::Host for &mut Arc<Reach> {}

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

/// Asks Marathon one thing, aside from the guest.
async fn ask<S: Send, T, G, F>(accessor: &Accessor<S, Ocho>, question: G) -> Reply<T>
where
    T: Send + 'static,
    G: FnOnce(Arc<dyn Marathon>) -> F,
    F: Future<Output = MarathonResult<T>> + Send + 'static,
{
    let reach = reach(accessor);
    let answer = question(reach.world.marathon.clone());
    Ok(reach.aside(answer).await?.map_err(Into::into))
}

impl<S: Send + 'static> inspect::HostWithStore<S> for Ocho {
    async fn apps(accessor: &Accessor<S, Self>, query: Vec<(String, String)>) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.apps(query).await }).await
    }

    async fn app(accessor: &Accessor<S, Self>, id: String) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.app(id).await }).await
    }

    async fn versions(accessor: &Accessor<S, Self>, id: String) -> Reply<Vec<String>> {
        ask(accessor, |marathon| async move { marathon.versions(id).await }).await
    }

    async fn version(accessor: &Accessor<S, Self>, id: String, version: String) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.version(id, version).await }).await
    }

    async fn tasks(accessor: &Accessor<S, Self>, id: Option<String>) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.tasks(id).await }).await
    }

    async fn deployments(accessor: &Accessor<S, Self>) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.deployments().await }).await
    }

    async fn queue(accessor: &Accessor<S, Self>) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.queue().await }).await
    }

    async fn events(
        accessor: &Accessor<S, Self>,
        kinds: Vec<String>,
    ) -> wasmtime::Result<(StreamReader<types::Event>, FutureReader<Result<(), types::Error>>)> {
        let reach = reach(accessor);
        let place = reach.under_way.stream()?;
        let events = reach.world.marathon.events(kinds);
        let events = events.map(|event| event.map(Into::into).map_err(Into::into));
        let (items, end) = follow::<types::Event, types::Error>(events.boxed(), place);
        accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, items)?;
            let end = FutureReader::new(&mut access, end)?;
            Ok((stream, end))
        })
    }
}

impl<S: Send> operate::HostWithStore<S> for Ocho {
    async fn create_app(accessor: &Accessor<S, Self>, definition: String) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.create_app(definition).await }).await
    }

    async fn update_app(accessor: &Accessor<S, Self>, id: String, change: String, force: bool) -> Reply<types::Deployment> {
        ask(accessor, |marathon| async move { marathon.update_app(id, change, force).await.map(Into::into) }).await
    }

    async fn restart_app(accessor: &Accessor<S, Self>, id: String, force: bool) -> Reply<types::Deployment> {
        ask(accessor, |marathon| async move { marathon.restart_app(id, force).await.map(Into::into) }).await
    }

    async fn delete_app(accessor: &Accessor<S, Self>, id: String, force: bool) -> Reply<types::Deployment> {
        ask(accessor, |marathon| async move { marathon.delete_app(id, force).await.map(Into::into) }).await
    }

    async fn kill_tasks(accessor: &Accessor<S, Self>, ids: Vec<String>, scale: bool, wipe: bool) -> Reply<String> {
        ask(accessor, |marathon| async move { marathon.kill_tasks(ids, scale, wipe).await }).await
    }

    async fn cancel_deployment(accessor: &Accessor<S, Self>, id: String, force: bool) -> Reply<()> {
        ask(accessor, |marathon| async move { marathon.cancel_deployment(id, force).await }).await
    }
}

impl From<MarathonError> for types::Error {
    fn from(error: MarathonError) -> Self {
        match error {
            MarathonError::Unreachable(why) => Self::Unreachable(why),
            MarathonError::TimedOut(after) => Self::Timeout(u32::try_from(after.as_millis()).unwrap_or(u32::MAX)),
            MarathonError::NotFound(what) => Self::NotFound(what),
            MarathonError::Locked(by) => Self::Locked(by),
            MarathonError::Invalid(refusal) => Self::Invalid(refusal.into()),
            MarathonError::Denied(refusal) => Self::Denied(refusal.into()),
            MarathonError::Refused(refusal) => Self::Refused(refusal.into()),
            MarathonError::Other(problem) => Self::Other(types::Problem { code: problem.code, message: problem.message }),
        }
    }
}

impl From<Refusal> for types::Refusal {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status, message: refusal.message, body: refusal.body }
    }
}

impl From<Deployment> for types::Deployment {
    fn from(deployment: Deployment) -> Self {
        Self { id: deployment.id, version: deployment.version }
    }
}

impl From<MarathonEvent> for types::Event {
    fn from(event: MarathonEvent) -> Self {
        Self { kind: event.kind, data: event.data }
    }
}
