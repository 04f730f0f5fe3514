//! `/v2/tasks` and the tasks of applications: listing and killing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::error::{Answer, ApiError};
use super::request::Request;
use super::{done, shown};
use crate::scheduler::deployments::run::{Accepted, Change};
use crate::scheduler::engine::Engine;
use crate::scheduler::model::app::App;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::is_uuid;
use crate::scheduler::model::task::{KillReason, Task, TaskState};
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::state::State;
use crate::scheduler::wire::answer;
use crate::scheduler::wire::update::texts;

/// `GET /v2/tasks`.
pub(crate) fn list_all(engine: &Arc<Engine>, request: &Request) -> Answer {
    if wants_text(request) {
        return Ok(engine.read(|state| text(answer::endpoints(state, state.root.apps.values().map(Arc::as_ref)))));
    }
    let wanted = wanted_states(request);
    Ok(engine.read(|state| {
        let tasks = state.tasks().filter(|task| wanted.is_empty() || wanted.contains(&task.state));
        shown("tasks", &tasks.map(|task| answer::task(task, &state.host, true)).collect::<Vec<_>>())
    }))
}

/// Words that nobody knows filter nothing.
fn wanted_states(request: &Request) -> Vec<TaskState> {
    let words = request.params("status").chain(request.params("status[]"));
    words
        .filter_map(|word| match word.to_ascii_lowercase().as_str() {
            "running" => Some(TaskState::Running),
            "staging" => Some(TaskState::Staging),
            _ => None,
        })
        .collect()
}

/// Text is for those who ask for it and for nothing else that we have.
fn wants_text(request: &Request) -> bool {
    let mut media = request.accepted().filter(|media| matches!(*media, "text/plain" | "application/json" | "*/*"));
    media.next() == Some("text/plain")
}

fn text(body: String) -> Response {
    ([(CONTENT_TYPE, "text/plain")], body).into_response()
}

/// `GET /v2/apps/{id}/tasks`.
pub(crate) fn list_of(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    engine.read(|state| {
        let app = state.app(id).ok_or_else(|| ApiError::no_app(id))?;
        Ok(list(state, request, std::iter::once(app.as_ref())))
    })
}

/// `GET /v2/apps/{group}/*/tasks`.
pub(crate) fn list_below(engine: &Arc<Engine>, request: &Request, group: &PathId) -> Answer {
    engine.read(|state| {
        if !state.root.groups.contains_key(group) {
            return Err(ApiError::no_group(group));
        }
        Ok(list(state, request, state.root.apps_below(group).map(Arc::as_ref)))
    })
}

fn list<'a>(state: &'a State, request: &Request, apps: impl Iterator<Item = &'a App>) -> Response {
    if wants_text(request) {
        return text(answer::endpoints(state, apps));
    }
    let tasks = apps.flat_map(|app| state.tasks_of(&app.id)).map(|task| answer::task(task, &state.host, false));
    shown("tasks", &tasks.collect::<Vec<_>>())
}

/// How tasks are to be killed.
#[derive(Clone, Copy)]
struct Manner {
    scale: bool,
    wipe: bool,
    force: bool,
}

impl Manner {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let flag = |name: &str| request.flag(name, false);
        let manner = Self { scale: flag("scale"), wipe: flag("wipe"), force: flag("force") };
        if manner.scale && manner.wipe {
            return Err(ApiError::bad_request("You cannot use scale and wipe at the same time."));
        }
        Ok(manner)
    }
}

/// `DELETE /v2/apps/{id}/tasks`.
pub(crate) fn kill_of(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let manner = Manner::of(request)?;
    let host = request.param("host").filter(|host| *host != "*");
    engine.change(|state| {
        let known = state.app(id).is_some();
        let tasks: Vec<Task> = state.tasks_of(id).cloned().collect();
        match (manner.scale, known) {
            (true, _) if !known || tasks.is_empty() => return Err(ApiError::not_found(format!("Path '{id}' does not exist"))),
            (false, false) => return Err(ApiError::no_app(id)),
            _ => {}
        }
        let here = host.is_none_or(|host| host == state.host);
        let found: Vec<Task> = tasks.into_iter().filter(|_| here).collect();
        if manner.scale {
            return Ok(done(&kill_and_scale(engine, state, &found, manner)?));
        }
        let shown = kill(state, &found, manner);
        Ok(Json(json!({ "tasks": shown })).into_response())
    })
}

