//! What is missing and what is too much: compares the tasks of an application with what it should have.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;

use super::deployments::plan::Stance;
use super::model::app::{App, KillSelection};
use super::model::id::PathId;
use super::model::task::{KillReason, Task, TaskState};
use super::model::time::Timestamp;
use super::state::State;

/// Tasks of one application that may be on their way up at once. The others follow as these start: a slip in a number of
/// instances does not take the memory of the machine.
const STAGING_MAX: usize = 1000;

/// The machine as constraints see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) hostname: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What to do about one application.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) missing: usize,
    pub(crate) kills: Vec<(String, KillReason)>,
}

/// An application whose tasks cannot all be launched yet.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) app: Arc<App>,
    pub(crate) count: usize,
    /// When the delay ends, if there is one.
    pub(crate) until: Option<Timestamp>,
    pub(crate) since: Timestamp,
}

impl State {
    /// Kills what is too much, launches what is missing and may be launched. Returns when to look again.
    pub(crate) fn reconcile(&mut self, machine: &Machine, now: Timestamp) -> Option<Timestamp> {
        let gone: Vec<String> = self
            .tasks()
            .filter(|task| !task.is_dying() && self.app(task.app_id()).is_none())
            .map(|task| task.id.clone())
            .collect();
        for id in gone {
            self.kill_task(&id, KillReason::AppGone, false, now);
        }
        let apps: Vec<Arc<App>> = self.root.apps.values().cloned().collect();
        apps.iter().filter_map(|app| self.reconcile_app(app, machine, now)).min()
    }

    fn reconcile_app(&mut self, app: &Arc<App>, machine: &Machine, now: Timestamp) -> Option<Timestamp> {
        let (wanted, plan) = self.plan_for(app)?;
        for (id, reason) in plan.kills {
            self.kill_task(&id, reason, false, now);
        }
        if plan.missing == 0 {
            if let Some(wait) = self.waits.get_mut(&app.id) {
                wait.since = None;
            }
            return None;
        }
        self.waits.entry(app.id.clone()).or_default().since.get_or_insert(now);
        if let Some(until) = self.delayed_until(&app.id, now) {
            return Some(until);
        }
        let staging = self.tasks_of(&app.id).filter(|task| task.state == TaskState::Staging).count();
        for _ in 0..plan.missing.min(STAGING_MAX.saturating_sub(staging)) {
            if !machine.may_take(&wanted, self.tasks_of(&app.id).count()) || self.awaits_port(&wanted) {
                break;
            }
            self.launch(&wanted, now);
        }
        None
    }

    /// Whether a fixed port is still held by a task on its way out. Then starting would only fail.
    fn awaits_port(&self, app: &App) -> bool {
        let fixed: Vec<u16> = app.ports().iter().map(|need| need.host).filter(|port| *port != 0).collect();
        !fixed.is_empty() && self.tasks().any(|task| task.is_dying() && task.ports.iter().any(|port| fixed.contains(port)))
    }

    fn delayed_until(&self, app: &PathId, now: Timestamp) -> Option<Timestamp> {
        self.waits.get(app)?.backoff.map(|backoff| backoff.until).filter(|until| *until > now)
    }

    /// The definition that counts for an application now, and what is to be done for it.
    fn plan_for(&self, app: &Arc<App>) -> Option<(Arc<App>, Plan)> {
        let deployment = self.deployments_of(&app.id).next();
        let stance = deployment.and_then(|deployment| deployment.stance(&app.id));
        let wanted = match (stance, deployment) {
            (Some(Stance::Waiting), Some(deployment)) => deployment.original.apps.get(&app.id)?.clone(),
            _ => app.clone(),
        };
        let tasks: Vec<&Task> = self.tasks_of(&app.id).collect();
        let plan =
            if stance == Some(Stance::Restarting) { plan_replacing(&wanted, &tasks) } else { plan_keeping(&wanted, &tasks) };
        Some((wanted, plan))
    }

    /// Applications with tasks still to be launched.
    pub(crate) fn queue(&self, now: Timestamp) -> Vec<Queued> {
        self.root.apps.values().filter_map(|app| self.queued(app, now)).collect()
    }

