//! Rules that a whole definition has to keep. The texts are those that clients of the real thing know.

use std::collections::BTreeSet;

use regex::Regex;

use super::json::Mistake;
use super::legacy::has_twice;
use super::update::AppUpdate;
use crate::scheduler::model::app::*;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::{PathId, ends_reserved};

const PROCESS: &str = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
const RESERVED: &str = "must not end with any of the following reserved keywords: restart, tasks, versions, ., ..";
const PORT_INDEX: &str = "Health check port indices must address an element of the ports array or container port mappings.";
const OPERATORS: &str = "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS";

/// Collects what is wrong.
struct Wrong(Vec<Mistake>);

impl Wrong {
    fn say(&mut self, path: impl Into<String>, error: impl Into<String>) {
        self.0.push(Mistake::new(path, error));
    }

    fn when(&mut self, broken: bool, path: &str, error: &str) {
        if broken {
            self.say(path, error);
        }
    }
}

/// Rules for the id of an application, over its text: `..` must be seen before it is resolved.
pub(crate) fn check_id(text: &str, id: &PathId) -> Vec<Mistake> {
    let mut wrong = Wrong(Vec::new());
    wrong.when(ends_reserved(text) || id.is_reserved(), "/id", RESERVED);
    wrong.when(id.is_root(), "/id", "must not be the root path");
    wrong.0
}

/// A path of the request that cannot be an id.
pub(crate) fn bad_path() -> Mistake {
    Mistake::new("/id", "error.pattern")
}

/// Going back to a version excludes any other change.
pub(crate) fn version_alone() -> Mistake {
    Mistake::new("/", "The 'version' field may only be combined with the 'id' field.")
}

/// Rules for the whole tree.
pub(crate) fn check_root(root: &Root) -> Vec<Mistake> {
    let mut wrong = Wrong(Vec::new());
    let both = root.apps.keys().any(|id| root.groups.contains_key(id));
    wrong.when(both, "/", "Groups and Applications may not have the same identifier.");
    wrong.when(root.has_cycle(), "/", "Dependency graph has cyclic dependencies.");
    wrong.0
}

/// Rules for what the body says, which the result no longer shows.
pub(crate) fn check_update(update: &AppUpdate) -> Vec<Mistake> {
    let mut wrong = Wrong(super::legacy::Legacy::check(update));
    let no_role = update.accepted_resource_roles.as_ref().is_some_and(Vec::is_empty);
    wrong.when(no_role, "/acceptedResourceRoles", "must not be empty");
    wrong.0
}

/// Rules for the definition in its normal form.
pub(crate) fn check_app(id: &PathId, instances: u32, spec: &AppSpec) -> Vec<Mistake> {
    let mut wrong = Wrong(Vec::new());
    check_process(spec, &mut wrong);
    check_features(spec, &mut wrong);
    check_networks(spec, &mut wrong);
    check_ports(spec, &mut wrong);
    check_volumes(spec, &mut wrong);
    check_health(spec, &mut wrong);
    check_readiness(spec, &mut wrong);
    check_labels(instances, spec, &mut wrong);
    check_strategies(spec, &mut wrong);
    check_limits(spec, &mut wrong);
    check_role(id, spec, &mut wrong);
    for (nth, constraint) in spec.constraints.iter().enumerate() {
        if let Err(error) = check_constraint(constraint) {
            wrong.say(format!("/constraints({nth})"), error);
        }
    }
    for (nth, fetch) in spec.fetch.iter().enumerate() {
        wrong.when(!is_uri(&fetch.uri), &format!("/fetch({nth})/uri"), "URI has invalid syntax.");
    }
    wrong.when(spec.env.contains_key(""), "/env", "must not be empty");
    wrong.0
}

