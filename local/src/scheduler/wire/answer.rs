//! Answers: applications, tasks, groups, deployments and the queue as clients read them.

use serde_json::{Map, Value, json};

use crate::scheduler::deployments::plan::Deployment;
use crate::scheduler::model::app::App;
use crate::scheduler::model::group::{Group, Root};
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::task::{Health, Task, TaskState};
use crate::scheduler::state::State;

/// The name of the one machine.
pub(crate) const AGENT: &str = "local-S0";

/// What is added to an application in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Embed {
    pub(crate) tasks: bool,
    pub(crate) counts: bool,
    pub(crate) deployments: bool,
    pub(crate) readiness: bool,
    pub(crate) last_failure: bool,
    pub(crate) stats: bool,
}

impl Embed {
    /// Reads the values of the parameter `embed`. Words that nobody knows are ignored.
    pub(crate) fn read<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut embed = Self::default();
        for word in words {
            let word = ["group.apps.", "apps.", "app."].iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word);
            match word {
                "tasks" => (embed.tasks, embed.deployments) = (true, true),
                "counts" => embed.counts = true,
                "deployments" => embed.deployments = true,
                "readiness" => embed.readiness = true,
                "lastTaskFailure" => embed.last_failure = true,
                "failures" => (embed.tasks, embed.last_failure, embed.deployments) = (true, true, true),
                "taskStats" => embed.stats = true,
                _ => {}
            }
        }
        embed
    }
}

fn members(value: impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The bare definition.
pub(crate) fn plain_app(app: &App) -> Value {
    Value::Object(members(app))
}

/// The answer to the request that created an application: nothing has happened to it yet.
pub(crate) fn created_app(app: &App, deployment: &str) -> Value {
    let mut shown = members(App { version_info: None, ..app.clone() });
    for count in ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"] {
        shown.insert(count.into(), 0.into());
    }
    shown.insert("deployments".into(), json!([{ "id": deployment }]));
    Value::Object(shown)
}

/// An application with what was asked for beside its definition.
pub(crate) fn app(state: &State, app: &App, embed: Embed) -> Value {
    let mut shown = members(app);
    let tasks = || state.tasks_of(&app.id);
    if embed.counts {
        let count = |fits: fn(&Task) -> bool| Value::from(tasks().filter(|task| fits(task)).count());
        shown.insert("tasksStaged".into(), count(|task| task.state == TaskState::Staging));
        shown.insert("tasksRunning".into(), count(|task| task.state == TaskState::Running));
        shown.insert("tasksHealthy".into(), count(is_known_well));
        shown.insert("tasksUnhealthy".into(), count(Task::is_ill));
    }
    if embed.deployments {
        let ids: Vec<Value> = state.deployments_of(&app.id).map(|d| json!({ "id": d.id })).collect();
        shown.insert("deployments".into(), ids.into());
    }
    if embed.readiness {
        shown.insert("readinessCheckResults".into(), readiness(tasks()));
    }
    if embed.tasks {
        let list: Vec<Value> = tasks().map(|found| task(found, &state.host, false)).collect();
        shown.insert("tasks".into(), list.into());
    }
    if let Some(failure) = state.failure_of(&app.id).filter(|_| embed.last_failure) {
        shown.insert("lastTaskFailure".into(), json!(failure));
    }
    if embed.stats {
        shown.insert("taskStats".into(), stats(app, tasks().collect()));
    }
    Value::Object(shown)
}

fn is_known_well(task: &Task) -> bool {
    task.health.iter().any(Health::is_known) && task.health.iter().filter(|h| h.is_known()).all(|health| health.alive)
}

fn readiness<'a>(tasks: impl Iterator<Item = &'a Task>) -> Value {
    tasks.filter_map(readiness_of).collect::<Vec<_>>().into()
}

fn readiness_of(task: &Task) -> Option<Value> {
    let check = task.app.spec.readiness_checks.first()?;
    let mut result = json!({ "name": check.name, "taskId": task.id, "ready": task.ready });
    if let (Some(last), Some(members)) = (&task.readiness, result.as_object_mut()) {
        let last = json!({ "status": last.status, "contentType": last.content_type, "body": last.body });
        members.insert("lastResponse".into(), last);
    }
    Some(result)
}

fn stats(app: &App, tasks: Vec<&Task>) -> Value {
    let now = crate::scheduler::model::time::Timestamp::now();
    let mut shown = Map::new();
    let config = app.config_version();
    let scaling = app.version_info.map_or(app.version, |info| info.last_scaling_at);
    let mut add = |name: &str, fits: &dyn Fn(&Task) -> bool| {
        let group: Vec<&Task> = tasks.iter().copied().filter(|task| fits(task)).collect();
        if !group.is_empty() {
            shown.insert(name.into(), json!({ "stats": stats_of(&group, now) }));
        }
    };
    add("startedAfterLastScaling", &|task| task.app.version >= scaling);
    add("withLatestConfig", &|task| task.app.version >= config);
    add("withOutdatedConfig", &|task| task.app.version < config);
    add("totalSummary", &|_| true);
    Value::Object(shown)
}

fn stats_of(tasks: &[&Task], now: crate::scheduler::model::time::Timestamp) -> Value {
    let count = |fits: fn(&Task) -> bool| tasks.iter().filter(|task| fits(task)).count();
    let mut ages: Vec<f64> =
        tasks.iter().filter_map(|task| task.started_at).map(|start| now.since(start).as_secs_f64()).collect();
    let mut shown = json!({ "counts": {
        "staged": count(|task| task.state == TaskState::Staging),
        "running": count(|task| task.state == TaskState::Running),
        "healthy": count(is_known_well),
        "unhealthy": count(Task::is_ill),
    } });
    ages.sort_by(f64::total_cmp);
    if let (false, Some(members)) = (ages.is_empty(), shown.as_object_mut()) {
        let average = ages.iter().sum::<f64>() / ages.len() as f64;
        let times = json!({ "averageSeconds": average, "medianSeconds": ages[ages.len() / 2] });
        members.insert("lifeTime".into(), times);
    }
    shown
}

