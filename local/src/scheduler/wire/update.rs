//! An application as clients send it: every member optional, old forms beside new ones.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{At, Members};
use super::legacy::Legacy;
use super::parts;
use crate::scheduler::model::app::*;
use crate::scheduler::model::id::PathId;

/// The longest list of anything in one definition; more is a mistake or an attack.
const LONGEST_LIST: usize = 4096;

/// Members of an application that a body can change.
const MEMBERS: [&str; 38] = [
    "acceptedResourceRoles",
    "args",
    "backoffFactor",
    "backoffSeconds",
    "check",
    "cmd",
    "constraints",
    "container",
    "cpus",
    "dependencies",
    "disk",
    "env",
    "executor",
    "executorResources",
    "fetch",
    "gpus",
    "healthChecks",
    "instances",
    "ipAddress",
    "killSelection",
    "labels",
    "maxLaunchDelaySeconds",
    "mem",
    "networks",
    "portDefinitions",
    "ports",
    "readinessChecks",
    "requirePorts",
    "residency",
    "resourceLimits",
    "role",
    "secrets",
    "taskKillGracePeriodSeconds",
    "tty",
    "unreachableStrategy",
    "upgradeStrategy",
    "uris",
    "user",
];

/// What a body says about an application. Members that it does not name are `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct AppUpdate {
    pub(crate) id: Option<String>,
    /// A version to go back to. Kept as text: a POST ignores it.
    pub(crate) version: Option<String>,
    pub(crate) cmd: Option<String>,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) instances: Option<u32>,
    pub(crate) cpus: Option<f64>,
    pub(crate) mem: Option<f64>,
    pub(crate) disk: Option<f64>,
    pub(crate) gpus: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) executor: Option<String>,
    pub(crate) env: Option<BTreeMap<String, EnvValue>>,
    pub(crate) secrets: Option<BTreeMap<String, Secret>>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) container: Option<Container>,
    pub(crate) networks: Option<Vec<Network>>,
    pub(crate) port_definitions: Option<Vec<PortDefinition>>,
    pub(crate) require_ports: Option<bool>,
    pub(crate) health_checks: Option<Vec<HealthCheck>>,
    pub(crate) check: Option<Value>,
    pub(crate) readiness_checks: Option<Vec<ReadinessCheck>>,
    pub(crate) constraints: Option<Vec<Vec<String>>>,
    pub(crate) accepted_resource_roles: Option<Vec<String>>,
    pub(crate) role: Option<String>,
    pub(crate) dependencies: Option<Vec<String>>,
    pub(crate) fetch: Option<Vec<Fetch>>,
    pub(crate) backoff_seconds: Option<u32>,
    pub(crate) backoff_factor: Option<f64>,
    pub(crate) max_launch_delay_seconds: Option<u32>,
    pub(crate) upgrade_strategy: Option<UpgradeStrategy>,
    pub(crate) unreachable_strategy: Option<UnreachableStrategy>,
    pub(crate) kill_selection: Option<KillSelection>,
    pub(crate) task_kill_grace_period_seconds: Option<u32>,
    pub(crate) residency: Option<Residency>,
    pub(crate) executor_resources: Option<Value>,
    pub(crate) resource_limits: Option<Value>,
    pub(crate) tty: Option<bool>,
    pub(crate) legacy: Legacy,
    /// Whether the body has members besides `id` and `version`. Those that nobody knows do not count.
    pub(crate) has_others: bool,
}

/// Whether the body has to name the application.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum IdRule {
    Needed,
    Optional,
    /// The path of the request names it.
    Ignored,
}

impl AppUpdate {
    /// Reads a body; mistakes go where `at` collects them. `None` when it is not even an object.
    pub(crate) fn read(at: &At<'_>, rule: IdRule) -> Option<Self> {
        let members = at.object()?;
        let m = &members;
        let mut update = Self {
            id: read_id(m, rule),
            version: m.get("version").and_then(|at| at.string()),
            has_others: m.keys().any(|key| MEMBERS.contains(&key)),
            ..Self::default()
        };
        update.read_process(m);
        update.read_resources(m);
        update.read_network(m);
        update.read_checks(m);
        update.read_placement(m);
        update.read_change(m);
        update.legacy = Legacy::read(m);
        Some(update)
    }

    fn read_process(&mut self, m: &Members<'_>) {
        self.cmd = m.get("cmd").and_then(|at| at.filled());
        self.args = m.get("args").and_then(|at| texts(&at));
        self.user = m.get("user").and_then(|at| at.string());
        self.executor = m.get("executor").and_then(|at| parts::executor(&at));
        self.env = m.get("env").and_then(|at| at.map(|value| parts::env_value(&value)));
        self.secrets =
            m.get("secrets").and_then(|at| at.map(|value| Some(Secret { source: value.object()?.need("source")?.string()? })));
        self.labels = m.get("labels").and_then(|at| at.map(|value| value.string()));
        self.fetch = m.get("fetch").and_then(|at| list(&at, parts::fetch));
        self.tty = m.get("tty").and_then(|at| at.bool());
    }

    fn read_resources(&mut self, m: &Members<'_>) {
        let amount = |key: &str| m.get(key).and_then(|at| at.number(0.0, f64::MAX));
        self.instances = m.get("instances").and_then(|at| at.count());
        self.cpus = amount("cpus");
        self.mem = amount("mem");
        self.disk = amount("disk");
        self.gpus = m.get("gpus").and_then(|at| at.count());
        self.executor_resources = object(m, "executorResources");
        self.resource_limits = object(m, "resourceLimits");
    }

