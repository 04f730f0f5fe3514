//! From what a client sent to the normal form of a definition.

use super::legacy::{Legacy, empty_mesos};
use super::update::AppUpdate;
use crate::scheduler::model::app::*;
use crate::scheduler::model::id::PathId;

/// The definition that a body describes on its own: members that it does not name have their defaults.
pub(crate) fn complete(update: &AppUpdate, id: &PathId) -> AppSpec {
    let mut spec = AppSpec::default();
    apply(update, id, &mut spec);
    settle(&mut spec, update, declares_ports(update));
    spec
}

/// A definition after a body that names only what changes.
pub(crate) fn changed(update: &AppUpdate, id: &PathId, before: &AppSpec) -> AppSpec {
    let mut spec = before.clone();
    apply(update, id, &mut spec);
    settle(&mut spec, update, true);
    spec
}

fn apply(update: &AppUpdate, id: &PathId, spec: &mut AppSpec) {
    let mut update = update.clone();
    Legacy::translate(&mut update);
    update.apply_to(spec, &id.parent());
}

fn declares_ports(update: &AppUpdate) -> bool {
    let mappings = update.container.as_ref().is_some_and(|container| container.port_mappings.is_some());
    mappings || update.port_definitions.is_some() || update.legacy.ports.is_some() || update.legacy.docker_mappings.is_some()
}

fn settle(spec: &mut AppSpec, update: &AppUpdate, fill_index: bool) {
    if spec.networks.is_empty() {
        spec.networks = vec![Network::plain(NetworkMode::Host)];
    }
    if spec.is_host_mode() {
        settle_host(spec)
    } else {
        settle_mapped(spec, update.legacy.ports.as_ref().map_or(0, Vec::len))
    }
    settle_resident(spec, update);
    for check in spec.health_checks.iter_mut().filter(|check| fill_index && check.protocol != HealthProtocol::Command) {
        if check.port.is_none() && check.port_index.is_none() {
            check.port_index = Some(0);
        }
    }
    for constraint in &mut spec.constraints {
        if let Some(operator) = constraint.get_mut(1) {
            *operator = operator.to_ascii_uppercase();
        }
    }
}

fn settle_host(spec: &mut AppSpec) {
    if let Some(container) = &mut spec.container {
        container.port_mappings = None;
    }
    spec.port_definitions.get_or_insert_with(|| vec![PortDefinition::default_one()]);
}

fn settle_mapped(spec: &mut AppSpec, ports: usize) {
    spec.port_definitions = None;
    spec.require_ports = false;
    let bridge = spec.networks.iter().any(|network| network.mode == NetworkMode::Bridge);
    let any = PortMapping::any(bridge.then_some(0));
    let container = spec.container.get_or_insert_with(empty_mesos);
    let mappings = container.port_mappings.get_or_insert_with(|| vec![any.clone()]);
    while mappings.len() < ports {
        mappings.push(any.clone());
    }
    for mapping in mappings.iter_mut().filter(|_| bridge) {
        mapping.host_port.get_or_insert(0);
    }
}

/// Data of its own: half of the instances stay up, none is added, and a lost instance is waited for.
fn settle_resident(spec: &mut AppSpec, update: &AppUpdate) {
    if !spec.has_own_volume() {
        return;
    }
    let given_before = spec.residency.is_some();
    spec.residency.get_or_insert_with(|| Residency {
        relaunch_escalation_timeout_seconds: 3600,
        task_lost_behavior: "WAIT_FOREVER".to_owned(),
    });
    if update.upgrade_strategy.is_none() && !given_before {
        spec.upgrade_strategy = UpgradeStrategy { minimum_health_capacity: 0.5, maximum_over_capacity: 0.0 };
    }
    if update.unreachable_strategy.is_none() && !given_before {
        spec.unreachable_strategy = UnreachableStrategy::Word(Disabled::Disabled);
    }
}

/// Gives every service port that is 0 a number of its own, the one that it had before where it had one.
pub(crate) fn assign_service_ports(
    spec: &mut AppSpec,
    before: Option<&App>,
    mut free: impl FnMut() -> Option<u16>,
) -> Option<()> {
    let old = before.map(App::service_ports).unwrap_or_default();
    let given: Vec<u16> = service_ports_mut(spec).map(|port| *port).collect();
    for (nth, port) in service_ports_mut(spec).enumerate() {
        if *port != 0 {
            continue;
        }
        let kept = old.get(nth).copied().filter(|old| *old != 0 && !given.contains(old));
        *port = match kept {
            Some(old) => old,
            None => free()?,
        };
    }
    Some(())
}

fn service_ports_mut(spec: &mut AppSpec) -> Box<dyn Iterator<Item = &mut u16> + '_> {
    if spec.is_host_mode() {
        return Box::new(spec.port_definitions.iter_mut().flatten().map(|definition| &mut definition.port));
    }
    let mappings = spec.container.iter_mut().flat_map(|container| container.port_mappings.iter_mut().flatten());
    Box::new(mappings.map(|mapping| &mut mapping.service_port))
}
