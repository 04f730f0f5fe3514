//! A group as clients send it: what it lists replaces what was there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::json::{At, Mistake};
use super::update::{AppUpdate, IdRule, list, path_text};
use super::{normal, rules};
use crate::scheduler::model::app::App;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;

/// How deep groups may be nested.
const DEEPEST: usize = 32;

const ALONE: &str = "not allowed in conjunction with other properties.";

/// What a body says about a group. What it does not name stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupUpdate {
    pub(crate) id: Option<String>,
    apps: Option<Vec<AppUpdate>>,
    groups: Option<Vec<GroupUpdate>>,
    dependencies: Option<Vec<String>>,
    enforce_role: Option<bool>,
    pub(crate) scale_by: Option<f64>,
    pub(crate) version: Option<String>,
}

/// `enforceRole` belongs to groups right below the root.
pub(crate) fn only_top_level() -> Mistake {
    Mistake::new("/enforceRole", "enforceRole can only be set for top-level groups")
}

impl GroupUpdate {
    /// The update that only names a version to go back to.
    pub(crate) fn back_to(version: &str) -> Self {
        Self { version: Some(version.to_owned()), ..Self::default() }
    }

    /// Reads a body.
    pub(crate) fn read(at: &At<'_>, id_needed: bool) -> Option<Self> {
        Self::read_at(at, id_needed, 0)
    }

    fn read_at(at: &At<'_>, id_needed: bool, depth: usize) -> Option<Self> {
        let m = at.object()?;
        if depth > DEEPEST {
            return at.wrong("error.maxLength");
        }
        let id = if id_needed { m.need("id") } else { m.get("id") };
        Some(Self {
            id: id.and_then(|at| group_path(&at)),
            apps: m.get("apps").and_then(|at| list(&at, |at| AppUpdate::read(&at, IdRule::Needed))),
            groups: m.get("groups").and_then(|at| list(&at, |at| Self::read_at(&at, true, depth + 1))),
            dependencies: m.get("dependencies").and_then(|at| list(&at, |at| path_text(&at))),
            enforce_role: m.get("enforceRole").and_then(|at| at.bool()),
            scale_by: m.get("scaleBy").and_then(|at| at.number(0.0, f64::from(u32::MAX))),
            version: m.get("version").and_then(|at| at.string()),
        })
    }

    /// Says which members exclude each other.
    pub(crate) fn check(&self) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let named = self.apps.is_some() || self.groups.is_some() || self.dependencies.is_some() || self.enforce_role.is_some();
        if self.scale_by.is_some() && (named || self.version.is_some()) {
            wrong.push(Mistake::new("/scaleBy", ALONE));
        }
        if self.version.is_some() && (named || self.scale_by.is_some()) {
            wrong.push(Mistake::new("/version", ALONE));
        }
        wrong
    }

    /// Changes the tree; returns what is wrong with the update.
    pub(crate) fn apply_to(&self, root: &mut Root, id: &PathId, now: Timestamp) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        self.apply_at(root, id, now, "", &mut wrong);
        wrong
    }

    fn apply_at(&self, root: &mut Root, id: &PathId, now: Timestamp, path: &str, wrong: &mut Vec<Mistake>) {
        let services: Option<Vec<Arc<App>>> = root.groups.contains_key(id).then(|| root.apps_below(id).cloned().collect());
        root.make_group(id, now);
        if let Some(apps) = &self.apps {
            apply_apps(root, id, apps, now, path, wrong);
        }
        if let Some(groups) = &self.groups {
            self.apply_groups(root, id, groups, now, path, wrong);
        }
        let Some(group) = root.groups.get_mut(id) else { return };
        if let Some(dependencies) = &self.dependencies {
            group.dependencies = dependencies.iter().map(|text| PathId::resolve(text, id)).collect();
        }
        if let Some(enforce) = self.enforce_role {
            if id.is_root() || !id.parent().is_root() {
                wrong.push(only_top_level());
            }
            let changes = group.enforce_role.unwrap_or(false) != enforce;
            let stayed = services.is_none_or(|before| {
                let now: Vec<&Arc<App>> = root.apps_below(id).collect();
                before.len() == now.len() && before.iter().zip(now).all(|(before, now)| Arc::ptr_eq(before, now))
            });
            if changes && !stayed {
                wrong.push(Mistake::new("/enforceRole", "enforceRole cannot be updated together with a change of services"));
            }
            if let Some(group) = root.groups.get_mut(id) {
                group.enforce_role = Some(enforce);
            }
        }
    }

    fn apply_groups(
        &self,
        root: &mut Root,
        id: &PathId,
        groups: &[GroupUpdate],
        now: Timestamp,
        path: &str,
        wrong: &mut Vec<Mistake>,
    ) {
        let mut named = BTreeSet::new();
        for (nth, group) in groups.iter().enumerate() {
            let path = format!("{path}/groups({nth})");
            let child = PathId::resolve(group.id.as_deref().unwrap_or_default(), id);
            if child.parent() != *id || child.is_root() {
                wrong.push(Mistake::new(format!("{path}/id"), format!("Identifier is not child of '{id}'")));
                continue;
            }
            group.apply_at(root, &child, now, &path, wrong);
            named.insert(child);
        }
        let gone: Vec<PathId> = root.groups_in(id).map(|(id, _)| id.clone()).filter(|id| !named.contains(id)).collect();
        gone.iter().for_each(|id| root.remove_group(id));
    }
}

fn group_path(at: &At<'_>) -> Option<String> {
    if at.value() == "/" { Some("/".to_owned()) } else { path_text(at) }
}

fn apply_apps(root: &mut Root, group: &PathId, apps: &[AppUpdate], now: Timestamp, path: &str, wrong: &mut Vec<Mistake>) {
    let mut named = BTreeSet::new();
    for (nth, update) in apps.iter().enumerate() {
        let path = format!("{path}/apps({nth})");
        let text = update.id.as_deref().unwrap_or_default();
        let id = PathId::resolve(text, group);
        if id.parent() != *group || id.is_root() {
            wrong.push(Mistake::new(format!("{path}/id"), format!("Identifier is not child of '{group}'")));
            continue;
        }
        let known = root.apps.get(&id).cloned();
        let mut spec = normal::complete(update, &id);
        // Numbers that the scheduler gave stay, so that sending a group again changes nothing.
        let _ = normal::assign_service_ports(&mut spec, known.as_deref(), || Some(0));
        let instances = update.instances.unwrap_or(1);
        let mut mistakes = rules::check_id(text, &id);
        mistakes.extend(rules::check_update(update));
        mistakes.extend(rules::check_app(&id, instances, &spec));
        wrong.extend(mistakes.into_iter().map(|mistake| below(&path, mistake)));
        if known.as_ref().is_none_or(|known| known.spec != spec || known.instances != instances) {
            let version = known.as_ref().map_or(now, |known| known.version);
            let version_info = known.and_then(|known| known.version_info);
            root.put_app(Arc::new(App { id: id.clone(), instances, spec, version, version_info }));
        }
        named.insert(id);
    }
    let gone: Vec<PathId> = root.apps_in(group).map(|app| app.id.clone()).filter(|id| !named.contains(id)).collect();
    for id in gone {
        root.apps.remove(&id);
    }
}

fn below(path: &str, mistake: Mistake) -> Mistake {
    let rest = if mistake.path == "/" { "" } else { &mistake.path };
    Mistake { path: format!("{path}{rest}"), ..mistake }
}
