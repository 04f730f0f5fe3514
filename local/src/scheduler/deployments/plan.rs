//! A deployment: the steps from one tree to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::scheduler::model::app::App;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;

/// What is done to one application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ActionKind {
    #[serde(rename = "StartApplication")]
    Start,
    #[serde(rename = "StopApplication")]
    Stop,
    #[serde(rename = "ScaleApplication")]
    Scale,
    #[serde(rename = "RestartApplication")]
    Restart,
}

/// One action of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Action {
    #[serde(rename = "action")]
    pub(crate) kind: ActionKind,
    pub(crate) app: PathId,
}

/// Actions that run side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) actions: Vec<Action>,
}

/// A change under way.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) version: Timestamp,
    pub(crate) original: Arc<Root>,
    pub(crate) target: Arc<Root>,
    pub(crate) steps: Vec<Step>,
    /// The step under way, counted from 1; 0 before the first.
    pub(crate) current: usize,
    /// The last word of the steps on each application: in which step, counted from 1, and what it does. Every look at an
    /// application asks for it, and a group of a thousand makes thousands of actions.
    turns: Arc<BTreeMap<PathId, (usize, ActionKind)>>,
}

impl Deployment {
    /// A deployment whose first step has not begun.
    pub(crate) fn new(id: String, version: Timestamp, original: Arc<Root>, target: Arc<Root>, steps: Vec<Step>) -> Self {
        let turns = Arc::new(turns(&steps));
        Self { id, version, original, target, steps, current: 0, turns }
    }

    /// Applications that some action names, without repetition.
    pub(crate) fn affected(&self) -> impl Iterator<Item = &PathId> {
        self.turns.keys()
    }

    /// Whether some action names an application.
    pub(crate) fn affects(&self, app: &PathId) -> bool {
        self.turns.contains_key(app)
    }

    /// The actions of the step under way.
    pub(crate) fn current_actions(&self) -> &[Action] {
        self.current.checked_sub(1).and_then(|nth| self.steps.get(nth)).map_or(&[], |step| &step.actions)
    }

    /// What this deployment does with an application now, when it has to do with it at all.
    pub(crate) fn stance(&self, app: &PathId) -> Option<Stance> {
        let (at, kind) = *self.turns.get(app)?;
        Some(match kind {
            _ if at > self.current => Stance::Waiting,
            ActionKind::Restart if at == self.current => Stance::Restarting,
            _ if at == self.current => Stance::Scaling,
            _ => Stance::Done,
        })
    }
}

/// Starting launches nothing by itself, so what comes later for the same application counts.
fn turns(steps: &[Step]) -> BTreeMap<PathId, (usize, ActionKind)> {
    let actions = steps.iter().enumerate().flat_map(|(nth, step)| step.actions.iter().map(move |action| (nth + 1, action)));
    actions.map(|(at, action)| (action.app.clone(), (at, action.kind))).collect()
}

/// How a deployment looks at one application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// Its step has not come: the application stays as it was before.
    Waiting,
    Scaling,
    Restarting,
    Done,
}

/// Plans the way from one tree to another: stop what is gone, announce what is new, then layer by layer, dependencies
/// first. Applications that did not change do not appear, and empty steps are left out.
pub(crate) fn steps(original: &Root, target: &Root) -> Vec<Step> {
    let stop = missing(original, target, ActionKind::Stop);
    let start = missing(target, original, ActionKind::Start);
    let changed: BTreeMap<&PathId, ActionKind> = target
        .apps
        .values()
        .filter_map(|app| Some((&app.id, change_of(original.apps.get(&app.id).map(Arc::as_ref), app)?)))
        .collect();
    let layers = if changed.is_empty() { Vec::new() } else { target.layers().unwrap_or_default() };
    let layers = layers.iter().map(|layer| Step {
        actions: layer.iter().filter_map(|id| Some(Action { kind: *changed.get(id)?, app: id.clone() })).collect(),
    });
    [stop, start].into_iter().chain(layers).filter(|step| !step.actions.is_empty()).collect()
}

