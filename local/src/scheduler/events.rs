//! What happened, as clients of the event stream read it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::deployments::plan::{Action, Deployment};
use super::model::app::App;
use super::model::id::PathId;
use super::model::task::{Task, TaskState};
use super::model::time::Timestamp;
use super::wire::answer;

/// One event. The plan of a deployment is attached and only written out for a reader, light or heavy.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    body: Value,
    plan: Option<Arc<Deployment>>,
}

impl Event {
    /// An event with members; `eventType` and `timestamp` are added.
    pub(crate) fn new(kind: &'static str, mut body: Value) -> Self {
        if let Some(members) = body.as_object_mut() {
            members.insert("eventType".into(), kind.into());
            members.insert("timestamp".into(), Timestamp::now().to_string().into());
        }
        Self { kind, body, plan: None }
    }

    fn of_plan(kind: &'static str, body: Value, deployment: &Deployment) -> Self {
        Self { plan: Some(Arc::new(deployment.clone())), ..Self::new(kind, body) }
    }

    /// The data in one line. A heavy reader gets both trees of a plan.
    pub(crate) fn data(&self, heavy: bool) -> String {
        let mut body = self.body.clone();
        if let (Some(plan), Some(members)) = (&self.plan, body.as_object_mut()) {
            members.insert("plan".into(), plan_json(plan, heavy));
        }
        body.to_string()
    }
}

fn plan_json(plan: &Deployment, heavy: bool) -> Value {
    let mut shown = json!({ "id": plan.id, "version": plan.version, "steps": plan.steps });
    if let (true, Some(members)) = (heavy, shown.as_object_mut()) {
        members.insert("original".into(), json!(answer::plain_group(&plan.original, &PathId::root())));
        members.insert("target".into(), json!(answer::plain_group(&plan.target, &PathId::root())));
    }
    shown
}

/// An application was posted or put.
pub(crate) fn api_post(client: &str, uri: &str, app: &Value) -> Event {
    Event::new("api_post_event", json!({ "clientIp": client, "uri": uri, "appDefinition": app }))
}

/// The group was changed; it is the parent of what was changed in it.
pub(crate) fn group_changed(group: &PathId, version: Timestamp) -> Event {
    Event::new("group_change_success", json!({ "groupId": group, "version": version }))
}

/// A change was refused.
pub(crate) fn group_refused(group: &PathId, version: Timestamp, reason: &str) -> Event {
    Event::new("group_change_failed", json!({ "groupId": group, "version": version, "reason": reason }))
}

/// A step of a deployment begins or ends: `deployment_info`, `deployment_step_success`.
pub(crate) fn step(kind: &'static str, deployment: &Deployment) -> Event {
    let actions: &[Action] = deployment.current_actions();
    Event::of_plan(kind, json!({ "plan": null, "currentStep": { "actions": actions } }), deployment)
}

/// A deployment is over; a reason says why it failed.
pub(crate) fn deployment_over(deployment: &Deployment, failed: Option<&str>) -> Event {
    match failed {
        None => Event::of_plan("deployment_success", json!({ "id": deployment.id, "plan": null }), deployment),
        Some(reason) => {
            let body = json!({ "id": deployment.id, "plan": null, "reason": reason });
            Event::of_plan("deployment_failed", body, deployment)
        }
    }
}

/// A task changed its state: what happened in both vocabularies.
pub(crate) fn task_changed(task: &Task, state: TaskState, message: &str, host: &str) -> [Event; 2] {
    let addresses = answer::addresses(host);
    let status = Event::new(
        "status_update_event",
        json!({
            "slaveId": answer::AGENT, "taskId": task.id, "taskStatus": state.word(), "message": message,
            "appId": task.app_id(), "host": host, "ipAddresses": addresses, "ports": task.ports, "version": task.app.version,
        }),
    );
    let instance = Event::new(
        "instance_changed_event",
        json!({
            "instanceId": task.instance, "condition": state.condition(), "runSpecId": task.app_id(), "agentId": answer::AGENT,
            "host": host, "runSpecVersion": task.app.version,
        }),
    );
    [status, instance]
}

/// A health check of an application begins to be asked.
pub(crate) fn health_check_added(app: &App) -> impl Iterator<Item = Event> {
    app.spec.health_checks.iter().map(|check| {
        Event::new("add_health_check_event", json!({ "appId": app.id, "version": app.version, "healthCheck": check }))
    })
}

/// A health check of an application is no longer asked.
pub(crate) fn health_check_removed(app: &PathId) -> Event {
    Event::new("remove_health_check_event", json!({ "appId": app }))
}

/// A health check failed once more.
pub(crate) fn health_check_failed(task: &Task, nth: usize) -> Event {
    let check = task.app.spec.health_checks.get(nth);
    Event::new(
        "failed_health_check_event",
        json!({ "appId": task.app_id(), "taskId": task.instance, "instanceId": task.instance, "healthCheck": check }),
    )
}

/// A task became well or ill.
pub(crate) fn health_changed(task: &Task, alive: bool) -> [Event; 2] {
    let status = json!({
        "appId": task.app_id(), "instanceId": task.instance, "taskId": task.id, "version": task.app.version, "alive": alive,
    });
    let instance = json!({
        "instanceId": task.instance, "runSpecId": task.app_id(), "healthy": alive, "runSpecVersion": task.app.version,
    });
    [Event::new("health_status_changed_event", status), Event::new("instance_health_changed_event", instance)]
}

/// A task is killed because it is ill.
pub(crate) fn unhealthy_kill(task: &Task, reason: &str, host: &str) -> Event {
    Event::new(
        "unhealthy_instance_kill_event",
        json!({
            "appId": task.app_id(), "taskId": task.id, "instanceId": task.instance, "version": task.app.version,
            "reason": reason, "host": host, "slaveId": answer::AGENT,
        }),
    )
}

/// The last task of a removed application is gone.
pub(crate) fn app_terminated(app: &PathId) -> Event {
    Event::new("app_terminated_event", json!({ "appId": app }))
}

/// A reader came to the stream or left it.
pub(crate) fn stream(kind: &'static str, remote: &str) -> Event {
    Event::new(kind, json!({ "remoteAddress": remote }))
}