fn check_process(spec: &AppSpec, wrong: &mut Wrong) {
    // One letter counts as empty, as clients of the real thing know it.
    let blank = spec.cmd.as_ref().is_some_and(|cmd| cmd.chars().nth(1).is_none());
    wrong.when(blank, "/cmd", "must not be an empty string");
    let docker_missing = spec.container.as_ref().is_some_and(|c| c.kind == ContainerKind::Docker && c.docker.is_none());
    wrong.when(docker_missing, "/container/docker", "not defined");
    let by_container = spec.container.is_some() && !docker_missing;
    let fits = match (&spec.cmd, spec.args.is_empty()) {
        (Some(_), true) | (None, false) => true,
        (None, true) => by_container,
        (Some(_), false) => false,
    };
    wrong.when(!fits, "/", PROCESS);
    let checked_docker = spec.check.is_some() && spec.docker_image().is_some();
    wrong.when(checked_docker, "/", "AppDefinition must not use 'checks' if using docker");
}

fn feature(name: &str) -> String {
    format!("Feature {name} is not enabled. Enable with --enable_features {name})")
}

fn check_features(spec: &AppSpec, wrong: &mut Wrong) {
    wrong.when(spec.gpus > 0, "/", &feature("gpu_resources"));
    wrong.when(!spec.secrets.is_empty(), "/secrets", &feature("secrets"));
    for (name, value) in &spec.env {
        if matches!(value, EnvValue::Secret { .. }) {
            wrong.say(format!("/env({name})"), feature("secrets"));
        }
    }
}

fn check_networks(spec: &AppSpec, wrong: &mut Wrong) {
    let of = |mode: NetworkMode| spec.networks.iter().filter(move |network| network.mode == mode);
    let (hosts, bridges, containers) =
        (of(NetworkMode::Host).count(), of(NetworkMode::Bridge).count(), of(NetworkMode::Container).count());
    let mixed = !matches!((hosts, bridges, containers), (1, 0, 0) | (0, 1, 0) | (0, 0, 1..));
    let say = "May specify a single host network, single bridge network, or else 1-to-n container networks";
    wrong.when(mixed, "/networks", say);
    let named_host = of(NetworkMode::Host).any(|network| network.name.is_some() || !network.labels.is_empty());
    wrong.when(named_host, "/networks", "Host networks may not have names or labels");
    let named_bridge = of(NetworkMode::Bridge).any(|network| network.name.is_some());
    wrong.when(named_bridge, "/networks", "Bridge networks may not have names");
    let nameless = of(NetworkMode::Container).any(|network| network.name.is_none());
    wrong.when(nameless, "/networks", "Network name must be specified when container network is selected.");
    let twice = has_twice(spec.networks.iter().filter_map(|network| network.name.as_deref()));
    wrong.when(twice, "/networks", "Duplicate networks are not allowed");
    let docker = spec.docker_image().is_some() && containers > 1;
    wrong.when(docker, "/networks", "The DOCKER container engine supports at most one container network");
}

fn check_ports(spec: &AppSpec, wrong: &mut Wrong) {
    let definitions = spec.port_definitions.as_deref().unwrap_or_default();
    let twice = has_twice(definitions.iter().map(|definition| definition.port).filter(|port| *port != 0));
    wrong.when(twice, "/portDefinitions", "Ports must be unique.");
    let names = has_twice(definitions.iter().filter_map(|definition| definition.name.as_deref()));
    wrong.when(names, "/portDefinitions", "Port names must be unique.");
    let mappings = spec.container.as_ref().and_then(|container| container.port_mappings.as_deref()).unwrap_or_default();
    let names = has_twice(mappings.iter().filter_map(|mapping| mapping.name.as_deref()));
    wrong.when(names, "/container/portMappings", "Port names must be unique.");
    let networks: BTreeSet<&str> = spec.networks.iter().filter_map(|network| network.name.as_deref()).collect();
    for (nth, mapping) in mappings.iter().enumerate() {
        let path = format!("/container/portMappings({nth})");
        let stranger = mapping.network_names.iter().any(|name| !networks.contains(name.as_str()));
        wrong.when(stranger, &path, "networkNames must name networks of the app");
        let unclear = networks.len() > 1 && mapping.host_port.is_some() && mapping.network_names.len() != 1;
        wrong.when(unclear, &path, "hostPort is required to name exactly one network when there are several container networks");
    }
}

