//! Deployments of the pretend Marathon: changes that take their time and hold their apps meanwhile.

use std::time::Duration;

use ocho_runtime::host::{MarathonError, MarathonEvent};
use serde_json::{Value, json};

use super::State;

/// A deployment; without an end it goes on until it is cancelled.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) app: String,
    pub(super) ends: Option<Duration>,
}

impl State {
    /// The deployments that hold an app now.
    pub(super) fn locks(&self, app: &str) -> Vec<String> {
        self.under_way().filter(|running| running.app == app).map(|running| running.id.clone()).collect()
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = &Running> {
        self.running.iter().filter(|running| running.ends.is_none_or(|ends| self.now < ends))
    }

    /// Refuses where an app is held; with force, what holds it is cancelled.
    pub(super) fn unlock(&mut self, app: &str, force: bool) -> Result<(), MarathonError> {
        let locks = self.locks(app);
        if locks.is_empty() {
            return Ok(());
        }
        if !force {
            return Err(MarathonError::Locked(locks));
        }
        locks.iter().for_each(|id| self.cancel(id));
        Ok(())
    }

    /// Begins a deployment that takes as long as the scene says; gives its id.
    pub(super) fn deploy(&mut self, app: &str) -> String {
        self.lock_app(app, Some(self.now + self.deploys_in))
    }

    /// Holds an app until a moment, or for ever; gives the deployment's id.
    pub(super) fn lock_app(&mut self, app: &str, ends: Option<Duration>) -> String {
        self.deployments_made += 1;
        let id = format!("deployment-{}", self.deployments_made);
        self.running.push(Running { id: id.clone(), app: app.to_owned(), ends });
        if let Some(ends) = ends {
            self.tell(ends, "deployment_success", &json!({"eventType": "deployment_success", "id": id}));
        }
        id
    }

    pub(super) fn cancel(&mut self, id: &str) {
        self.running.retain(|running| running.id != id);
        let is_its_success =
            |event: &MarathonEvent| event.kind == "deployment_success" && event.data.contains(&format!("\"{id}\""));
        self.events.retain(|(moment, event)| *moment <= self.now || !is_its_success(event));
        self.tell(self.now, "deployment_failed", &json!({"eventType": "deployment_failed", "id": id}));
    }

    /// Puts an event where it belongs; those of one moment stay in their order.
    pub(super) fn tell(&mut self, moment: Duration, kind: &str, data: &Value) {
        let data = match data {
            Value::Null => json!({"eventType": kind}),
            Value::String(text) => Value::String(text.clone()),
            other => other.clone(),
        };
        let data = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
        let at = self.events.partition_point(|(other, _)| *other <= moment);
        self.events.insert(at, (moment, MarathonEvent { kind: kind.to_owned(), data }));
    }
}