/// A task. Service ports are filled only where tasks of all applications are listed.
pub(crate) fn task(task: &Task, host: &str, service_ports: bool) -> Value {
    let results: Vec<Value> =
        task.health.iter().filter(|health| health.is_known()).map(|health| health_result(task, health)).collect();
    let mut shown = json!({
        "id": task.id,
        "appId": task.app_id(),
        "host": host,
        "slaveId": AGENT,
        "ports": task.ports,
        "servicePorts": if service_ports { task.app.service_ports() } else { Vec::new() },
        "ipAddresses": addresses(host),
        "state": task.state.word(),
        "stagedAt": task.staged_at,
        "version": task.app.version,
        "localVolumes": [],
        "healthCheckResults": results,
        "role": task.app.spec.role,
    });
    if let (Some(started), Some(members)) = (task.started_at, shown.as_object_mut()) {
        members.insert("startedAt".into(), json!(started));
    }
    shown
}

fn health_result(task: &Task, health: &Health) -> Value {
    let mut shown = Map::new();
    shown.insert("alive".into(), health.alive.into());
    shown.insert("consecutiveFailures".into(), health.consecutive_failures.into());
    let times =
        [("firstSuccess", health.first_success), ("lastSuccess", health.last_success), ("lastFailure", health.last_failure)];
    for (name, time) in times {
        if let Some(time) = time {
            shown.insert(name.into(), time.to_string().into());
        }
    }
    if let Some(cause) = &health.last_failure_cause {
        shown.insert("lastFailureCause".into(), cause.as_str().into());
    }
    shown.insert("instanceId".into(), task.instance.as_str().into());
    Value::Object(shown)
}

/// The addresses of a task: those of the machine.
pub(crate) fn addresses(host: &str) -> Value {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => json!([{ "ipAddress": host, "protocol": if address.is_ipv4() { "IPv4" } else { "IPv6" } }]),
        Err(_) => json!([]),
    }
}

/// Lines for tools that read endpoints as text: id, service port, `host:port` of each running task, tab between them.
pub(crate) fn endpoints<'a>(state: &State, apps: impl Iterator<Item = &'a App>) -> String {
    let mut text = String::new();
    for app in apps {
        let running: Vec<&Task> = state.tasks_of(&app.id).filter(|task| task.state == TaskState::Running).collect();
        let ports = app.service_ports();
        let name = app.id.safe();
        if ports.is_empty() {
            let hosts: String = running.iter().map(|_| format!("{}\t", state.host)).collect();
            text.push_str(&format!("{name}\t \t{hosts}\n"));
        }
        for (nth, port) in ports.iter().enumerate() {
            let places = running.iter().filter_map(|task| task.ports.get(nth));
            let places: String = places.map(|port| format!("{}:{port}\t", state.host)).collect();
            text.push_str(&format!("{name}\t{port}\t{places}\n"));
        }
    }
    text
}

/// What a group shows of what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupEmbed {
    pub(crate) groups: bool,
    pub(crate) apps: bool,
    pub(crate) app: Embed,
}

impl GroupEmbed {
    /// Reads the values of the parameter `embed`; none means groups and applications.
    pub(crate) fn read(words: &[&str]) -> Self {
        let has = |word: &str| words.is_empty() || words.contains(&word);
        let app = words.iter().copied().filter(|word| word.starts_with("group.apps."));
        Self { groups: has("group.groups"), apps: has("group.apps"), app: Embed::read(app) }
    }
}

/// A group with what is in it.
pub(crate) fn group(state: &State, root: &Root, id: &PathId, embed: GroupEmbed) -> Value {
    tree(root, id, embed, &|shown| app(state, shown, embed.app))
}

/// A group with bare definitions.
pub(crate) fn plain_group(root: &Root, id: &PathId) -> Value {
    tree(root, id, GroupEmbed::read(&[]), &plain_app)
}

fn tree(root: &Root, id: &PathId, embed: GroupEmbed, show: &dyn Fn(&App) -> Value) -> Value {
    let apps: Vec<Value> = if embed.apps { root.apps_in(id).map(|app| show(app)).collect() } else { Vec::new() };
    let groups: Vec<Value> =
        if embed.groups { root.groups_in(id).map(|(id, _)| tree(root, id, embed, show)).collect() } else { Vec::new() };
    let plain = Group::plain(root.version());
    let own = root.groups.get(id).unwrap_or(&plain);
    let mut shown = json!({
        "id": id, "apps": apps, "pods": [], "groups": groups, "dependencies": own.dependencies, "version": own.version,
    });
    if let (Some(enforce), Some(members)) = (own.enforce_role, shown.as_object_mut()) {
        members.insert("enforceRole".into(), enforce.into());
    }
    shown
}

/// A deployment under way.
pub(crate) fn deployment(state: &State, deployment: &Deployment) -> Value {
    let affected: Vec<&PathId> = deployment.affected().collect();
    let current: Vec<Value> = deployment
        .current_actions()
        .iter()
        .map(|action| {
            let ready = readiness(state.tasks_of(&action.app));
            json!({ "action": action.kind, "app": action.app, "readinessCheckResults": ready })
        })
        .collect();
    json!({
        "id": deployment.id, "version": deployment.version, "affectedApps": affected, "affectedPods": [],
        "steps": deployment.steps, "currentActions": current, "currentStep": deployment.current,
        "totalSteps": deployment.steps.len(),
    })
}