fn check_volumes(spec: &AppSpec, wrong: &mut Wrong) {
    for (nth, volume) in spec.container.iter().flat_map(|container| &container.volumes).enumerate() {
        let path = format!("/container/volumes({nth})");
        match &volume.kind {
            VolumeKind::External { .. } => wrong.say(path, feature("external_volumes")),
            VolumeKind::Secret { .. } => wrong.say(path, feature("secrets")),
            VolumeKind::Persistent { mode, .. } => {
                wrong.when(mode != "RW", &format!("{path}/mode"), "must be RW for a persistent volume");
                let path = format!("{path}/containerPath");
                wrong.when(volume.container_path.contains('/'), &path, "must not contain '/' for a persistent volume");
                let no_name = matches!(volume.container_path.as_str(), "." | "..") || volume.container_path.contains('\0');
                wrong.when(no_name, &path, "must be the name of a folder");
            }
            VolumeKind::Host { .. } => {}
        }
    }
}

fn check_health(spec: &AppSpec, wrong: &mut Wrong) {
    let ports = spec.port_names().len();
    for (nth, check) in spec.health_checks.iter().enumerate() {
        let path = format!("/healthChecks({nth})");
        if check.protocol == HealthProtocol::Command {
            wrong.when(check.command.is_none(), &path, "COMMAND health checks need a command");
            continue;
        }
        let index = check.port_index.map(|index| index as usize);
        let bad = check.port.is_none() && index.is_some_and(|index| index >= ports);
        wrong.when(bad, &path, PORT_INDEX);
        let v6 = check.ip_protocol.as_deref() == Some("IPv6");
        let may = check.protocol.is_beside_the_task() && spec.docker_image().is_some();
        wrong.when(v6 && !may, &path, "IPv6 can only be used for MESOS_* health checks of Docker containers");
    }
    let mesos = spec.health_checks.iter().filter(|c| c.protocol.is_beside_the_task() && c.protocol != HealthProtocol::Command);
    wrong.when(mesos.count() > 1, "/healthChecks", "AppDefinition can contain at most one Mesos health check");
}

fn check_readiness(spec: &AppSpec, wrong: &mut Wrong) {
    wrong.when(spec.readiness_checks.len() > 1, "/readinessChecks", "may not contain more than one readiness check");
    let names = spec.port_names();
    for (nth, check) in spec.readiness_checks.iter().enumerate() {
        let path = format!("/readinessChecks({nth})");
        let late = check.timeout_seconds >= check.interval_seconds;
        wrong.when(late, &format!("{path}/timeoutSeconds"), "Timeout must be less than interval");
        if !names.contains(&Some(check.port_name.as_str())) {
            wrong.say(format!("{path}/portName"), format!("No port definition reference for portName {}", check.port_name));
        }
    }
}

fn check_labels(instances: u32, spec: &AppSpec, wrong: &mut Wrong) {
    let label = |name: &str| spec.labels.get(name).map(String::as_str);
    if label("MARATHON_SINGLE_INSTANCE_APP") == Some("true") {
        wrong.when(instances > 1, "/", "Single instance app may only have one instance");
        let still = spec.upgrade_strategy == UpgradeStrategy { maximum_over_capacity: 0.0, minimum_health_capacity: 0.0 };
        wrong.when(!still, "/upgradeStrategy", "Single instance app must have an upgrade strategy of 0 / 0");
    }
    if let Some(version) = label("DCOS_MIGRATION_API_VERSION") {
        wrong.when(version != "v1", "/labels", "DCOS_MIGRATION_API_VERSION must be v1");
        let missing = label("DCOS_PACKAGE_FRAMEWORK_NAME").is_none() || label("DCOS_MIGRATION_API_PATH").is_none();
        let say = "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using DCOS_MIGRATION_API_VERSION";
        wrong.when(missing, "/", say);
    }
}

