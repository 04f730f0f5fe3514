//! Everything that the scheduler knows, and the small changes that keep it consistent.
//!
//! A change leaves behind what the world has to hear of it: events, rows to write, processes to start and to end. Whoever
//! changed the state takes that out (`take`) and acts on it once the lock is released.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::deployments::plan::Deployment;
use super::events::{self, Event};
use super::model::app::App;
use super::model::backoff::Backoff;
use super::model::group::Root;
use super::model::id::PathId;
use super::model::task::{Health, Kill, KillReason, Task, TaskFailure, TaskState};
use super::model::time::Timestamp;

/// How many versions of an application, and of the whole tree, are kept.
pub(crate) const VERSIONS_KEPT: usize = 50;

/// All that is known.
pub(crate) struct State {
    /// The name of the machine, as tasks and clients see it.
    pub(crate) host: String,
    pub(crate) root: Arc<Root>,
    pub(crate) history: BTreeMap<Timestamp, Arc<Root>>,
    pub(crate) versions: BTreeMap<PathId, BTreeMap<Timestamp, Arc<App>>>,
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) waits: BTreeMap<PathId, Wait>,
    pub(crate) failures: BTreeMap<PathId, TaskFailure>,
    tasks: BTreeMap<PathId, BTreeMap<String, Task>>,
    owners: HashMap<String, PathId>,
    last_version: Timestamp,
    out: Out,
}

/// What an application waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) backoff: Option<Backoff>,
    /// Since when tasks are missing.
    #[serde(skip)]
    pub(crate) since: Option<Timestamp>,
    /// Instances whose task ended and that get their next one: the instance and its next incarnation.
    #[serde(skip)]
    pub(crate) vacant: Vec<(String, u32)>,
}

/// A row that has to be written again, or deleted if there is nothing behind it any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dirty {
    Root(Timestamp),
    Versions(PathId),
    Task(String),
    Deployment(String),
    Wait(PathId),
    Failure(PathId),
}

/// What a change asks of the world.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) events: Vec<Event>,
    pub(crate) dirty: BTreeSet<Dirty>,
    pub(crate) launches: Vec<Task>,
    pub(crate) kills: Vec<String>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) state: TaskState,
    pub(crate) message: String,
}

impl Out {
    /// Whether nothing has changed that anybody could notice.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dirty.is_empty() && self.launches.is_empty() && self.kills.is_empty()
    }
}

impl State {
    /// An engine that has never run anything.
    pub(crate) fn new(host: String, now: Timestamp) -> Self {
        let root = Arc::new(Root::empty(now));
        let mut state = Self {
            host,
            history: BTreeMap::from([(now, root.clone())]),
            root,
            versions: BTreeMap::new(),
            deployments: Vec::new(),
            waits: BTreeMap::new(),
            failures: BTreeMap::new(),
            tasks: BTreeMap::new(),
            owners: HashMap::new(),
            last_version: now,
            out: Out::default(),
        };
        state.dirty(Dirty::Root(now));
        state
    }

    /// Takes out what the changes so far ask of the world.
    pub(crate) fn take(&mut self) -> Out {
        std::mem::take(&mut self.out)
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.out.events.push(event);
    }

    pub(crate) fn dirty(&mut self, row: Dirty) {
        self.out.dirty.insert(row);
    }

    /// A version that is later than every one before, also within one millisecond.
    pub(crate) fn fresh_version(&mut self, now: Timestamp) -> Timestamp {
        self.last_version = Timestamp(now.0.max(self.last_version.0 + 1));
        self.last_version
    }

    /// Makes later versions later than this one, too.
    pub(crate) fn saw_version(&mut self, version: Timestamp) {
        self.last_version = self.last_version.max(version);
    }

    /// The application as it should be.
    pub(crate) fn app(&self, id: &PathId) -> Option<&Arc<App>> {
        self.root.apps.get(id)
    }

