//! Answers: applications, tasks, groups, deployments and the queue as clients read them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::scheduler::deployments::plan::Deployment;
use crate::scheduler::model::app::App;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::task::{Health, Task, TaskFailure, TaskState};
use crate::scheduler::model::time::Timestamp;
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

/// An application with what was asked for beside its definition. Written out as it stands: a list of a thousand would spend most
/// of its time on copies otherwise.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppInfo<'a> {
    #[serde(flatten)]
    app: &'a App,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<DeploymentRef<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    readiness_check_results: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskInfo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task_failure: Option<&'a TaskFailure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_stats: Option<TaskStats>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    tasks_staged: usize,
    tasks_running: usize,
    tasks_healthy: usize,
    tasks_unhealthy: usize,
}

#[derive(Serialize)]
struct DeploymentRef<'a> {
    id: &'a str,
}

impl Counts {
    fn of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Self {
        let mut counts = Self::default();
        for task in tasks {
            counts.tasks_staged += usize::from(task.state == TaskState::Staging);
            counts.tasks_running += usize::from(task.state == TaskState::Running);
            counts.tasks_healthy += usize::from(is_known_well(task));
            counts.tasks_unhealthy += usize::from(task.is_ill());
        }
        counts
    }
}

/// An application with what was asked for.
pub(crate) fn app<'a>(state: &'a State, app: &'a App, embed: Embed) -> AppInfo<'a> {
    let tasks = || state.tasks_of(&app.id);
    AppInfo {
        app,
        counts: embed.counts.then(|| Counts::of(tasks())),
        deployments: embed
            .deployments
            .then(|| state.deployments_of(&app.id).map(|running| DeploymentRef { id: &running.id }).collect()),
        readiness_check_results: embed.readiness.then(|| readiness(tasks())),
        tasks: embed.tasks.then(|| tasks().map(|found| task(found, &state.host, false)).collect()),
        last_task_failure: state.failure_of(&app.id).filter(|_| embed.last_failure),
        task_stats: embed.stats.then(|| TaskStats::of(app, &tasks().collect::<Vec<_>>(), Timestamp::now())),
    }
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

/// Tasks counted by the version that they run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    started_after_last_scaling: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_latest_config: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_outdated_config: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_summary: Option<Summary>,
}

#[derive(Serialize)]
struct Summary {
    stats: Stats,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    counts: StateCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    life_time: Option<LifeTime>,
}

#[derive(Serialize)]
struct StateCounts {
    staged: usize,
    running: usize,
    healthy: usize,
    unhealthy: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LifeTime {
    average_seconds: f64,
    median_seconds: f64,
}

impl TaskStats {
    fn of(app: &App, tasks: &[&Task], now: Timestamp) -> Self {
        let config = app.config_version();
        let scaling = app.version_info.map_or(app.version, |info| info.last_scaling_at);
        let part = |fits: &dyn Fn(&Task) -> bool| {
            let part: Vec<&Task> = tasks.iter().copied().filter(|task| fits(task)).collect();
            (!part.is_empty()).then(|| Summary { stats: Stats::of(&part, now) })
        };
        Self {
            started_after_last_scaling: part(&|task| task.app.version >= scaling),
            with_latest_config: part(&|task| task.app.version >= config),
            with_outdated_config: part(&|task| task.app.version < config),
            total_summary: part(&|_| true),
        }
    }
}

impl Stats {
    fn of(tasks: &[&Task], now: Timestamp) -> Self {
        let Counts { tasks_staged, tasks_running, tasks_healthy, tasks_unhealthy } = Counts::of(tasks.iter().copied());
        let started = tasks.iter().filter_map(|task| task.started_at);
        let mut ages: Vec<f64> = started.map(|start| now.since(start).as_secs_f64()).collect();
        ages.sort_by(f64::total_cmp);
        let life_time = (!ages.is_empty()).then(|| LifeTime {
            average_seconds: ages.iter().sum::<f64>() / ages.len() as f64,
            median_seconds: ages[ages.len() / 2],
        });
        let counts =
            StateCounts { staged: tasks_staged, running: tasks_running, healthy: tasks_healthy, unhealthy: tasks_unhealthy };
        Self { counts, life_time }
    }
}

/// A task as clients read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskInfo<'a> {
    id: &'a str,
    app_id: &'a PathId,
    host: &'a str,
    slave_id: &'static str,
    ports: &'a [u16],
    service_ports: Vec<u16>,
    ip_addresses: Value,
    state: &'static str,
    staged_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    version: Timestamp,
    local_volumes: [(); 0],
    health_check_results: Vec<Value>,
    role: &'a str,
}

/// A task. Service ports are filled only where tasks of all applications are listed.
pub(crate) fn task<'a>(task: &'a Task, host: &'a str, service_ports: bool) -> TaskInfo<'a> {
    TaskInfo {
        id: &task.id,
        app_id: task.app_id(),
        host,
        slave_id: AGENT,
        ports: &task.ports,
        service_ports: if service_ports { task.app.service_ports() } else { Vec::new() },
        ip_addresses: addresses(host),
        state: task.state.word(),
        staged_at: task.staged_at,
        started_at: task.started_at,
        version: task.app.version,
        local_volumes: [],
        health_check_results: task
            .health
            .iter()
            .filter(|health| health.is_known())
            .map(|health| health_result(task, health))
            .collect(),
        role: &task.app.spec.role,
    }
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupInfo<'a> {
    id: &'a PathId,
    apps: Vec<AppInfo<'a>>,
    pods: [(); 0],
    groups: Vec<GroupInfo<'a>>,
    dependencies: &'a [PathId],
    version: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_role: Option<bool>,
}

/// A group with what was asked for.
pub(crate) fn group<'a>(state: &'a State, root: &'a Root, id: &'a PathId, embed: GroupEmbed) -> GroupInfo<'a> {
    tree(root, id, embed, &|shown| app(state, shown, embed.app))
}

/// A group with bare definitions.
pub(crate) fn plain_group<'a>(root: &'a Root, id: &'a PathId) -> GroupInfo<'a> {
    tree(root, id, GroupEmbed::read(&[]), &AppInfo::plain)
}

impl<'a> AppInfo<'a> {
    fn plain(app: &'a App) -> Self {
        Self {
            app,
            counts: None,
            deployments: None,
            readiness_check_results: None,
            tasks: None,
            last_task_failure: None,
            task_stats: None,
        }
    }
}

fn tree<'a>(root: &'a Root, id: &'a PathId, embed: GroupEmbed, show: &dyn Fn(&'a App) -> AppInfo<'a>) -> GroupInfo<'a> {
    let own = root.groups.get(id);
    GroupInfo {
        id,
        apps: if embed.apps { root.apps_in(id).map(|app| show(app)).collect() } else { Vec::new() },
        pods: [],
        groups: if embed.groups { root.groups_in(id).map(|(id, _)| tree(root, id, embed, show)).collect() } else { Vec::new() },
        dependencies: own.map_or(&[], |group| &group.dependencies),
        version: own.map_or(root.version(), |group| group.version),
        enforce_role: own.and_then(|group| group.enforce_role),
    }
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
