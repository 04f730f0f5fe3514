//! The scheduler at work: one lock around what is known, one way to change it, and what follows from a change.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::SchedulerConfig;
use super::events::Event;
use super::model::task::{KillReason, Task, TaskState};
use super::model::time::Timestamp;
use super::reconcile::Machine;
use super::state::{Dirty, Ending, Out, State};
use super::store::Store;
use super::tasks::memory::{Cgroups, Watched};
use super::tasks::ports;
use super::tasks::run::{Begin, supervise};

/// A reader of events that is further behind than this is dropped.
const EVENTS_BEHIND_MAX: usize = 1024;

/// Processes that are being started at once. More only compete for the same processors.
const LAUNCHES_AT_ONCE: usize = 8;

/// How long to wait before rows that could not be written are tried again. A full disk does not get empty at once.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// How urgently a task has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    None,
    /// SIGTERM, and SIGKILL after the grace period.
    Graceful,
    Now,
}

/// What reaches the supervisor of a task, and the shim behind it.
struct Hand {
    order: watch::Sender<Urgency>,
    /// The shim, and the memory that it is watched for.
    watched: Option<Watched>,
}

/// What the lock guards.
struct Inner {
    state: State,
    store: Store,
    /// Rows that could not be written so far.
    unwritten: BTreeSet<Dirty>,
}

impl Inner {
    /// Changes the state and writes what changed. Says what else follows, and whether anything does: rows that are only tried
    /// again are no change, or a full disk would keep everybody busy.
    fn change<T>(&mut self, change: impl FnOnce(&mut State) -> T) -> (T, Out, bool) {
        let result = change(&mut self.state);
        self.state.begin_new();
        let mut out = self.state.take();
        let changed = !out.is_empty();
        let mut rows = std::mem::take(&mut out.dirty);
        rows.append(&mut self.unwritten);
        if let Err(error) = self.store.write(&self.state, &rows) {
            tracing::error!(error = &error as &dyn std::error::Error, rows = rows.len(), "cannot write the state, trying again");
            self.unwritten = rows;
        }
        (result, out, changed)
    }
}

/// The scheduler at work.
pub(crate) struct Engine {
    pub(crate) config: SchedulerConfig,
    pub(crate) address: SocketAddr,
    pub(crate) started: Timestamp,
    pub(crate) launch_permits: Semaphore,
    pub(crate) probes: super::health::Probes,
    pub(crate) cgroups: Option<Cgroups>,
    pub(crate) levels: super::http::logging::Levels,
    pub(crate) stop: CancellationToken,
    machine: Machine,
    inner: Mutex<Inner>,
    changed: Notify,
    events: broadcast::Sender<Arc<Event>>,
    hands: Mutex<HashMap<String, Hand>>,
    supervisors: TaskTracker,
    /// Ended tasks whose folders are still there, oldest first.
    ended: Mutex<VecDeque<String>>,
}

impl Engine {
    pub(crate) fn new(config: SchedulerConfig, address: SocketAddr, state: State, store: Store) -> Arc<Self> {
        let machine = Machine { hostname: config.hostname.clone(), attributes: config.attributes.clone() };
        Arc::new(Self {
            config,
            address,
            started: Timestamp::now(),
            launch_permits: Semaphore::new(LAUNCHES_AT_ONCE),
            probes: super::health::Probes::new(),
            cgroups: Cgroups::probe(),
            levels: super::http::logging::Levels::default(),
            stop: CancellationToken::new(),
            machine,
            inner: Mutex::new(Inner { state, store, unwritten: BTreeSet::new() }),
            changed: Notify::new(),
            events: broadcast::Sender::new(EVENTS_BEHIND_MAX),
            hands: Mutex::default(),
            supervisors: TaskTracker::new(),
            ended: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of all tasks.
    pub(crate) fn tasks_folder(&self) -> PathBuf {
        self.config.data.join("tasks")
    }

    /// Looks at what is known.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// Changes what is known. The change is written before its events are told; then its orders are carried out.
    pub(crate) fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, changed) = self.apply(change);
        if changed {
            self.changed.notify_one();
        }
        result
    }

    /// Returns whether anything followed from the change.
    fn apply<T>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> T) -> (T, bool) {
        let (result, changed, launches, kills) = {
            let mut inner = self.lock();
            let (result, out, changed) = inner.change(change);
            for event in out.events {
                // An error says that nobody listens.
                let _ = self.events.send(Arc::new(event));
            }
            (result, changed, out.launches, out.kills)
        };
        launches.into_iter().for_each(|task| self.watch_over(task, Begin::Launch));
        kills.iter().for_each(|id| self.order(id, Urgency::Graceful));
        (result, changed)
    }

    /// Changes what checks found, which is not written. `change` says whether it matters to deployments.
    pub(crate) fn note(self: &Arc<Self>, change: impl FnOnce(&mut State) -> bool) {
        let (matters, changed) = self.apply(change);
        if matters || changed {
            self.changed.notify_one();
        }
    }