    /// One application, if it has tasks still to be launched.
    pub(crate) fn queued(&self, app: &Arc<App>, now: Timestamp) -> Option<Queued> {
        let (wanted, plan) = self.plan_for(app)?;
        let since = self.waits.get(&app.id).and_then(|wait| wait.since).unwrap_or(now);
        let until = self.delayed_until(&app.id, now);
        (plan.missing > 0).then(|| Queued { app: wanted, count: plan.missing, until, since })
    }
}

/// Keeps the number of tasks. A task on its way out is replaced when it is gone.
pub(crate) fn plan_keeping(app: &App, tasks: &[&Task]) -> Plan {
    let wanted = app.instances as usize;
    let staying: Vec<&Task> = tasks.iter().copied().filter(|task| !task.is_dying()).collect();
    let surplus = staying.len().saturating_sub(wanted);
    Plan {
        missing: wanted.saturating_sub(tasks.len()),
        kills: victims(staying, app.spec.kill_selection, surplus, &KillReason::Surplus),
    }
}

/// Replaces tasks of older versions within the two capacities: at least so many well ones stay, at most so many run.
pub(crate) fn plan_replacing(app: &App, tasks: &[&Task]) -> Plan {
    let wanted = app.instances as usize;
    let config = app.config_version();
    let (old, new): (Vec<&Task>, Vec<&Task>) = tasks.iter().copied().partition(|task| task.app.version < config);
    let (well_min, running_max) = capacities(app);
    let new_serving = new.iter().filter(|task| task.is_serving()).count();
    let old_staying: Vec<&Task> = old.iter().copied().filter(|task| !task.is_dying()).collect();
    let well = new_serving + old_staying.iter().filter(|task| task.is_healthy()).count();

    // Each new task that serves makes an old one needless; beyond that, only what exceeds the lower bound may go.
    let needless = old_staying.len().saturating_sub(wanted.saturating_sub(new_serving));
    let mut to_kill = well.saturating_sub(well_min).max(needless);
    if app.spec.residency.is_some() && well_min == running_max && running_max <= well {
        // No room to start one more: data stays with its instance, so one has to go first.
        to_kill = to_kill.max(1);
    }
    let mut kills = ill_first(old_staying, to_kill);
    let new_staying: Vec<&Task> = new.iter().copied().filter(|task| !task.is_dying()).collect();
    let surplus = new_staying.len().saturating_sub(wanted);
    kills.extend(victims(new_staying, app.spec.kill_selection, surplus, &KillReason::Surplus));
    let room = running_max.saturating_sub(tasks.len());
    Plan { missing: wanted.saturating_sub(new.len()).min(room), kills }
}

/// How many must be well, and how many may run.
fn capacities(app: &App) -> (usize, usize) {
    let wanted = f64::from(app.instances);
    let strategy = app.spec.upgrade_strategy;
    let well_min = (wanted * strategy.minimum_health_capacity).ceil() as usize;
    let running_max = (wanted * (1.0 + strategy.maximum_over_capacity)).floor() as usize;
    // Where nothing may be missing and nothing may be added nothing could ever happen.
    let stuck = well_min == running_max && app.spec.residency.is_none();
    (well_min, running_max + usize::from(stuck))
}

fn ill_first(mut tasks: Vec<&Task>, count: usize) -> Vec<(String, KillReason)> {
    tasks.sort_by_key(|task| (task.is_healthy(), task.state == TaskState::Running));
    tasks.into_iter().take(count).map(|task| (task.id.clone(), KillReason::Outdated)).collect()
}

fn victims(mut tasks: Vec<&Task>, selection: KillSelection, count: usize, reason: &KillReason) -> Vec<(String, KillReason)> {
    tasks.sort_by_key(|task| {
        let age = match selection {
            KillSelection::OldestFirst => task.staged_at.0,
            KillSelection::YoungestFirst => -task.staged_at.0,
        };
        (task.state != TaskState::Staging, age)
    });
    tasks.into_iter().take(count).map(|task| (task.id.clone(), reason.clone())).collect()
}