fn missing(from: &Root, of: &Root, kind: ActionKind) -> Step {
    let ids = from.apps.keys().filter(|id| !of.apps.contains_key(*id));
    Step { actions: ids.map(|id| Action { kind, app: id.clone() }).collect() }
}

fn change_of(before: Option<&App>, after: &App) -> Option<ActionKind> {
    let Some(before) = before else { return Some(ActionKind::Scale) };
    let replaced = before.config_version() != after.config_version();
    match (replaced, before.instances == after.instances) {
        (true, _) if after.instances > 0 => Some(ActionKind::Restart),
        (true, _) | (false, false) => Some(ActionKind::Scale),
        (false, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::model::app::{AppSpec, VersionInfo};

    fn app(id: &str, instances: u32, config: i64, needs: &[&str]) -> Arc<App> {
        let version = Timestamp(config);
        let spec = AppSpec { dependencies: needs.iter().map(|id| PathId::absolute(id)).collect(), ..AppSpec::default() };
        let info = VersionInfo { last_scaling_at: version, last_config_change_at: version };
        Arc::new(App { id: PathId::absolute(id), instances, spec, version, version_info: Some(info) })
    }

    fn tree(apps: &[Arc<App>]) -> Root {
        let mut root = Root::empty(Timestamp(0));
        apps.iter().for_each(|app| root.put_app(app.clone()));
        root
    }

    #[track_caller]
    fn plan(before: &[Arc<App>], after: &[Arc<App>], want: &[&[&str]]) {
        let got: Vec<Vec<String>> = steps(&tree(before), &tree(after))
            .iter()
            .map(|step| step.actions.iter().map(|action| format!("{:?} {}", action.kind, action.app)).collect())
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn plans() {
        plan(&[], &[app("/a", 1, 1, &[])], &[&["Start /a"], &["Scale /a"]]);
        plan(&[app("/a", 1, 1, &[])], &[], &[&["Stop /a"]]);
        plan(&[app("/a", 1, 1, &[])], &[app("/a", 1, 1, &[])], &[]);
        plan(&[app("/a", 1, 1, &[])], &[app("/a", 3, 1, &[])], &[&["Scale /a"]]);
        plan(&[app("/a", 1, 1, &[])], &[app("/a", 1, 2, &[])], &[&["Restart /a"]]);
        plan(&[app("/a", 1, 1, &[])], &[app("/a", 0, 2, &[])], &[&["Scale /a"]]);
    }

    #[test]
    fn dependencies_get_steps_of_their_own() {
        let before = [app("/old", 1, 1, &[]), app("/db", 1, 1, &[])];
        let after = [app("/db", 2, 1, &[]), app("/web", 1, 2, &["/db"]), app("/aux", 1, 2, &[])];
        plan(&before, &after, &[&["Stop /old"], &["Start /aux", "Start /web"], &["Scale /aux", "Scale /db"], &["Scale /web"]]);
    }

    #[test]
    fn stances_follow_the_steps() {
        let (before, after) = (tree(&[app("/db", 1, 1, &[])]), tree(&[app("/db", 1, 2, &[]), app("/web", 1, 2, &["/db"])]));
        let steps = steps(&before, &after);
        let mut deployment = Deployment::new("d".into(), Timestamp(2), Arc::new(before), Arc::new(after), steps);
        let mut seen = Vec::new();
        for current in 0..=4 {
            deployment.current = current;
            seen.push(["/db", "/web"].map(|id| deployment.stance(&PathId::absolute(id)).expect("affected")));
        }
        use Stance::*;
        assert_eq!(seen, [[Waiting, Waiting], [Waiting, Waiting], [Restarting, Waiting], [Done, Scaling], [Done, Done]]);
        assert_eq!(deployment.stance(&PathId::absolute("/other")), None);
    }
}
