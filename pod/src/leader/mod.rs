//! What the leader does: watch the cluster, wait until it is quiet, configure every pod, publish.

mod damper;
pub(crate) mod eyes;
mod run;
pub(crate) mod snapshot;
pub(crate) mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use ocho_core::ClusterName;
use ocho_core::signature::Token;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};
use zookeeper_client::{Client, Error};

use crate::cluster::{Cluster, Pods};
use crate::dependency::Dependency;
use crate::face::{Face, Role, Status};
use crate::generation::Generation;
use crate::hooks::HookError;
use crate::leader::damper::Damper;
use crate::leader::eyes::Eyes;
use crate::leader::run::{Outcome, Run, RunSettings};
use crate::leader::topology::{Topology, fingerprint};
use crate::registry::ClusterPaths;
use crate::registry::election::Lead;
use crate::registry::session::steady;

/// How a cluster is led. Every pod of the cluster has the same settings, since each may have to lead.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    /// From noticing a change to the configuration.
    pub damper: Duration,
    /// If set, each further change starts the damper again, up to this long after the first one.
    pub damper_at_most: Option<Duration>,
    /// Between two probes.
    pub probe_every: Duration,
    /// The clusters that this one depends on.
    pub depends_on: Vec<Dependency>,
    /// How long a dependency may look empty before that is believed.
    pub dependency_patience: Duration,
    /// Stop all pods before any is configured.
    pub full_shutdown: bool,
    /// How long a pod may take for one request.
    pub grace: Duration,
    /// One pod after the other, by number.
    pub sequential: bool,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            damper: Duration::ZERO,
            damper_at_most: None,
            probe_every: Duration::from_secs(60),
            depends_on: Vec::new(),
            dependency_patience: Duration::from_secs(30),
            full_shutdown: false,
            grace: Duration::from_secs(60),
            sequential: false,
        }
    }
}

/// Looks at the whole cluster from time to time, on the leader. What it says becomes the status.
pub trait Probe: Send + Sync {
    /// Looks at the topology that was configured last.
    fn probe<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<String, HookError>>;
}

/// A probe that takes longer is given up.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// Everything that a leader needs and that outlives its lead.
pub(crate) struct Leader {
    pub(crate) key: String,
    pub(crate) cluster: ClusterName,
    pub(crate) control_port: String,
    pub(crate) settings: ModelSettings,
    pub(crate) face: Arc<Face>,
    /// What requests to pods are signed with. All pods of a cluster share it.
    pub(crate) token: Option<Token>,
    pub(crate) probe: Option<Arc<dyn Probe>>,
}

impl Leader {
    /// Leads until the lead or the session is lost. May be dropped midway.
    pub(crate) async fn lead(&self, client: &Client, lead: &Lead<'_>) -> Result<Infallible, Error> {
        info!(cluster = %self.cluster, epoch = lead.epoch, "leading");
        let _role = Shown::new(&self.face);
        let paths = ClusterPaths::new(&self.cluster);
        let eyes = Eyes::new(client, &self.cluster, &self.settings.depends_on, self.settings.dependency_patience);
        let damper = Damper::new(self.settings.damper, self.settings.damper_at_most);
        let mut term = Term {
            leader: self,
            client,
            lead,
            paths,
            damper,
            topology: None,
            dead: BTreeSet::new(),
            run: 0,
            reason: None,
            configured: None,
            probe_due: None,
            probes: JoinSet::new(),
        };
        tokio::select! {
            end = term.serve(eyes) => end,
            lost = lead.lost() => { lost?; Err(Error::RuntimeInconsistent) }
        }
    }

    fn run_settings(&self) -> RunSettings {
        RunSettings {
            grace: self.settings.grace,
            full_shutdown: self.settings.full_shutdown,
            sequential: self.settings.sequential,
            control_port: self.control_port.clone(),
            token: self.token.clone(),
        }
    }
}

/// Shows the leader's role and takes it back when the lead ends, however it ends.
struct Shown<'a>(&'a Face);

