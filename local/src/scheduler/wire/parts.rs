//! Reading the parts of a definition: containers, ports, checks, strategies.

use std::sync::LazyLock;

use regex::Regex;

use super::json::{At, Members};
use super::update::{list, texts};
use crate::scheduler::model::app::*;

static EXECUTOR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?://cmd)$|^(?:/?[^/]+(?:/[^/]+)*)$|^$").expect("the pattern is a constant that the tests compile")
});

const PROTOCOLS: [(&str, Protocol); 4] =
    [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("udp,tcp", Protocol::Both), ("tcp,udp", Protocol::Both)];

const HEALTH_PROTOCOLS: [(&str, HealthProtocol); 7] = [
    ("HTTP", HealthProtocol::Http),
    ("HTTPS", HealthProtocol::Https),
    ("TCP", HealthProtocol::Tcp),
    ("COMMAND", HealthProtocol::Command),
    ("MESOS_HTTP", HealthProtocol::MesosHttp),
    ("MESOS_HTTPS", HealthProtocol::MesosHttps),
    ("MESOS_TCP", HealthProtocol::MesosTcp),
];

/// The path of an executor: no double and no trailing slash.
pub(crate) fn executor(at: &At<'_>) -> Option<String> {
    let text = at.string()?;
    if EXECUTOR.is_match(&text) { Some(text) } else { at.wrong("error.pattern") }
}

/// A text or a reference to a secret. Numbers and booleans become text, as files written by hand have them.
pub(crate) fn env_value(at: &At<'_>) -> Option<EnvValue> {
    match at.value() {
        serde_json::Value::Object(_) => Some(EnvValue::Secret { secret: at.object()?.need("secret")?.filled()? }),
        scalar @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => Some(EnvValue::Text(scalar.to_string())),
        _ => at.string().map(EnvValue::Text),
    }
}

/// A file to bring.
pub(crate) fn fetch(at: At<'_>) -> Option<Fetch> {
    let m = at.object()?;
    Some(Fetch {
        uri: m.need("uri")?.string()?,
        extract: flag(&m, "extract", true)?,
        executable: flag(&m, "executable", false)?,
        cache: flag(&m, "cache", false)?,
        dest_path: maybe(&m, "destPath", |at| at.string())?,
    })
}

/// What the task runs in. The old members inside `docker` are read elsewhere.
pub(crate) fn container(at: &At<'_>) -> Option<Container> {
    let m = at.object()?;
    let kind = or(&m, "type", ContainerKind::Docker, |at| {
        at.word(&[("DOCKER", ContainerKind::Docker), ("MESOS", ContainerKind::Mesos)])
    });
    let docker = maybe(&m, "docker", docker);
    let volumes = or(&m, "volumes", Vec::new(), |at| list(&at, volume));
    let port_mappings = maybe(&m, "portMappings", |at| list(&at, port_mapping));
    Some(Container { kind: kind?, docker: docker?, volumes: volumes?, port_mappings: port_mappings? })
}

fn docker(at: At<'_>) -> Option<Docker> {
    let m = at.object()?;
    Some(Docker {
        image: m.need("image")?.filled()?,
        force_pull_image: flag(&m, "forcePullImage", false)?,
        parameters: or(&m, "parameters", Vec::new(), |at| list(&at, parameter))?,
        privileged: flag(&m, "privileged", false)?,
        pull_config: maybe(&m, "pullConfig", |at| {
            at.object()?;
            Some(at.value().clone())
        })?,
    })
}

fn parameter(at: At<'_>) -> Option<Parameter> {
    let m = at.object()?;
    Some(Parameter { key: m.need("key")?.filled()?, value: m.need("value")?.string()? })
}

fn volume(at: At<'_>) -> Option<Volume> {
    let m = at.object()?;
    let container_path = m.need("containerPath")?.filled()?;
    let mode = |needed: bool| match m.get("mode") {
        Some(at) => at.word(&[("RO", "RO"), ("RW", "RW")]).map(str::to_owned),
        None if needed => m.need("mode").and_then(|at| at.string()),
        None => Some("RW".to_owned()),
    };
    let kind = if let Some(persistent) = m.get("persistent") {
        VolumeKind::Persistent { mode: mode(false)?, persistent: persistent_volume(&persistent)? }
    } else if let Some(external) = m.get("external") {
        external.object()?;
        VolumeKind::External { mode: mode(false)?, external: external.value().clone() }
    } else if let Some(secret) = m.get("secret") {
        VolumeKind::Secret { secret: secret.filled()? }
    } else {
        VolumeKind::Host { host_path: m.need("hostPath")?.filled()?, mode: mode(true)? }
    };
    Some(Volume { container_path, kind })
}

