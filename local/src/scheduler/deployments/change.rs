//! What a change of the tree means for versions and service ports.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::scheduler::model::app::{App, VersionInfo};
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::wire::normal::assign_service_ports;

/// No number is left for a service port.
#[derive(Debug, thiserror::Error)]
#[error("no service port is free between {} and {}", .0.start(), .0.end())]
pub(crate) struct NoServicePort(pub(crate) RangeInclusive<u16>);

/// Compares an edited tree with the one that it came from: what did not change keeps its version, what did gets the new
/// one, and what is in `restart` counts as changed. Service ports that are 0 get their numbers.
pub(crate) fn stamp(
    original: &Root,
    mut edited: Root,
    version: Timestamp,
    restart: &BTreeSet<PathId>,
    service_ports: &RangeInclusive<u16>,
) -> Result<Root, NoServicePort> {
    let mut used: BTreeSet<u16> = edited.apps.values().flat_map(|app| app.service_ports()).collect();
    used.extend(original.apps.values().flat_map(|app| app.service_ports()));
    let mut next = service_ports.clone();
    let mut touched = BTreeSet::new();
    for slot in edited.apps.values_mut() {
        let before = original.apps.get(&slot.id);
        if before.is_some_and(|before| Arc::ptr_eq(before, slot)) && !restart.contains(&slot.id) {
            continue;
        }
        let mut app = App::clone(slot);
        let free = || next.find(|port| used.insert(*port));
        assign_service_ports(&mut app.spec, before.map(Arc::as_ref), free).ok_or_else(|| NoServicePort(service_ports.clone()))?;
        match stamped(before.map(Arc::as_ref), app, version, restart) {
            Some(app) => {
                touched.insert(app.id.parent());
                *slot = Arc::new(app);
            }
            None => slot.clone_from(before.expect("only what was there before is unchanged")),
        }
    }
    touched.extend(original.apps.keys().filter(|id| !edited.apps.contains_key(*id)).map(PathId::parent));
    touched.extend(changed_groups(original, &edited));
    for place in &touched {
        edited.touch(place, version);
    }
    Ok(edited)
}

fn stamped(before: Option<&App>, mut app: App, version: Timestamp, restart: &BTreeSet<PathId>) -> Option<App> {
    let all_new = VersionInfo { last_scaling_at: version, last_config_change_at: version };
    let Some(before) = before else {
        return Some(App { version, version_info: Some(all_new), ..app });
    };
    let old =
        before.version_info.unwrap_or(VersionInfo { last_scaling_at: before.version, last_config_change_at: before.version });
    let info = if before.spec != app.spec {
        all_new
    } else if restart.contains(&app.id) {
        VersionInfo { last_config_change_at: version, ..old }
    } else if before.instances != app.instances {
        VersionInfo { last_scaling_at: version, ..old }
    } else {
        return None;
    };
    app.version = version;
    app.version_info = Some(info);
    Some(app)
}

fn changed_groups(original: &Root, edited: &Root) -> Vec<PathId> {
    let mut changed: Vec<PathId> = edited
        .groups
        .iter()
        .filter(|(id, group)| original.groups.get(*id).is_none_or(|before| before.dependencies != group.dependencies))
        .map(|(id, _)| id.clone())
        .collect();
    changed.extend(original.groups.keys().filter(|id| !edited.groups.contains_key(*id)).map(PathId::parent));
    changed
}

