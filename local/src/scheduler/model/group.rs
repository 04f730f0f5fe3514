//! The tree of groups and applications at one moment, kept flat: paths tell who belongs where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::app::App;
use super::id::PathId;
use super::time::Timestamp;

/// All applications and groups. Every ancestor of an application or a group is in `groups`, the root always.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Root {
    #[serde(with = "super::shared::map")]
    pub(crate) apps: BTreeMap<PathId, Arc<App>>,
    pub(crate) groups: BTreeMap<PathId, Group>,
}

/// What a group has besides its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    #[serde(default)]
    pub(crate) dependencies: Vec<PathId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enforce_role: Option<bool>,
    pub(crate) version: Timestamp,
}

impl Group {
    /// A group without dependencies.
    pub(crate) fn plain(version: Timestamp) -> Self {
        Self { dependencies: Vec::new(), enforce_role: None, version }
    }
}

impl Root {
    /// Nothing but `/`.
    pub(crate) fn empty(version: Timestamp) -> Self {
        Self { apps: BTreeMap::new(), groups: BTreeMap::from([(PathId::root(), Group::plain(version))]) }
    }

    /// The version of the whole tree.
    pub(crate) fn version(&self) -> Timestamp {
        self.groups.get(&PathId::root()).map_or(Timestamp(0), |root| root.version)
    }

    /// Adds or replaces an application and makes the groups above it.
    pub(crate) fn put_app(&mut self, app: Arc<App>) {
        self.make_groups(app.id.ancestors().collect(), app.version);
        self.apps.insert(app.id.clone(), app);
    }

    /// Makes a group, and those above it, where they are missing.
    pub(crate) fn make_group(&mut self, id: &PathId, version: Timestamp) {
        self.make_groups(std::iter::once(id.clone()).chain(id.ancestors()).collect(), version);
    }

    fn make_groups(&mut self, ids: Vec<PathId>, version: Timestamp) {
        for id in ids {
            self.groups.entry(id).or_insert_with(|| Group::plain(version));
        }
    }

    /// Removes a group with everything below. The root itself stays, empty.
    pub(crate) fn remove_group(&mut self, id: &PathId) {
        self.apps.retain(|app, _| !app.is_below(id));
        self.groups.retain(|group, _| group.is_root() || (group != id && !group.is_below(id)));
    }

    /// Marks a place, and the groups above it, as changed.
    pub(crate) fn touch(&mut self, place: &PathId, version: Timestamp) {
        for id in std::iter::once(place.clone()).chain(place.ancestors()) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.version = version;
            }
        }
    }

    /// Applications at any depth below a group, in the order of their paths.
    pub(crate) fn apps_below<'a>(&'a self, group: &'a PathId) -> impl Iterator<Item = &'a Arc<App>> {
        below(&self.apps, group).map(|(_, app)| app)
    }

    /// Applications that are direct children of a group.
    pub(crate) fn apps_in<'a>(&'a self, group: &'a PathId) -> impl Iterator<Item = &'a Arc<App>> {
        self.apps_below(group).filter(move |app| app.id.parent() == *group)
    }

    /// Groups that are direct children of a group.
    pub(crate) fn groups_in<'a>(&'a self, group: &'a PathId) -> impl Iterator<Item = (&'a PathId, &'a Group)> {
        below(&self.groups, group).filter(move |(id, _)| id.parent() == *group)
    }

    /// For each application the applications that must be up before it: its own dependencies and those of the groups
    /// around it, groups standing for all that is in them.
    pub(crate) fn needs(&self) -> BTreeMap<&PathId, BTreeSet<&PathId>> {
        self.apps.values().map(|app| (&app.id, self.needs_of(app))).collect()
    }

    fn needs_of<'a>(&'a self, app: &'a App) -> BTreeSet<&'a PathId> {
        let mut named: Vec<&PathId> = app.spec.dependencies.iter().collect();
        for group in app.id.ancestors() {
            named.extend(self.groups.get(&group).into_iter().flat_map(|group| &group.dependencies));
        }
        named.into_iter().flat_map(|id| self.apps.get(id).into_iter().chain(self.apps_below(id))).map(|app| &app.id).collect()
    }

    /// Applications grouped by how deep their dependencies go, those without any first. `None` when they go in circles.
    pub(crate) fn layers(&self) -> Option<Vec<Vec<PathId>>> {
        let mut open = self.needs();
        let mut layers = Vec::new();
        while !open.is_empty() {
            let free: BTreeSet<&PathId> =
                open.iter().filter(|(_, needs)| needs.iter().all(|id| !open.contains_key(*id))).map(|(id, _)| *id).collect();
            if free.is_empty() {
                return None;
            }
            open.retain(|id, _| !free.contains(id));
            layers.push(free.into_iter().cloned().collect());
        }
        Some(layers)
    }

    /// Whether the dependencies of groups and applications go in circles, also through groups that are empty.
    pub(crate) fn has_cycle(&self) -> bool {
        self.layers().is_none() || self.group_cycle()
    }

    fn group_cycle(&self) -> bool {
        let mut open: BTreeMap<&PathId, BTreeSet<&PathId>> = self
            .groups
            .iter()
            .map(|(id, group)| (id, group.dependencies.iter().filter(|d| self.groups.contains_key(d)).collect()))
            .collect();
        loop {
            let free: Vec<&PathId> =
                open.iter().filter(|(_, needs)| needs.iter().all(|id| !open.contains_key(id))).map(|(id, _)| *id).collect();
            if free.is_empty() {
                return !open.is_empty();
            }
            for id in free {
                open.remove(id);
            }
        }
    }
}