/// `DELETE /v2/apps/{id}/tasks/{task}`.
pub(crate) fn kill_one(engine: &Arc<Engine>, request: &Request, id: &PathId, task: &str) -> Answer {
    let manner = Manner::of(request)?;
    engine.change(|state| {
        if state.app(id).is_none() {
            return Err(ApiError::no_app(id));
        }
        let found: Vec<Task> = find(state, task).into_iter().filter(|task| task.app_id() == id).cloned().collect();
        if manner.scale {
            return Ok(done(&kill_and_scale(engine, state, &found, manner)?));
        }
        let shown = kill(state, &found, manner).into_iter().next();
        Ok(Json(json!({ "task": shown.ok_or_else(|| ApiError::no_task(task))? })).into_response())
    })
}

/// `POST /v2/tasks/delete`.
pub(crate) fn kill_many(engine: &Arc<Engine>, request: &Request) -> Answer {
    let manner = Manner::of(request)?;
    let ids = request.parse(|at| texts(&at.object()?.need("ids")?))?;
    for id in &ids {
        check_task_id(id)?;
    }
    engine.change(|state| {
        let mut found: BTreeMap<String, Task> = BTreeMap::new();
        for id in &ids {
            found.extend(find(state, id).map(|task| (task.id.clone(), task.clone())));
        }
        let found: Vec<Task> = found.into_values().collect();
        if manner.scale {
            return Ok(done(&kill_and_scale(engine, state, &found, manner)?));
        }
        let shown = kill(state, &found, manner);
        Ok(Json(json!({ "tasks": shown })).into_response())
    })
}

/// The id of a task, or of its instance.
fn find<'a>(state: &'a State, id: &str) -> Option<&'a Task> {
    state.task(id).or_else(|| state.tasks().find(|task| task.instance == id))
}

/// `web.instance-<uuid>._app.1`, `web.instance-<uuid>`, and the older `web.<uuid>`.
fn check_task_id(id: &str) -> Result<(), ApiError> {
    let Some((_, last)) = id.rsplit_once('.') else {
        return Err(ApiError::bad_request(format!(
            "Invalid task id '{id}'. Expected `<app id>.instance-<uuid>._app.<incarnation>` or `<app id>.<uuid>`"
        )));
    };
    let uuid = match id.split_once(".instance-") {
        Some((_, rest)) => rest.split('.').next().unwrap_or(rest),
        None => last,
    };
    if is_uuid(uuid) { Ok(()) } else { Err(ApiError::unprocessable(format!("Invalid UUID string: {uuid}"))) }
}

/// Kills tasks that come back, and shows them as they were.
fn kill(state: &mut State, tasks: &[Task], manner: Manner) -> Vec<Value> {
    let now = Timestamp::now();
    let shown = tasks.iter().map(|task| json!(answer::task(task, &state.host, false))).collect();
    for task in tasks {
        state.kill_task(&task.id, KillReason::Asked, manner.wipe, now);
    }
    shown
}

/// Kills tasks that do not come back: their applications shrink in one deployment.
fn kill_and_scale(engine: &Engine, state: &mut State, tasks: &[Task], manner: Manner) -> Result<Accepted, ApiError> {
    let mut fewer: BTreeMap<&PathId, u32> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task.is_dying()) {
        *fewer.entry(task.app_id()).or_default() += 1;
    }
    let mut root = Root::clone(&state.root);
    for (id, count) in &fewer {
        if let Some(app) = root.apps.get(*id) {
            let smaller = App { instances: app.instances.saturating_sub(*count), ..App::clone(app) };
            root.put_app(Arc::new(smaller));
        }
    }
    let place = fewer.keys().next().map_or_else(PathId::root, |id| id.parent());
    let change = Change { root, restart: BTreeSet::new(), force: manner.force, place: &place };
    let accepted = state.propose(change, &engine.config.service_ports, Timestamp::now())?;
    let now = Timestamp::now();
    for task in tasks {
        state.kill_task(&task.id, KillReason::Surplus, false, now);
    }
    Ok(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_tasks() {
        let uuid = "0f0e0d0c-1111-2222-3333-444455556666";
        for good in [format!("a.instance-{uuid}._app.1"), format!("a.instance-{uuid}"), format!("a_b.c.{uuid}")] {
            assert!(check_task_id(&good).is_ok(), "{good}");
        }
        let message = |id: &str| check_task_id(id).expect_err("not an id").body["message"].clone();
        assert!(message("invalidTaskId").as_str().is_some_and(|text| text.starts_with("Invalid task id 'invalidTaskId'")));
        assert_eq!(message("foo.bar"), "Invalid UUID string: bar");
        assert_eq!(message("foo.instance-bar._app.1"), "Invalid UUID string: bar");
    }
}