impl<'a> Shown<'a> {
    fn new(face: &'a Face) -> Self {
        face.change(|view| {
            view.role = Role::Leader;
            view.status = Some(Status::Text(String::new()));
        });
        Self(face)
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.change(|view| {
            view.role = Role::Follower;
            view.status = Some(Status::Text(String::new()));
        });
    }
}

/// One leader's time in office.
struct Term<'a> {
    leader: &'a Leader,
    client: &'a Client,
    lead: &'a Lead<'a>,
    paths: ClusterPaths,
    damper: Damper,
    topology: Option<Topology>,
    /// Pods that answered 410 and do not say in their registration that they are dead.
    dead: BTreeSet<String>,
    /// Counts topologies.
    run: u64,
    /// Why the last attempt failed.
    reason: Option<String>,
    /// The topology that probes are given.
    configured: Option<Cluster>,
    probe_due: Option<Instant>,
    probes: JoinSet<Result<String, HookError>>,
}

impl Term<'_> {
    async fn serve(&mut self, mut eyes: Eyes) -> Result<Infallible, Error> {
        loop {
            tokio::select! {
                seen = eyes.next() => self.look_at(seen.ok_or(Error::SessionExpired)?).await?,
                () = until(self.damper.due()) => self.configure(&mut eyes).await?,
                () = until(self.probe_due) => self.start_probe(),
                Some(probed) = self.probes.join_next() => self.tell_probe(probed),
            }
        }
    }

    /// Takes note of a topology and decides whether it has to be configured.
    async fn look_at(&mut self, seen: Topology) -> Result<(), Error> {
        self.note_strangers(&seen);
        let first = self.topology.is_none();
        let before = self.topology.take().unwrap_or_default();
        // A pod that was found dead is asked again once it has registered anew.
        self.dead.retain(|key| seen.local.pods.get(key).is_some_and(|pod| before.local.pods.get(key) == Some(pod)));
        if first || before.local.pods != seen.local.pods || before.dependencies != seen.dependencies {
            self.run += 1;
        }
        self.topology = Some(seen);
        self.compare(first).await
    }

    fn note_strangers(&self, seen: &Topology) {
        let known = self.topology.as_ref().map(|topology| &topology.local.unreadable);
        for (node, reason) in &seen.local.unreadable {
            if known.is_none_or(|known| known.get(node) != Some(reason)) {
                warn!(node, reason, "passed over a node that is no pod's registration");
            }
        }
    }

    async fn compare(&mut self, first: bool) -> Result<(), Error> {
        let (pods, hash) = self.present();
        let (stored, _) = steady(self.client, || self.client.get_data(&self.paths.hash())).await?;
        if stored == hash.as_bytes() {
            self.damper.settled();
            self.reason = None;
            self.publish(&pods).await?;
            self.show_quiet();
            self.remember(pods);
            return Ok(());
        }
        if first {
            // Dependants would otherwise see nobody until the configuration is through.
            let before = self.leader.face.configured_pods();
            let still_there: Pods = pods.into_iter().filter(|(key, _)| before.contains(key)).collect();
            self.publish(&still_there).await?;
        }
        self.damper.differs(Instant::now());
        self.show_pending();
        Ok(())
    }

    /// The pods that live, as far as is known, and the fingerprint of that topology.
    fn present(&self) -> (Pods, String) {
        let Some(topology) = &self.topology else { return (Pods::new(), String::new()) };
        let living = topology.local.pods.iter().filter(|(key, _)| !self.dead.contains(*key));
        let pods: Pods = living.map(|(key, pod)| (key.clone(), pod.clone())).collect();
        let hash = fingerprint(&pods, &topology.dependencies);
        (pods, hash)
    }

    /// Runs a configuration and watches on meanwhile. A run that waits for a pod that has left is given up.
    async fn configure(&mut self, eyes: &mut Eyes) -> Result<(), Error> {
        let (pods, _) = self.present();
        let dependencies = self.topology.as_ref().map(|topology| topology.dependencies.clone()).unwrap_or_default();
        let generation = Generation { epoch: self.lead.epoch, run: self.run };
        let leader = self.leader.key.clone();
        self.show_configuring(pods.len());
        let settings = self.leader.run_settings();
        let mut running =
            Run { pods: pods.clone(), dependencies: dependencies.clone(), generation, leader }.configure(&settings).boxed();
        let mut seen = None;
        let outcome = loop {
            tokio::select! {
                outcome = &mut running => break outcome,
                next = eyes.next() => {
                    let next = next.ok_or(Error::SessionExpired)?;
                    let left = pods.keys().any(|key| !next.local.pods.contains_key(key));
                    seen = Some(next);
                    if left {
                        break Outcome::Failed { reason: "a pod left meanwhile".to_owned(), dead: BTreeSet::new() };
                    }
                }
            }
        };
        drop(running);
        match outcome {
            Outcome::Configured { dead } => self.succeed(pods, &dependencies, dead).await?,
            Outcome::Failed { reason, dead } => self.fail(reason, dead),
        }
        match seen {
            Some(seen) => self.look_at(seen).await,
            None => Ok(()),
        }
    }

    async fn succeed(
        &mut self,
        mut pods: Pods,
        dependencies: &BTreeMap<String, Pods>,
        dead: BTreeSet<String>,
    ) -> Result<(), Error> {
        pods.retain(|key, _| !dead.contains(key));
        self.dead.extend(dead);
        self.publish(&pods).await?;
        let hash = fingerprint(&pods, dependencies);
        steady(self.client, || self.lead.lock().set_data(&self.paths.hash(), hash.as_bytes(), None)).await?;
        info!(pods = pods.len(), "the cluster is configured");
        self.damper.settled();
        self.reason = None;
        self.show_quiet();
        self.remember(pods);
        Ok(())
    }

    fn fail(&mut self, reason: String, dead: BTreeSet<String>) {
        warn!(reason, "cannot configure, trying again");
        self.dead.extend(dead);
        self.damper.failed(Instant::now());
        self.reason = Some(reason);
        self.show_pending();
    }

    async fn publish(&self, pods: &Pods) -> Result<(), Error> {
        snapshot::publish(self.client, self.lead, &self.paths.snapshot(), pods).await
    }

    fn show(&self, role: Role, status: Option<Status>) {
        self.leader.face.change(|view| {
            view.role = role;
            if status.is_some() {
                view.status = status;
            }
        });
    }

    fn show_pending(&self) {
        let until = self.damper.due().unwrap_or_else(Instant::now);
        self.show(Role::Pending, Some(Status::Countdown { until, reason: self.reason.clone() }));
    }

    fn show_configuring(&self, pods: usize) {
        self.show(Role::Configuring, Some(Status::Text(format!("* configuring {pods} pods"))));
    }

    fn show_quiet(&self) {
        self.show(Role::Leader, Some(Status::Text(String::new())));
    }

    /// Makes these pods the topology that probes look at, and probes at once.
    fn remember(&mut self, pods: Pods) {
        let dependencies = self.topology.as_ref().map(|topology| topology.dependencies.clone()).unwrap_or_default();
        let key = self.leader.key.clone();
        let seq = pods.get(&key).and_then(crate::cluster::seq_of);
        let leader = Some(key.clone());
        self.configured = seq.map(|seq| Cluster { key, pods, dependencies, seq, leader, generation: None });
        self.probe_due = self.leader.probe.is_some().then(Instant::now);
    }

    fn start_probe(&mut self) {
        self.probe_due = Some(Instant::now() + self.leader.settings.probe_every.max(Duration::from_millis(100)));
        let (Some(probe), Some(cluster)) = (self.leader.probe.clone(), self.configured.clone()) else { return };
        // The one before is still at it.
        if self.probes.is_empty() {
            self.probes.spawn(async move {
                let late = || HookError::new(format!("probe took longer than {} s", PROBE_LIMIT.as_secs()));
                timeout(PROBE_LIMIT, probe.probe(&cluster)).await.unwrap_or_else(|_| Err(late()))
            });
        }
    }

    fn tell_probe(&mut self, probed: Result<Result<String, HookError>, tokio::task::JoinError>) {
        if self.damper.due().is_some() {
            return;
        }
        let text = match probed {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => format!("* {error}"),
            Err(_) => "* probe() failed (check the code)".to_owned(),
        };
        self.show(Role::Leader, Some(Status::Text(text)));
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