/// What lies below a group: a run of neighbours, since maps are sorted by path.
fn below<'a, V>(map: &'a BTreeMap<PathId, V>, group: &'a PathId) -> impl Iterator<Item = (&'a PathId, &'a V)> {
    map.range(group.first_below()..).take_while(move |(id, _)| id.is_below(group))
}

#[cfg(test)]
mod tests {
    use super::super::app::AppSpec;
    use super::*;

    fn app(id: &str, needs: &[&str]) -> Arc<App> {
        let spec = AppSpec { dependencies: needs.iter().map(|id| PathId::absolute(id)).collect(), ..AppSpec::default() };
        Arc::new(App { id: PathId::absolute(id), instances: 1, spec, version: Timestamp(1), version_info: None })
    }

    fn root(apps: &[(&str, &[&str])]) -> Root {
        let mut root = Root::empty(Timestamp(1));
        for (id, needs) in apps {
            root.put_app(app(id, needs));
        }
        root
    }

    fn shown(root: &Root) -> Option<Vec<Vec<String>>> {
        Some(root.layers()?.iter().map(|layer| layer.iter().map(ToString::to_string).collect()).collect())
    }

    #[test]
    fn dependencies_come_first() {
        let tree = root(&[("/web", &["/db", "/cache"]), ("/cache", &["/db"]), ("/db", &[]), ("/alone", &[])]);
        let want = vec![vec!["/alone".to_owned(), "/db".into()], vec!["/cache".into()], vec!["/web".into()]];
        assert_eq!(shown(&tree), Some(want));
    }

    #[test]
    fn a_group_stands_for_its_applications() {
        let tree = root(&[("/front/web", &["/back"]), ("/back/a", &[]), ("/back/b", &["/back/a"])]);
        let layers = shown(&tree).expect("no circle");
        assert_eq!(layers, [["/back/a"], ["/back/b"], ["/front/web"]]);
    }

    #[test]
    fn dependencies_of_a_group_hold_for_what_is_in_it() {
        let mut tree = root(&[("/front/web", &[]), ("/back/a", &[])]);
        tree.groups.get_mut(&PathId::absolute("/front")).expect("made").dependencies = vec![PathId::absolute("/back")];
        assert_eq!(shown(&tree).expect("no circle"), [["/back/a"], ["/front/web"]]);
    }

    #[test]
    fn circles_are_seen() {
        assert!(root(&[("/a", &["/b"]), ("/b", &["/a"])]).has_cycle());
        assert!(root(&[("/a", &["/a"])]).has_cycle());
        assert!(!root(&[("/a", &["/nobody"])]).has_cycle());
        let mut empty = root(&[]);
        for (id, other) in [("/x", "/y"), ("/y", "/x")] {
            empty.make_group(&PathId::absolute(id), Timestamp(1));
            empty.groups.get_mut(&PathId::absolute(id)).expect("made").dependencies = vec![PathId::absolute(other)];
        }
        assert!(empty.has_cycle());
    }

    #[test]
    fn removing_a_group_removes_what_is_below() {
        let mut tree = root(&[("/g/a", &[]), ("/g/s/b", &[]), ("/gg/c", &[])]);
        tree.remove_group(&PathId::absolute("/g"));
        assert_eq!(tree.apps.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/gg/c"]);
        assert_eq!(tree.groups.keys().map(ToString::to_string).collect::<Vec<_>>(), ["/", "/gg"]);
    }
}
