//! Taking changes in, carrying deployments on, ending them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::change::{NoServicePort, reverted, stamp};
use super::plan::{ActionKind, Deployment, Step, steps};
use crate::scheduler::events;
use crate::scheduler::model::app::App;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::task::Task;
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::model::uuid;
use crate::scheduler::state::{Dirty, State};

/// How many deployments may run side by side.
const RUNNING_MAX: usize = 100;

/// Why a change was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// Running deployments touch the same applications. The text is the one that clients of the real thing know.
    #[error(
        "App is locked by one or more deployments. Override with the option '?force=true'. \
         View details at '/v2/deployments/<DEPLOYMENT_ID>'."
    )]
    Locked(Vec<String>),
    #[error("too many deployments are running ({RUNNING_MAX})")]
    TooMany,
    #[error(transparent)]
    NoServicePort(#[from] NoServicePort),
}

/// A change that a client asks for.
pub(crate) struct Change<'a> {
    /// The tree as it should be.
    pub(crate) root: Root,
    /// Applications whose tasks are replaced though nothing in their definition changed.
    pub(crate) restart: BTreeSet<PathId>,
    /// Whether running deployments that stand in the way are cancelled.
    pub(crate) force: bool,
    /// The group that is told to have changed.
    pub(crate) place: &'a PathId,
}

/// A change that was taken in.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) deployment: String,
    pub(crate) version: Timestamp,
}

impl State {
    /// Takes a change in: it becomes the present tree, and a deployment starts that makes it true.
    pub(crate) fn propose(
        &mut self,
        change: Change<'_>,
        service_ports: &RangeInclusive<u16>,
        now: Timestamp,
    ) -> Result<Accepted, ChangeError> {
        let version = self.fresh_version(now);
        let target = stamp(&self.root, change.root, version, &change.restart, service_ports)?;
        let steps = steps(&self.root, &target);
        self.make_room(&steps, change.force).inspect_err(|error| {
            let refused = events::group_refused(change.place, version, &error.to_string());
            self.emit(refused);
        })?;
        let target = Arc::new(target);
        let deployment = Deployment::new(uuid(), version, self.root.clone(), target.clone(), steps);
        let accepted = Accepted { deployment: deployment.id.clone(), version };
        if *target != *self.root {
            self.install(target);
        }
        self.emit(events::group_changed(change.place, version));
        self.begin(deployment);
        Ok(accepted)
    }

    fn make_room(&mut self, steps: &[Step], force: bool) -> Result<(), ChangeError> {
        let wanted: BTreeSet<&PathId> = steps.iter().flat_map(|step| &step.actions).map(|action| &action.app).collect();
        let locked: Vec<String> = self
            .deployments
            .iter()
            .filter(|running| wanted.iter().any(|app| running.affects(app)))
            .map(|running| running.id.clone())
            .collect();
        if !locked.is_empty() && !force {
            return Err(ChangeError::Locked(locked));
        }
        if !steps.is_empty() && self.deployments.len() - locked.len() >= RUNNING_MAX {
            return Err(ChangeError::TooMany);
        }
        for id in locked {
            self.cancel(&id);
        }
        Ok(())
    }

    fn begin(&mut self, deployment: Deployment) {
        if deployment.steps.is_empty() {
            self.emit(events::deployment_over(&deployment, None));
            return;
        }
        self.dirty(Dirty::Deployment(deployment.id.clone()));
        self.deployments.push(deployment);
    }

    /// Ends a deployment where it stands. Returns it, if there was one.
    pub(crate) fn cancel(&mut self, id: &str) -> Option<Deployment> {
        let at = self.deployments.iter().position(|running| running.id == id)?;
        let deployment = self.deployments.remove(at);
        self.dirty(Dirty::Deployment(deployment.id.clone()));
        self.emit(events::deployment_over(&deployment, Some("The upgrade has been cancelled")));
        Some(deployment)
    }

    /// Starts a deployment that undoes another one.
    pub(crate) fn roll_back(
        &mut self,
        id: &str,
        service_ports: &RangeInclusive<u16>,
        now: Timestamp,
    ) -> Option<Result<Accepted, ChangeError>> {
        let running = self.deployments.iter().find(|running| running.id == id)?;
        let root = reverted(&self.root, &running.original, &running.target);
        let change = Change { root, restart: BTreeSet::new(), force: true, place: &PathId::root() };
        let result = self.propose(change, service_ports, now);
        // A change that undoes nothing touches no application, so nothing cancelled the old deployment.
        if result.is_ok() {
            self.cancel(id);
        }
        Some(result)
    }

    /// Carries every deployment on as far as the tasks allow.
    pub(crate) fn advance(&mut self) {
        let mut at = 0;
        while at < self.deployments.len() {
            if self.advance_one(at) {
                at += 1;
            }
        }
    }

    /// Begins deployments that were only taken in so far, so that whoever asks right after the change sees them under way.
    pub(crate) fn begin_new(&mut self) {
        let mut at = 0;
        while at < self.deployments.len() {
            if self.deployments[at].current > 0 || self.advance_one(at) {
                at += 1;
            }
        }
    }

    /// Returns whether the deployment still runs.
    fn advance_one(&mut self, at: usize) -> bool {
        loop {
            let deployment = &self.deployments[at];
            if deployment.current > 0 {
                if !self.step_is_done(deployment) {
                    return true;
                }
                let done = events::step("deployment_step_success", deployment);
                self.emit(done);
            }
            let deployment = &mut self.deployments[at];
            let id = deployment.id.clone();
            self.dirty(Dirty::Deployment(id));
            let deployment = &mut self.deployments[at];
            if deployment.current == deployment.steps.len() {
                let over = self.deployments.remove(at);
                self.emit(events::deployment_over(&over, None));
                return false;
            }
            deployment.current += 1;
            let begun = deployment.clone();
            self.emit(events::step("deployment_info", &begun));
            self.begin_step(&begun);
        }
    }

    fn begin_step(&mut self, deployment: &Deployment) {
        for action in deployment.current_actions() {
            let target = deployment.target.apps.get(&action.app);
            match action.kind {
                ActionKind::Restart => self.reset_wait(&action.app),
                ActionKind::Start => {
                    let added: Vec<_> = target.iter().flat_map(|app| events::health_check_added(app)).collect();
                    added.into_iter().for_each(|event| self.emit(event));
                }
                ActionKind::Stop => self.emit(events::health_check_removed(&action.app)),
                ActionKind::Scale => {}
            }
        }
    }

    fn step_is_done(&self, deployment: &Deployment) -> bool {
        deployment.current_actions().iter().all(|action| match action.kind {
            ActionKind::Start => true,
            ActionKind::Stop => self.tasks_of(&action.app).all(|task| task.app.version >= deployment.version),
            ActionKind::Scale => self.app(&action.app).is_none_or(|app| self.is_scaled(app)),
            ActionKind::Restart => self.app(&action.app).is_none_or(|app| self.is_replaced(app)),
        })
    }

    fn is_scaled(&self, app: &App) -> bool {
        let wanted = app.instances as usize;
        self.tasks_of(&app.id).count() == wanted && self.tasks_of(&app.id).all(Task::is_serving)
    }

    fn is_replaced(&self, app: &App) -> bool {
        let config = app.config_version();
        self.is_scaled(app) && self.tasks_of(&app.id).all(|task| task.app.version >= config)
    }
}
