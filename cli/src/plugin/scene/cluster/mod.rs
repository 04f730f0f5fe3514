//! The pretend cluster of a scene: one more implementation of the traits through which the runtime reaches the world.
//!
//! One file for each trait. All of them share what stands here: pods, apps, and the list of what was asked and ordered.

mod apps;
mod deployments;
mod marathon;
mod pods;
mod registry;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ocho_runtime::host::{Clock as _, MarathonEvent, World};
use serde_json::Value;
use tokio::sync::Notify;

use self::apps::App;
use self::deployments::Running;
use self::pods::Pod;
use super::clock::VirtualClock;
use super::format::{RefusePart, SceneFile, ShellPart};

/// A pretend cluster. Cheap to clone: all clones are the same cluster.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    clock: Arc<VirtualClock>,
    state: Mutex<State>,
    /// Told whenever something is not as before.
    changed: Notify,
}

/// Something that the cluster was asked or ordered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    /// `kill test.web #3`, `PUT /v2/apps/test/web`, ...
    pub(crate) text: String,
    /// What came with it.
    pub(crate) body: Option<Value>,
    /// Whether it may change something.
    pub(crate) is_order: bool,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// Time of day at the clock's start, since 1970.
    start: Duration,
    registry_fails: Option<String>,
    marathon_fails: Option<String>,
    pods: Vec<Pod>,
    apps: BTreeMap<String, App>,
    running: Vec<Running>,
    deployments_made: u32,
    deploys_in: Duration,
    boots_in: Option<Duration>,
    boots_left: Option<u32>,
    boots_as: Option<String>,
    refusals: Vec<RefusePart>,
    /// Sorted by their moment.
    events: Vec<(Duration, MarathonEvent)>,
    tools: Vec<ShellPart>,
    heard: Vec<Heard>,
}

impl Cluster {
    /// The cluster of a scene at its beginning.
    pub(crate) fn new(scene: &SceneFile, clock: Arc<VirtualClock>) -> Self {
        let mut state = State { start: clock.time_of_day(), ..State::default() };
        state.registry_fails = scene.registry.clone().unwrap_or_default().fails;
        state.tools = scene.shell.clone().unwrap_or_default();
        let marathon = scene.marathon.clone().unwrap_or_default();
        state.marathon_fails = marathon.fails;
        state.deploys_in = marathon.deploys_in.0;
        state.boots_in = marathon.boots_in.map(|span| span.0);
        state.boots_left = marathon.boots;
        state.boots_as = marathon.boots_as;
        state.refusals = marathon.refuse;
        for pod in scene.pod.iter().flatten() {
            state.add_pods(pod);
        }
        for app in &marathon.app {
            state.add_app(app);
        }
        for event in &marathon.event {
            state.tell(event.at.0, &event.kind, &event.data);
        }
        Self(Arc::new(Inner { clock, state: Mutex::new(state), changed: Notify::new() }))
    }

    /// The world as a run sees it.
    pub(crate) fn world(&self) -> World {
        let this = Arc::new(self.clone());
        World { registry: this.clone(), pods: this.clone(), marathon: this.clone(), shell: this }
    }

    /// All that was asked and ordered, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.lock().heard.clone()
    }

    fn now(&self) -> Duration {
        self.0.clock.now()
    }

    /// Changes or reads what is there, as it is now.
    fn lock(&self) -> MutexGuard<'_, State> {
        let now = self.now();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = now;
        state
    }

    /// Changes what is there, and tells those who follow it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.0.changed.notify_waiters();
        changed
    }

    async fn pause(&self, span: Duration) {
        let until = self.now().saturating_add(span);
        self.0.clock.wait_until(until).await;
    }
}

impl State {
    fn hear(&mut self, text: String, body: Option<Value>, is_order: bool) {
        self.heard.push(Heard { text, body, is_order });
    }

    /// A moment of the clock as Marathon writes it.
    fn timestamp(&self, moment: Duration) -> String {
        let since = i64::try_from((self.start + moment).as_millis()).unwrap_or(i64::MAX);
        let time = chrono::DateTime::from_timestamp_millis(since).unwrap_or_default();
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }
}