    /// Tells an event that goes with no change.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(Arc::new(event));
    }

    /// Listens to events from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Starts the supervisor of a task, new or adopted.
    pub(crate) fn watch_over(self: &Arc<Self>, task: Task, begin: Begin) {
        let (order, orders) = watch::channel(Urgency::None);
        lock(&self.hands).insert(task.id.clone(), Hand { order, watched: None });
        self.supervisors.spawn(supervise(self.clone(), task, begin, orders));
    }

    /// Makes a task end, or end faster.
    pub(crate) fn order(&self, id: &str, urgency: Urgency) {
        if let Some(hand) = lock(&self.hands).get(id) {
            hand.order.send_if_modified(|known| {
                let more = urgency > *known;
                *known = urgency.max(*known);
                more
            });
        }
    }

    /// The memory of a task is to be watched.
    pub(crate) fn watch_memory(&self, watched: Watched) {
        if let Some(hand) = lock(&self.hands).get_mut(&watched.task) {
            hand.watched = Some(watched);
        }
    }

    /// Tasks whose memory is to be watched.
    pub(crate) fn watched_memory(&self) -> Vec<Watched> {
        lock(&self.hands).values().filter_map(|hand| hand.watched.clone()).collect()
    }

    /// A supervisor is done. Its folder stays until newer ones push it out.
    pub(crate) fn task_over(self: &Arc<Self>, id: &str, ending: Ending) {
        lock(&self.hands).remove(id);
        let now = Timestamp::now();
        self.change(|state| state.task_ended(id, ending, now));
        self.retire(id.to_owned());
    }

    /// Remembers the folder of an ended task, and removes the oldest ones.
    pub(crate) fn retire(&self, id: String) {
        let mut ended = lock(&self.ended);
        ended.push_back(id);
        while ended.len() > self.config.sandboxes_kept {
            let Some(oldest) = ended.pop_front() else { return };
            let folder = self.tasks_folder().join(oldest);
            tokio::task::spawn_blocking(move || {
                if let Err(error) = std::fs::remove_dir_all(&folder) {
                    tracing::warn!(%error, folder = %folder.display(), "cannot remove the folder of an ended task");
                }
            });
        }
    }

    /// Compares what should be with what is, again and again, until told to stop.
    pub(crate) async fn drive(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let wake = self.tick();
            let rest = wake.map_or(Duration::from_secs(3600), |wake| wake.since(Timestamp::now()));
            let rest = if self.lock().unwritten.is_empty() { rest } else { rest.min(WRITE_AGAIN) };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// One comparison. Says when the next one is due without any change.
    fn tick(self: &Arc<Self>) -> Option<Timestamp> {
        let now = Timestamp::now();
        self.change(|state| {
            state.advance();
            let wake = state.reconcile(&self.machine, now);
            self.choose_ports(state, now);
            wake
        })
    }

    fn choose_ports(&self, state: &mut State, now: Timestamp) {
        let launches = state.take_launches();
        if launches.is_empty() {
            return;
        }
        let mut held: BTreeMap<u16, String> = BTreeMap::new();
        for task in state.tasks() {
            held.extend(task.ports.iter().map(|port| (*port, task.id.clone())));
        }
        for task in launches {
            match ports::choose(&task.app.ports(), &self.config.task_ports, &held) {
                Ok(ports) => {
                    held.extend(ports.iter().map(|port| (*port, task.id.clone())));
                    state.launch_with(task, ports);
                }
                Err(error) => {
                    let ending = Ending { state: TaskState::Failed, message: error.to_string() };
                    state.task_ended(&task.id, ending, now);
                }
            }
        }
    }

    /// Ends all tasks, with their grace periods as far as `stop_grace` allows. No new ones start meanwhile.
    pub(crate) async fn stop_tasks(self: &Arc<Self>) {
        let now = Timestamp::now();
        self.change(|state| {
            let ids: Vec<String> = state.tasks().map(|task| task.id.clone()).collect();
            ids.iter().for_each(|id| state.kill_task(id, KillReason::Asked, false, now));
        });
        self.supervisors.close();
        if tokio::time::timeout(self.config.stop_grace, self.supervisors.wait()).await.is_ok() {
            return;
        }
        let left: BTreeSet<String> = lock(&self.hands).keys().cloned().collect();
        tracing::warn!(tasks_left = left.len(), "the grace period is over, ending the tasks that are left");
        left.iter().for_each(|id| self.order(id, Urgency::Now));
        if tokio::time::timeout(Duration::from_secs(10), self.supervisors.wait()).await.is_err() {
            tracing::error!("some tasks did not end");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::model::id::PathId;
    use crate::scheduler::state::Wait;

    #[test]
    fn what_cannot_be_written_is_written_later_and_wakes_nobody_meanwhile() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("scheduler.sqlite");
        let store = Store::open(&path).expect("made");
        let mut inner = Inner { state: State::new("h".into(), Timestamp(1)), store, unwritten: BTreeSet::new() };
        inner.change(|_| ());
        inner.store.limit_pages(1);
        let (.., changed) = inner.change(|state| {
            for nth in 0..1000 {
                let app = PathId::absolute(&format!("/app-{nth}"));
                state.waits.insert(app.clone(), Wait::default());
                state.dirty(Dirty::Wait(app));
            }
        });
        assert!(changed && inner.unwritten.len() == 1000);
        let (.., changed) = inner.change(|_| ());
        assert!(!changed && inner.unwritten.len() == 1000);

        inner.store.limit_pages(1_000_000);
        let (.., changed) = inner.change(|_| ());
        assert!(!changed && inner.unwritten.is_empty());
        drop(inner);
        let found = Store::open(&path).and_then(|store| store.load("h".into(), Timestamp(2))).expect("it reads");
        assert_eq!(found.waits.len(), 1000);
    }
}