    /// Tasks that are not over, by application and id.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.values().flat_map(BTreeMap::values)
    }

    /// Tasks of one application that are not over, in the order of their ids.
    pub(crate) fn tasks_of(&self, app: &PathId) -> impl Iterator<Item = &Task> {
        self.tasks.get(app).into_iter().flat_map(BTreeMap::values)
    }

    /// A task by its id.
    pub(crate) fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.get(self.owners.get(id)?)?.get(id)
    }

    /// Changes a task and remembers to write it.
    pub(crate) fn change_task<T>(&mut self, id: &str, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let task = self.tasks.get_mut(self.owners.get(id)?)?.get_mut(id)?;
        let result = change(task);
        self.out.dirty.insert(Dirty::Task(id.to_owned()));
        Some(result)
    }

    /// Changes what is not written: the findings of checks.
    pub(crate) fn change_findings<T>(&mut self, id: &str, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        self.tasks.get_mut(self.owners.get(id)?)?.get_mut(id).map(change)
    }

    /// Deployments that touch an application.
    pub(crate) fn deployments_of<'a>(&'a self, app: &'a PathId) -> impl Iterator<Item = &'a Deployment> {
        self.deployments.iter().filter(move |deployment| deployment.stance(app).is_some())
    }

    /// The last bad end of a task of an application.
    pub(crate) fn failure_of(&self, app: &PathId) -> Option<&TaskFailure> {
        self.failures.get(app)
    }

    /// Adds a task that is known from before.
    pub(crate) fn adopt_task(&mut self, task: Task) {
        let app = task.app_id().clone();
        self.owners.insert(task.id.clone(), app.clone());
        self.tasks.entry(app).or_default().insert(task.id.clone(), task);
    }

    /// Adds a new task and asks for its launch.
    pub(crate) fn launch(&mut self, app: &Arc<App>, now: Timestamp) {
        let (instance, incarnation) = self.next_slot(&app.id);
        let checks = app.spec.health_checks.len();
        let task = Task {
            id: format!("{instance}._app.{incarnation}"),
            instance,
            incarnation,
            app: app.clone(),
            state: TaskState::Staging,
            ports: Vec::new(),
            staged_at: now,
            started_at: None,
            ready: app.spec.readiness_checks.is_empty(),
            kill: None,
            health: vec![Health::default(); checks],
            readiness: None,
        };
        self.dirty(Dirty::Task(task.id.clone()));
        self.out.launches.push(task.clone());
        self.adopt_task(task);
        self.rebase_backoff(&app.id, now);
    }

    /// New tasks that have no ports yet.
    pub(crate) fn take_launches(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.out.launches)
    }

    /// Lets a new task start with its ports.
    pub(crate) fn launch_with(&mut self, task: Task, ports: Vec<u16>) {
        self.change_task(&task.id, |known| known.ports.clone_from(&ports));
        self.out.launches.push(Task { ports, ..task });
    }

    fn next_slot(&mut self, app: &PathId) -> (String, u32) {
        let vacant = self.waits.get_mut(app).and_then(|wait| wait.vacant.pop());
        vacant.unwrap_or_else(|| (format!("{}.instance-{}", app.safe(), super::model::uuid()), 1))
    }

    fn rebase_backoff(&mut self, app: &PathId, now: Timestamp) {
        let Some(wait) = self.waits.get_mut(app) else { return };
        if let Some(backoff) = wait.backoff {
            wait.backoff = Some(backoff.rebased(now));
            self.dirty(Dirty::Wait(app.clone()));
        }
    }

    /// Forgets the delay of an application and the instances that wait for their next task.
    pub(crate) fn reset_wait(&mut self, app: &PathId) {
        if self.waits.remove(app).is_some() {
            self.dirty(Dirty::Wait(app.clone()));
        }
    }

    /// Forgets the delay of an application.
    pub(crate) fn reset_backoff(&mut self, app: &PathId) {
        if let Some(wait) = self.waits.get_mut(app) {
            wait.backoff = None;
            self.dirty(Dirty::Wait(app.clone()));
        }
    }

    /// The process of a task runs.
    pub(crate) fn task_started(&mut self, id: &str, now: Timestamp) {
        let started = self.change_task(id, |task| {
            task.started_at = Some(now);
            if task.state == TaskState::Staging {
                task.state = TaskState::Running;
            }
            (task.clone(), task.state)
        });
        if let Some((task, TaskState::Running)) = started {
            self.tell(&task, TaskState::Running, "");
        }
    }

    /// Asks for the end of a task. A second request only hurries nothing.
    pub(crate) fn kill_task(&mut self, id: &str, reason: KillReason, wipe: bool, now: Timestamp) {
        let asked = self.change_task(id, |task| {
            if let Some(kill) = &mut task.kill {
                kill.wipe |= wipe;
                return None;
            }
            task.kill = Some(Kill { reason, since: now, wipe });
            task.state = TaskState::Killing;
            Some(task.clone())
        });
        if let Some(Some(task)) = asked {
            self.tell(&task, TaskState::Killing, "");
            self.out.kills.push(id.to_owned());
        }
    }

    /// A task is over: it leaves the list, and the application hears of it.
    pub(crate) fn task_ended(&mut self, id: &str, ending: Ending, now: Timestamp) {
        let Some(app_id) = self.owners.remove(id) else { return };
        let Some(group) = self.tasks.get_mut(&app_id) else { return };
        let Some(task) = group.remove(id) else { return };
        let was_last = group.is_empty();
        if was_last {
            self.tasks.remove(&app_id);
        }
        self.dirty(Dirty::Task(id.to_owned()));
        let ending = judged(&task, ending);
        self.tell(&task, ending.state, &ending.message);
        match self.app(&app_id).cloned() {
            Some(app) => self.note_end(&app, &task, &ending, now),
            None if was_last => self.emit(events::app_terminated(&app_id)),
            None => {}
        }
    }

    fn note_end(&mut self, app: &App, task: &Task, ending: &Ending, now: Timestamp) {
        let ill = matches!(task.kill, Some(Kill { reason: KillReason::Unhealthy(_), .. }));
        if ending.state.is_failure() || ill {
            self.note_failure(task, ending, now);
        }
        if task.app.config_version() != app.config_version() {
            return;
        }
        if ending.state.delays_launch() {
            let wait = self.waits.entry(app.id.clone()).or_default();
            wait.backoff = Some(Backoff::after_end(wait.backoff, &app.spec, now));
            self.dirty(Dirty::Wait(app.id.clone()));
        }
        let comes_back = match &task.kill {
            None => true,
            Some(kill) => !kill.wipe && !matches!(kill.reason, KillReason::Surplus | KillReason::Outdated),
        };
        let wait = self.waits.entry(app.id.clone()).or_default();
        if comes_back && wait.vacant.len() < app.instances as usize {
            wait.vacant.push((task.instance.clone(), task.incarnation + 1));
        }
    }

    fn note_failure(&mut self, task: &Task, ending: &Ending, now: Timestamp) {
        let app = task.app_id().clone();
        let failure = TaskFailure {
            app_id: app.clone(),
            host: self.host.clone(),
            message: ending.message.clone(),
            state: ending.state,
            task_id: task.id.clone(),
            timestamp: now,
            version: task.app.version,
            slave_id: super::wire::answer::AGENT.to_owned(),
        };
        self.failures.insert(app.clone(), failure);
        self.dirty(Dirty::Failure(app));
    }

    fn tell(&mut self, task: &Task, state: TaskState, message: &str) {
        let events = events::task_changed(task, state, message, &self.host);
        self.out.events.extend(events);
    }

    /// Makes a tree the present one: its versions are listed, and what is gone from it is forgotten.
    pub(crate) fn install(&mut self, root: Arc<Root>) {
        let before = std::mem::replace(&mut self.root, root.clone());
        for app in root.apps.values() {
            if before.apps.get(&app.id).is_none_or(|old| old.version != app.version) {
                self.list_version(app, before.apps.get(&app.id));
            }
        }
        for gone in before.apps.keys().filter(|id| !root.apps.contains_key(*id)) {
            self.forget(gone);
        }
        self.history.insert(root.version(), root.clone());
        self.dirty(Dirty::Root(root.version()));
        while self.history.len() > VERSIONS_KEPT {
            if let Some((version, _)) = self.history.pop_first() {
                self.dirty(Dirty::Root(version));
            }
        }
    }

    fn list_version(&mut self, app: &Arc<App>, before: Option<&Arc<App>>) {
        let list = self.versions.entry(app.id.clone()).or_default();
        list.insert(app.version, app.clone());
        while list.len() > VERSIONS_KEPT {
            list.pop_first();
        }
        self.dirty(Dirty::Versions(app.id.clone()));
        if before.is_some_and(|before| before.config_version() != app.config_version()) {
            self.reset_wait(&app.id);
        }
    }

    fn forget(&mut self, app: &PathId) {
        self.versions.remove(app);
        self.dirty(Dirty::Versions(app.clone()));
        self.reset_wait(app);
        if self.failures.remove(app).is_some() {
            self.dirty(Dirty::Failure(app.clone()));
        }
    }
}

/// What an end means, given what was asked for: a task that was to be killed and went is killed, whatever its exit code.
fn judged(task: &Task, ending: Ending) -> Ending {
    let Some(kill) = &task.kill else { return ending };
    match &kill.reason {
        KillReason::OverMemory(message) => Ending { state: TaskState::Failed, message: message.clone() },
        KillReason::Unhealthy(cause) => {
            Ending { state: TaskState::Killed, message: format!("Task was killed since health check failed. Reason: {cause}") }
        }
        _ => Ending { state: TaskState::Killed, message: ending.message },
    }
}
