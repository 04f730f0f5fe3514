//! The pods' control ports: asking many pods the same thing at once.
//!
//! [`request`] says what is sent, [`connections`] keeps connections, [`exchange`] asks one pod.

mod connections;
mod exchange;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use futures::{FutureExt, pin_mut};
use ocho_core::registration::ControlAddress;
use ocho_core::signature::Token;
use ocho_core::{ClusterGlob, ClusterName, PodId};
use ocho_runtime::host::{Answer, PodOutcome, Pods, Problem, Registry, RegistryError, Verb};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::debug;

use connections::Kept;
use exchange::{Budget, exchange};
use request::Prepared;

/// Clusters looked up at once for one question.
const LOOKUPS_AT_ONCE: usize = 64;

/// Bounds of the fan-out to pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanOut {
    /// Pods that one question asks at once. Default 256.
    pub at_once: usize,
    /// How long a pod keeps its place among those. One that is still silent then is waited for outside, so that hundreds of
    /// silent pods delay nobody else. Default 250 ms.
    pub patience: Duration,
    /// Exchanges under way in all questions together; each is an open connection. Default 4096.
    pub open: usize,
    /// Connections kept for the next question. Default 1024.
    pub kept: usize,
    /// How long they are kept. Default 30 s.
    pub kept_for: Duration,
    /// Bytes of one pod's reply. Default 8 MiB.
    pub reply_bytes: usize,
    /// Bytes of all replies to one question. Default 64 MiB.
    pub replies_bytes: usize,
}

impl Default for FanOut {
    fn default() -> Self {
        Self {
            at_once: 256,
            patience: Duration::from_millis(250),
            open: 4096,
            kept: 1024,
            kept_for: Duration::from_secs(30),
            reply_bytes: 8 << 20,
            replies_bytes: 64 << 20,
        }
    }
}

/// The pods that a registry knows, asked over HTTP.
pub struct PodClient {
    registry: Arc<dyn Registry>,
    limits: FanOut,
    kept: Kept,
    open: Semaphore,
    token: Option<Token>,
}

/// Where the pods of a question are, or why nobody knows.
type Addresses = Result<HashMap<PodId, Option<ControlAddress>>, RegistryError>;

impl PodClient {
    /// A client for the pods in `registry`. It connects when it is asked to.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, limits: FanOut) -> Self {
        let kept = Kept::new(limits.kept, limits.kept_for);
        let open = Semaphore::new(limits.open.clamp(1, Semaphore::MAX_PERMITS));
        Self { registry, limits, kept, open, token: None }
    }

    /// Signs every request, for pods that have the same token in `ochopod_control_token`.
    #[must_use]
    pub fn signing(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    async fn ask_all(&self, pods: Vec<PodId>, verb: Verb, within: Duration) -> Vec<Answer> {
        let request = match Prepared::new(verb, within) {
            Ok(request) => request.signed(self.token.as_ref()),
            Err(problem) => return same_for_all(pods, &PodOutcome::Other(problem)),
        };
        let addresses = match self.addresses(&pods).await {
            Ok(addresses) => addresses,
            Err(error) => return same_for_all(pods, &PodOutcome::Other(registry_problem(error))),
        };
        let places = Semaphore::new(self.limits.at_once.clamp(1, Semaphore::MAX_PERMITS));
        let budget = Budget::new(self.limits.reply_bytes, self.limits.replies_bytes);
        let ask = |(nth, pod): (usize, PodId)| {
            let (addresses, request, places, budget) = (&addresses, &request, &places, &budget);
            async move {
                let (outcome, elapsed) = match addresses.get(&pod) {
                    Some(Some(address)) => self.ask_one(address, request, places, budget).await,
                    Some(None) => (PodOutcome::NoControlPort, Duration::ZERO),
                    None => (PodOutcome::NotRegistered, Duration::ZERO),
                };
                debug!(%pod, elapsed_ms = elapsed.as_millis(), "asked a pod");
                (nth, Answer { pod, outcome, elapsed })
            }
        };
        // Not `buffered`: a silent pod at the head would hold back the ones behind it.
        let mut answers: Vec<_> =
            stream::iter(pods.into_iter().enumerate()).map(ask).buffer_unordered(self.limits.open.max(1)).collect().await;
        answers.sort_unstable_by_key(|(nth, _)| *nth);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Looks up where the pods are, each cluster once.
    async fn addresses(&self, pods: &[PodId]) -> Addresses {
        let clusters: HashSet<&ClusterName> = pods.iter().map(|pod| &pod.cluster).collect();
        let globs: Vec<ClusterGlob> = clusters.into_iter().map(ClusterGlob::exactly).collect();
        let mut lookups = stream::iter(globs).map(|glob| self.registry.find(glob)).buffer_unordered(LOOKUPS_AT_ONCE);
        let mut addresses = HashMap::new();
        while let Some(found) = lookups.next().await {
            addresses.extend(found?.into_iter().map(|pod| (pod.id, pod.registration.control)));
        }
        Ok(addresses)
    }

    async fn ask_one(
        &self,
        address: &ControlAddress,
        request: &Prepared,
        places: &Semaphore,
        budget: &Budget,
    ) -> (PodOutcome, Duration) {
        // Neither is ever closed; without a permit the bound would be missing, not the answer.
        let place = places.acquire().await;
        let _open = self.open.acquire().await;
        let asked = Instant::now();
        let work = timeout(request.within, exchange(&self.kept, address, request, budget));
        pin_mut!(work);
        let outcome = match timeout(self.limits.patience, &mut work).await {
            Ok(outcome) => outcome,
            Err(_silent) => {
                drop(place);
                work.await
            }
        };
        (outcome.unwrap_or(PodOutcome::TimedOut), asked.elapsed())
    }
}

impl Pods for PodClient {
    fn ask(&self, pods: Vec<PodId>, verb: Verb, timeout: Duration) -> BoxFuture<'_, Vec<Answer>> {
        self.ask_all(pods, verb, timeout).boxed()
    }
}

fn same_for_all(pods: Vec<PodId>, outcome: &PodOutcome) -> Vec<Answer> {
    pods.into_iter().map(|pod| Answer { pod, outcome: outcome.clone(), elapsed: Duration::ZERO }).collect()
}

fn registry_problem(error: RegistryError) -> Problem {
    match error {
        RegistryError::Unreachable(message) => Problem::new("registry-unreachable", message),
        RegistryError::Other(problem) => problem,
    }
}