/// Data that stays with an instance, with its type named.
fn persistent_volume(at: &At<'_>) -> Option<serde_json::Value> {
    let m = at.object()?;
    let types = [("root", "root"), ("path", "path"), ("mount", "mount")];
    let size = m.need("size").and_then(|at| at.number(0.0, f64::MAX));
    let kind = or(&m, "type", "root", |at| at.word(&types));
    let mut shown = at.value().clone();
    size?;
    shown["type"] = kind?.into();
    Some(shown)
}

/// A mapping of a container's port, in the new place or the old one.
pub(crate) fn port_mapping(at: At<'_>) -> Option<PortMapping> {
    let m = at.object()?;
    Some(PortMapping {
        container_port: or(&m, "containerPort", 0, |at| at.port())?,
        host_port: maybe(&m, "hostPort", |at| at.port())?,
        labels: or(&m, "labels", Default::default(), |at| at.map(|value| value.string()))?,
        name: maybe(&m, "name", |at| port_name(&at))?,
        protocol: or(&m, "protocol", Protocol::Tcp, |at| at.word(&PROTOCOLS))?,
        service_port: or(&m, "servicePort", 0, |at| at.port())?,
        network_names: or(&m, "networkNames", Vec::new(), |at| texts(&at))?,
    })
}

/// A service port of an application on the machine's network.
pub(crate) fn port_definition(at: At<'_>) -> Option<PortDefinition> {
    let m = at.object()?;
    Some(PortDefinition {
        port: or(&m, "port", 0, |at| at.port())?,
        name: maybe(&m, "name", |at| port_name(&at))?,
        protocol: or(&m, "protocol", Protocol::Tcp, |at| at.word(&PROTOCOLS))?,
        labels: or(&m, "labels", Default::default(), |at| at.map(|value| value.string()))?,
    })
}

/// Port names end up in the names of environment variables.
fn port_name(at: &At<'_>) -> Option<String> {
    let name = at.filled()?;
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !fits {
        return at.wrong("error.pattern");
    }
    if name.len() > 255 { at.wrong("error.maxLength") } else { Some(name) }
}

/// How the task is connected.
pub(crate) fn network(at: At<'_>) -> Option<Network> {
    let m = at.object()?;
    let modes = [("host", NetworkMode::Host), ("container/bridge", NetworkMode::Bridge), ("container", NetworkMode::Container)];
    Some(Network {
        labels: or(&m, "labels", Default::default(), |at| at.map(|value| value.string()))?,
        mode: or(&m, "mode", NetworkMode::Container, |at| at.word(&modes))?,
        name: maybe(&m, "name", |at| at.filled())?,
    })
}

/// A health check. Whether its port exists is decided when the whole definition is known.
pub(crate) fn health_check(at: At<'_>) -> Option<HealthCheck> {
    let m = at.object()?;
    Some(HealthCheck {
        command: maybe(&m, "command", |at| Some(CommandText { value: at.object()?.need("value")?.filled()? }))?,
        grace_period_seconds: or(&m, "gracePeriodSeconds", 300, |at| at.count())?,
        ignore_http1xx: maybe(&m, "ignoreHttp1xx", |at| at.bool())?,
        interval_seconds: or(&m, "intervalSeconds", 60, |at| at.count_from(1))?,
        ip_protocol: Some(or(&m, "ipProtocol", "IPv4", |at| at.word(&[("IPv4", "IPv4"), ("IPv6", "IPv6")]))?.to_owned()),
        max_consecutive_failures: or(&m, "maxConsecutiveFailures", 3, |at| at.count())?,
        path: maybe(&m, "path", |at| at.string())?,
        port: maybe(&m, "port", |at| at.port())?,
        port_index: maybe(&m, "portIndex", |at| at.count())?,
        protocol: or(&m, "protocol", HealthProtocol::Http, |at| at.word(&HEALTH_PROTOCOLS))?,
        timeout_seconds: or(&m, "timeoutSeconds", 20, |at| at.count())?,
        delay_seconds: or(&m, "delaySeconds", 15, |at| at.count())?,
    })
}