    fn read_network(&mut self, m: &Members<'_>) {
        self.container = m.get("container").and_then(|at| parts::container(&at));
        self.networks = m.get("networks").and_then(|at| list(&at, parts::network));
        self.port_definitions = m.get("portDefinitions").and_then(|at| list(&at, parts::port_definition));
        self.require_ports = m.get("requirePorts").and_then(|at| at.bool());
    }

    fn read_checks(&mut self, m: &Members<'_>) {
        self.health_checks = m.get("healthChecks").and_then(|at| list(&at, parts::health_check));
        self.readiness_checks = m.get("readinessChecks").and_then(|at| list(&at, parts::readiness_check));
        self.check = object(m, "check");
    }

    fn read_placement(&mut self, m: &Members<'_>) {
        self.constraints = m.get("constraints").and_then(|at| list(&at, parts::constraint));
        self.accepted_resource_roles = m.get("acceptedResourceRoles").and_then(|at| texts(&at));
        self.role = m.get("role").and_then(|at| at.filled());
        self.dependencies = m.get("dependencies").and_then(|at| list(&at, |at| path_text(&at)));
        self.residency = m.get("residency").and_then(|at| parts::residency(&at));
    }

    fn read_change(&mut self, m: &Members<'_>) {
        self.backoff_seconds = m.get("backoffSeconds").and_then(|at| at.count());
        self.backoff_factor = m.get("backoffFactor").and_then(|at| at.number(1.0, f64::MAX));
        self.max_launch_delay_seconds = m.get("maxLaunchDelaySeconds").and_then(|at| at.count());
        self.upgrade_strategy = m.get("upgradeStrategy").and_then(|at| parts::upgrade_strategy(&at));
        self.unreachable_strategy = m.get("unreachableStrategy").and_then(|at| parts::unreachable_strategy(&at));
        self.kill_selection = m.get("killSelection").and_then(|at| parts::kill_selection(&at));
        self.task_kill_grace_period_seconds = m.get("taskKillGracePeriodSeconds").and_then(|at| at.count());
    }

    /// Puts every member that the body names in the place of the old value, as a whole. Two members vanish when they
    /// are not named; clients of the real thing know them to.
    pub(crate) fn apply_to(&self, spec: &mut AppSpec, group: &PathId) {
        let update = self.clone();
        spec.executor_resources = update.executor_resources;
        spec.resource_limits = update.resource_limits;
        replace_some(&mut spec.cmd, update.cmd);
        replace(&mut spec.args, update.args);
        replace(&mut spec.cpus, update.cpus);
        replace(&mut spec.mem, update.mem);
        replace(&mut spec.disk, update.disk);
        replace(&mut spec.gpus, update.gpus);
        replace_some(&mut spec.user, update.user);
        replace(&mut spec.executor, update.executor);
        replace(&mut spec.env, update.env);
        replace(&mut spec.secrets, update.secrets);
        replace(&mut spec.labels, update.labels);
        replace_some(&mut spec.container, update.container);
        replace(&mut spec.networks, update.networks);
        replace_some(&mut spec.port_definitions, update.port_definitions);
        replace(&mut spec.require_ports, update.require_ports);
        replace(&mut spec.health_checks, update.health_checks);
        replace_some(&mut spec.check, update.check);
        replace(&mut spec.readiness_checks, update.readiness_checks);
        replace(&mut spec.constraints, update.constraints);
        replace(&mut spec.accepted_resource_roles, update.accepted_resource_roles);
        replace(&mut spec.role, update.role);
        replace(&mut spec.dependencies, update.dependencies.map(|ids| ids.iter().map(|id| PathId::resolve(id, group)).collect()));
        replace(&mut spec.fetch, update.fetch);
        replace(&mut spec.backoff_seconds, update.backoff_seconds);
        replace(&mut spec.backoff_factor, update.backoff_factor);
        replace(&mut spec.max_launch_delay_seconds, update.max_launch_delay_seconds);
        replace(&mut spec.upgrade_strategy, update.upgrade_strategy);
        replace(&mut spec.unreachable_strategy, update.unreachable_strategy);
        replace(&mut spec.kill_selection, update.kill_selection);
        replace_some(&mut spec.task_kill_grace_period_seconds, update.task_kill_grace_period_seconds);
        replace_some(&mut spec.residency, update.residency);
        replace_some(&mut spec.tty, update.tty);
    }
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn replace_some<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}

fn read_id(m: &Members<'_>, rule: IdRule) -> Option<String> {
    let at = match rule {
        IdRule::Needed => m.need("id")?,
        IdRule::Optional => m.get("id")?,
        IdRule::Ignored => return None,
    };
    path_text(&at)
}

/// A path as text: not empty, and of the letters that a path may have.
pub(crate) fn path_text(at: &At<'_>) -> Option<String> {
    let text = at.filled()?;
    if PathId::is_well_formed(&text) { Some(text) } else { at.wrong("error.pattern") }
}

/// An array of texts.
pub(crate) fn texts(at: &At<'_>) -> Option<Vec<String>> {
    list(at, |item| item.string())
}

/// An array of bounded length.
pub(crate) fn list<'a, T>(at: &At<'a>, read: impl Fn(At<'a>) -> Option<T>) -> Option<Vec<T>> {
    if at.value().as_array().is_some_and(|items| items.len() > LONGEST_LIST) {
        return at.wrong("error.maxLength");
    }
    at.array(read)
}

fn object(m: &Members<'_>, key: &str) -> Option<Value> {
    let at = m.get(key)?;
    at.object()?;
    Some(at.value().clone())
}