impl Machine {
    /// Whether one more task of an application may be placed here, beside those that it already has here.
    pub(crate) fn may_take(&self, app: &App, tasks_here: usize) -> bool {
        app.spec.constraints.iter().all(|constraint| self.satisfies(constraint, tasks_here))
    }

    fn satisfies(&self, constraint: &[String], tasks_here: usize) -> bool {
        let [field, operator, rest @ ..] = constraint else { return true };
        let value = rest.first().map_or("", String::as_str);
        let Some(own) = self.attribute(field) else { return operator == "UNLIKE" };
        match operator.as_str() {
            "UNIQUE" => tasks_here == 0,
            "CLUSTER" => value.is_empty() || own == value,
            "LIKE" => matches_whole(value, own),
            "UNLIKE" => !matches_whole(value, own),
            "MAX_PER" => value.parse::<usize>().is_ok_and(|most| tasks_here < most),
            "IS" => own == value,
            _ => true,
        }
    }

    fn attribute(&self, field: &str) -> Option<&str> {
        match field {
            "hostname" | "@hostname" => Some(&self.hostname),
            other => self.attributes.get(other).map(String::as_str),
        }
    }
}

fn matches_whole(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scheduler::model::app::{AppSpec, UpgradeStrategy, VersionInfo};
    use crate::scheduler::model::group::Root;

    const OLD: Timestamp = Timestamp(1);
    const NEW: Timestamp = Timestamp(2);

    fn app(instances: u32, minimum: f64, maximum: f64) -> App {
        let upgrade_strategy = UpgradeStrategy { minimum_health_capacity: minimum, maximum_over_capacity: maximum };
        let info = VersionInfo { last_scaling_at: NEW, last_config_change_at: NEW };
        let spec = AppSpec { upgrade_strategy, ..AppSpec::default() };
        App { id: PathId::absolute("/a"), instances, spec, version: NEW, version_info: Some(info) }
    }

    fn task(nth: usize, version: Timestamp, state: TaskState) -> Task {
        let app = App { version, version_info: None, ..app(1, 1.0, 1.0) };
        Task {
            id: format!("{}{nth}", if version == OLD { "old" } else { "new" }),
            instance: String::new(),
            incarnation: 1,
            app: Arc::new(app),
            state,
            ports: Vec::new(),
            staged_at: Timestamp(nth as i64),
            started_at: None,
            ready: true,
            kill: None,
            health: Vec::new(),
            readiness: None,
        }
    }

    /// A whole upgrade, step by step: each planned kill is carried out, each launched task runs one step later. Returns the
    /// fewest that served and the most that existed.
    fn upgrade(app: &App) -> (usize, usize) {
        let mut tasks: Vec<Task> = (0..app.instances as usize).map(|nth| task(nth, OLD, TaskState::Running)).collect();
        let (mut fewest, mut most) = (tasks.len(), tasks.len());
        let mut next = tasks.len();
        for _ in 0..1000 {
            let plan = plan_replacing(app, &tasks.iter().collect::<Vec<_>>());
            if plan == Plan::default() && tasks.iter().all(|task| task.state == TaskState::Running) {
                assert_eq!(tasks.len(), app.instances as usize);
                assert!(tasks.iter().all(|task| task.app.version == NEW), "the upgrade got stuck");
                return (fewest, most);
            }
            tasks.retain(|task| !plan.kills.iter().any(|(id, _)| *id == task.id));
            fewest = fewest.min(tasks.iter().filter(|task| task.is_serving()).count());
            tasks.iter_mut().for_each(|task| task.state = TaskState::Running);
            for _ in 0..plan.missing {
                tasks.push(task(next, NEW, TaskState::Staging));
                next += 1;
            }
            most = most.max(tasks.len());
        }
        panic!("the upgrade never ended");
    }

    #[test]
    fn strategies() {
        assert_eq!(upgrade(&app(4, 1.0, 1.0)), (4, 8), "all new, then the old ones go");
        assert_eq!(upgrade(&app(4, 1.0, 0.0)), (4, 5), "one more, since nothing could happen otherwise");
        assert_eq!(upgrade(&app(4, 0.0, 0.0)).0, 0, "all at once");
        assert_eq!(upgrade(&app(4, 0.5, 0.0)), (2, 4), "halves");
        assert_eq!(upgrade(&app(1, 1.0, 1.0)), (1, 2));
        assert_eq!(upgrade(&app(3, 1.0, 0.34)), (3, 4));
    }

    proptest! {
        #[test]
        fn every_upgrade_ends_within_its_capacities(instances in 1_u32..20, minimum in 0.0..=1.0_f64, maximum in 0.0..=1.0_f64) {
            let app = app(instances, minimum, maximum);
            let (well_min, running_max) = capacities(&app);
            let (fewest, most) = upgrade(&app);
            prop_assert!(fewest >= well_min.min(instances as usize) && most <= running_max.max(instances as usize));
        }
    }

    #[test]
    fn ill_ones_go_first_and_surplus_by_age() {
        let mut tasks: Vec<Task> = (0..3).map(|nth| task(nth, OLD, TaskState::Running)).collect();
        tasks[2].state = TaskState::Staging;
        let kills = plan_replacing(&app(3, 0.5, 0.0), &tasks.iter().collect::<Vec<_>>()).kills;
        assert_eq!(kills, [], "two are well and two have to be");
        let kills = plan_replacing(&app(2, 0.5, 0.0), &tasks.iter().collect::<Vec<_>>()).kills;
        assert_eq!(kills, [("old2".to_owned(), KillReason::Outdated)]);
        let keep = |selection| {
            let mut app = app(1, 1.0, 1.0);
            app.spec.kill_selection = selection;
            plan_keeping(&app, &tasks.iter().collect::<Vec<_>>()).kills.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(keep(KillSelection::YoungestFirst), ["old2", "old1"]);
        assert_eq!(keep(KillSelection::OldestFirst), ["old2", "old0"]);
    }

    #[test]
    fn a_slip_in_a_number_of_instances_is_survived() {
        let mut root = Root::empty(OLD);
        root.put_app(Arc::new(app(u32::MAX, 1.0, 1.0)));
        let mut state = State::new("box".into(), OLD);
        state.root = Arc::new(root);
        for _ in 0..2 {
            state.reconcile(&Machine::default(), NEW);
            assert_eq!(state.tasks().count(), STAGING_MAX);
        }
        let first = state.tasks().next().expect("there is one").id.clone();
        state.task_started(&first, NEW);
        state.reconcile(&Machine::default(), NEW);
        assert_eq!(state.tasks().count(), STAGING_MAX + 1);
    }

    #[test]
    fn constraints() {
        let machine = Machine { hostname: "box".into(), attributes: [("rack".to_owned(), "r1".to_owned())].into() };
        let takes = |words: &[&str], here: usize| {
            let mut app = app(1, 1.0, 1.0);
            app.spec.constraints = vec![words.iter().map(|word| (*word).to_owned()).collect()];
            machine.may_take(&app, here)
        };
        assert!(takes(&["hostname", "UNIQUE"], 0) && !takes(&["hostname", "UNIQUE"], 1));
        assert!(takes(&["@hostname", "CLUSTER", "box"], 3) && !takes(&["hostname", "CLUSTER", "other"], 0));
        assert!(takes(&["rack", "LIKE", "r[0-9]"], 0) && !takes(&["rack", "LIKE", "r"], 0));
        assert!(takes(&["rack", "UNLIKE", "r"], 0) && !takes(&["rack", "UNLIKE", "r1"], 0));
        assert!(takes(&["rack", "MAX_PER", "2"], 1) && !takes(&["rack", "MAX_PER", "2"], 2));
        assert!(takes(&["rack", "IS", "r1"], 0) && !takes(&["rack", "IS", "r2"], 0));
        assert!(takes(&["rack", "GROUP_BY"], 9) && !takes(&["nothing", "GROUP_BY"], 0) && takes(&["nothing", "UNLIKE", "x"], 0));
    }
}