/// The tree of now with the applications and groups that a deployment changed put back to what they were before it.
pub(crate) fn reverted(now: &Root, original: &Root, target: &Root) -> Root {
    let mut root = now.clone();
    let ids: BTreeSet<&PathId> = original.apps.keys().chain(target.apps.keys()).collect();
    for id in ids {
        match (original.apps.get(id), target.apps.get(id)) {
            (Some(before), after) if after.is_none_or(|after| after.version != before.version) => root.put_app(before.clone()),
            (None, Some(_)) => {
                root.apps.remove(id);
            }
            _ => {}
        }
    }
    for (id, group) in &original.groups {
        if target.groups.get(id).is_none_or(|after| after.dependencies != group.dependencies) {
            root.groups.insert(id.clone(), group.clone());
        }
    }
    // Deepest first, so that a group is empty once those in it are gone.
    for id in target.groups.keys().rev().filter(|id| !original.groups.contains_key(*id)) {
        if root.apps_below(id).next().is_none() && root.groups_in(id).next().is_none() {
            root.groups.remove(id);
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::model::app::{AppSpec, Network, NetworkMode, PortDefinition};

    const PORTS: RangeInclusive<u16> = 10_000..=10_003;

    fn spec(cmd: &str, ports: &[u16]) -> AppSpec {
        AppSpec {
            cmd: Some(cmd.into()),
            networks: vec![Network::plain(NetworkMode::Host)],
            port_definitions: Some(
                ports.iter().map(|port| PortDefinition { port: *port, ..PortDefinition::default_one() }).collect(),
            ),
            ..AppSpec::default()
        }
    }

    fn put(root: &Root, id: &str, instances: u32, spec: AppSpec) -> Root {
        let mut root = root.clone();
        let app = App { id: PathId::absolute(id), instances, spec, version: Timestamp(0), version_info: None };
        root.put_app(Arc::new(app));
        root
    }

    fn at(original: &Root, edited: Root, version: i64) -> Root {
        stamp(original, edited, Timestamp(version), &BTreeSet::new(), &PORTS).expect("ports are left")
    }

    fn info(root: &Root, id: &str) -> (i64, i64, i64) {
        let app = &root.apps[&PathId::absolute(id)];
        let info = app.version_info.expect("stamped");
        (app.version.0, info.last_scaling_at.0, info.last_config_change_at.0)
    }

    #[test]
    fn versions_tell_scaling_from_change() {
        let empty = Root::empty(Timestamp(0));
        let one = at(&empty, put(&empty, "/a", 1, spec("x", &[0])), 1);
        assert_eq!(info(&one, "/a"), (1, 1, 1));
        let scaled = at(&one, put(&one, "/a", 2, spec("x", &[0])), 2);
        assert_eq!(info(&scaled, "/a"), (2, 2, 1));
        let same = at(&scaled, put(&scaled, "/a", 2, spec("x", &[0])), 3);
        assert_eq!(same, scaled);
        let changed = at(&same, put(&same, "/a", 2, spec("y", &[0])), 4);
        assert_eq!(info(&changed, "/a"), (4, 4, 4));
        let restart = BTreeSet::from([PathId::absolute("/a")]);
        let restarted = stamp(&changed, changed.clone(), Timestamp(5), &restart, &PORTS).expect("ports are left");
        assert_eq!(info(&restarted, "/a"), (5, 4, 5));
    }

    #[test]
    fn service_ports_are_unique_and_stay() {
        let empty = Root::empty(Timestamp(0));
        let one = at(&empty, put(&empty, "/a", 1, spec("x", &[0, 10_000])), 1);
        assert_eq!(one.apps[&PathId::absolute("/a")].service_ports(), [10_001, 10_000]);
        let two = at(&one, put(&one, "/b", 1, spec("x", &[0])), 2);
        assert_eq!(two.apps[&PathId::absolute("/b")].service_ports(), [10_002]);
        let more = at(&two, put(&two, "/a", 1, spec("x", &[0, 0, 0])), 3);
        assert_eq!(more.apps[&PathId::absolute("/a")].service_ports(), [10_001, 10_000, 10_003]);
        let full = stamp(&more, put(&more, "/c", 1, spec("x", &[0])), Timestamp(4), &BTreeSet::new(), &PORTS);
        assert_eq!(full.expect_err("no port is left").to_string(), "no service port is free between 10000 and 10003");
    }

    #[test]
    fn reverting_undoes_only_that_change() {
        let empty = Root::empty(Timestamp(0));
        let before = at(&empty, put(&empty, "/a", 1, spec("x", &[])), 1);
        let after = at(&before, put(&before, "/g/b", 1, spec("x", &[])), 2);
        let now = at(&after, put(&after, "/c", 1, spec("x", &[])), 3);
        let back = reverted(&now, &before, &after);
        assert_eq!(back.apps.keys().map(PathId::as_str).collect::<Vec<_>>(), ["/a", "/c"]);
        assert_eq!(back.groups.keys().map(PathId::as_str).collect::<Vec<_>>(), ["/"]);
    }
}