fn check_strategies(spec: &AppSpec, wrong: &mut Wrong) {
    let resident = spec.residency.is_some();
    let over = spec.upgrade_strategy.maximum_over_capacity;
    wrong.when(
        spec.has_own_volume() && over != 0.0,
        "/upgradeStrategy/maximumOverCapacity",
        "must be 0.0 for persistent volumes",
    );
    match spec.unreachable_strategy {
        UnreachableStrategy::After { inactive_after_seconds, expunge_after_seconds } => {
            let late = inactive_after_seconds > expunge_after_seconds;
            let say = "inactiveAfterSeconds must be less than or equal to expungeAfterSeconds";
            wrong.when(late, "/unreachableStrategy", say);
            wrong.when(resident && spec.has_own_volume(), "/unreachableStrategy", "must be disabled for resident applications");
        }
        UnreachableStrategy::Word(Disabled::Disabled) => {}
    }
}

fn check_limits(spec: &AppSpec, wrong: &mut Wrong) {
    let Some(limits) = &spec.resource_limits else { return };
    for (name, asked) in [("cpus", spec.cpus), ("mem", spec.mem)] {
        let path = format!("/resourceLimits/{name}");
        match &limits[name] {
            serde_json::Value::Null => {}
            serde_json::Value::String(word) if word == "unlimited" => {}
            limit => match limit.as_f64() {
                Some(limit) if limit >= asked => {}
                Some(_) => wrong.say(path, format!("{name} limit must be greater than or equal to the requested amount")),
                None => wrong.say(path, "must be a number or unlimited"),
            },
        }
    }
}

fn check_role(id: &PathId, spec: &AppSpec, wrong: &mut Wrong) {
    let top = id.segments().next().filter(|_| !id.parent().is_root());
    let known = spec.role == "*" || Some(spec.role.as_str()) == top;
    wrong.when(!known, "/role", "must be the default role or the name of the top-level group");
}

fn check_constraint(words: &[String]) -> Result<(), String> {
    let value = words.get(2).map(String::as_str);
    let is_int = |text: &str| text.parse::<i64>().is_ok();
    if words[0].is_empty() {
        return Err("illegal constraint specification".into());
    }
    match words[1].as_str() {
        "CLUSTER" => Ok(()),
        "UNIQUE" if value.is_some() => Err("UNIQUE does not accept a value".into()),
        "GROUP_BY" if value.is_some_and(|text| !is_int(text)) => {
            Err("GROUP BY must define an integer value or else no value at all".into())
        }
        "UNIQUE" | "GROUP_BY" => Ok(()),
        "LIKE" | "UNLIKE" => match value.filter(|text| !text.is_empty()) {
            None => Err("LIKE and UNLIKE require a non-empty, regular expression value".into()),
            Some(text) => Regex::new(text).map(drop).map_err(|_| "is not a valid regular expression".into()),
        },
        "MAX_PER" if value.is_some_and(is_int) => Ok(()),
        "MAX_PER" => Err("MAX_PER requires an integer value".into()),
        "IS" if value.is_some_and(is_text_or_number) => Ok(()),
        "IS" => Err("IS only supports Mesos text and float values (see http://mesos.apache.org/documentation/latest/attributes-resources/)".into()),
        _ => Err(OPERATORS.into()),
    }
}

/// Sets `{a,b}` and ranges `[1-2]` are values of attributes too, and not for comparing.
fn is_text_or_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | ':'))
}

/// Whether a text has only what an address may have.
fn is_uri(text: &str) -> bool {
    let allowed =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`');
    let mut escapes = text.split('%').skip(1);
    !text.is_empty()
        && text.chars().all(allowed)
        && escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}