/// A readiness check.
pub(crate) fn readiness_check(at: At<'_>) -> Option<ReadinessCheck> {
    let m = at.object()?;
    let protocols = [("HTTP", ReadinessProtocol::Http), ("HTTPS", ReadinessProtocol::Https)];
    let status = |at: At<'_>| at.int(100, 999).and_then(|code| u16::try_from(code).ok());
    Some(ReadinessCheck {
        name: or(&m, "name", "readinessCheck".to_owned(), |at| at.filled())?,
        protocol: or(&m, "protocol", ReadinessProtocol::Http, |at| at.word(&protocols))?,
        path: or(&m, "path", "/".to_owned(), |at| at.string())?,
        port_name: or(&m, "portName", "http-api".to_owned(), |at| at.string())?,
        interval_seconds: or(&m, "intervalSeconds", 30, |at| at.count_from(1))?,
        timeout_seconds: or(&m, "timeoutSeconds", 10, |at| at.count_from(1))?,
        http_status_codes_for_ready: or(&m, "httpStatusCodesForReady", vec![200], |at| list(&at, status))?,
        preserve_last_response: flag(&m, "preserveLastResponse", false)?,
    })
}

/// Two or three texts.
pub(crate) fn constraint(at: At<'_>) -> Option<Vec<String>> {
    let words = texts(&at)?;
    match words.len() {
        0 | 1 => at.wrong("error.minLength"),
        2 | 3 => Some(words),
        _ => at.wrong("error.maxLength"),
    }
}

/// The two capacities; one that is missing is 1, as it was before both were required.
pub(crate) fn upgrade_strategy(at: &At<'_>) -> Option<UpgradeStrategy> {
    let m = at.object()?;
    let minimum = or(&m, "minimumHealthCapacity", 1.0, |at| at.number(0.0, 1.0));
    let maximum = or(&m, "maximumOverCapacity", 1.0, |at| at.number(0.0, 1.0));
    Some(UpgradeStrategy { minimum_health_capacity: minimum?, maximum_over_capacity: maximum? })
}

/// Two times or the word `disabled`.
pub(crate) fn unreachable_strategy(at: &At<'_>) -> Option<UnreachableStrategy> {
    if at.value().is_string() {
        return at.word(&[("disabled", Disabled::Disabled)]).map(UnreachableStrategy::Word);
    }
    let m = at.object()?;
    let inactive = or(&m, "inactiveAfterSeconds", 0, |at| at.count());
    let expunge = or(&m, "expungeAfterSeconds", 0, |at| at.count());
    Some(UnreachableStrategy::After { inactive_after_seconds: inactive?, expunge_after_seconds: expunge? })
}

/// Which tasks go first.
pub(crate) fn kill_selection(at: &At<'_>) -> Option<KillSelection> {
    at.word(&[("YOUNGEST_FIRST", KillSelection::YoungestFirst), ("OLDEST_FIRST", KillSelection::OldestFirst)])
}

/// What stays with an instance.
pub(crate) fn residency(at: &At<'_>) -> Option<Residency> {
    let m = at.object()?;
    let words = [("WAIT_FOREVER", "WAIT_FOREVER"), ("RELAUNCH_AFTER_TIMEOUT", "RELAUNCH_AFTER_TIMEOUT")];
    Some(Residency {
        relaunch_escalation_timeout_seconds: or(&m, "relaunchEscalationTimeoutSeconds", 3600, |at| at.count())?,
        task_lost_behavior: or(&m, "taskLostBehavior", "WAIT_FOREVER", |at| at.word(&words))?.to_owned(),
    })
}

/// A member with a default. `None` only when it is there and wrong.
fn or<'a, T>(m: &Members<'a>, key: &str, default: T, read: impl FnOnce(At<'a>) -> Option<T>) -> Option<T> {
    m.get(key).map_or(Some(default), read)
}

/// An optional member. The outer `None` means that it is there and wrong.
fn maybe<'a, T>(m: &Members<'a>, key: &str, read: impl FnOnce(At<'a>) -> Option<T>) -> Option<Option<T>> {
    m.get(key).map_or(Some(None), |at| read(at).map(Some))
}

fn flag(m: &Members<'_>, key: &str, default: bool) -> Option<bool> {
    or(m, key, default, |at| at.bool())
}
