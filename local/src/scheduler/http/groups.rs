//! `/v2/groups`: trees of applications, changed as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::error::{Answer, ApiError};
use super::request::Request;
use super::{created, done};
use crate::scheduler::deployments::change::stamp;
use crate::scheduler::deployments::plan::steps;
use crate::scheduler::deployments::run::{Accepted, Change, ChangeError};
use crate::scheduler::engine::Engine;
use crate::scheduler::model::app::App;
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::state::State;
use crate::scheduler::wire::answer::{self, Embed, GroupEmbed};
use crate::scheduler::wire::group_update::GroupUpdate;
use crate::scheduler::wire::rules;

/// `GET /v2/groups[/{id}]`.
pub(crate) fn read(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let words: Vec<&str> = request.params("embed").collect();
    let embed = GroupEmbed::read(&words);
    engine.read(|state| {
        known(state, id)?;
        Ok(Json(answer::group(state, &state.root, id, embed)).into_response())
    })
}

fn known(state: &State, id: &PathId) -> Result<(), ApiError> {
    if state.root.groups.contains_key(id) { Ok(()) } else { Err(ApiError::no_group(id)) }
}

/// `GET /v2/groups/{id}/apps`: all below, at any depth.
pub(crate) fn apps(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let embed = Embed::read(request.params("embed"));
    engine.read(|state| {
        known(state, id)?;
        let apps: Vec<_> = state.root.apps_below(id).map(|app| answer::app(state, app, embed)).collect();
        Ok(Json(apps).into_response())
    })
}

/// `GET /v2/groups/{id}/versions`: versions of the whole in which the group exists.
pub(crate) fn versions(engine: &Arc<Engine>, id: &PathId) -> Answer {
    engine.read(|state| {
        known(state, id)?;
        let with = state.history.iter().rev().filter(|(_, root)| root.groups.contains_key(id));
        Ok(Json(with.map(|(version, _)| *version).collect::<Vec<_>>()).into_response())
    })
}

/// `GET /v2/groups/{id}/versions/{version}`.
pub(crate) fn version(engine: &Arc<Engine>, id: &PathId, version: &str) -> Answer {
    let version: Timestamp = version.parse().map_err(|error| ApiError::unprocessable(format!("{error}")))?;
    engine.read(|state| {
        let root = state.history.get(&version).filter(|root| root.groups.contains_key(id));
        let root = root.ok_or_else(|| ApiError::not_found(format!("Group '{id}' does not exist in version {version}")))?;
        Ok(Json(answer::plain_group(root, id)).into_response())
    })
}

/// `POST /v2/groups[/{parent}]`.
pub(crate) fn create(engine: &Arc<Engine>, request: &Request, parent: &PathId) -> Answer {
    let update = request.parse(|at| GroupUpdate::read(at, true))?;
    let text = update.id.clone().unwrap_or_default();
    let id = PathId::resolve(&text, parent);
    let accepted = engine.change(|state| {
        if state.app(&id).is_some() {
            return Err(ApiError::conflict(format!("An app with the path {id} already exists.")));
        }
        // A group that only holds others may still be given its own applications.
        if state.root.groups.contains_key(&id) {
            return Err(ApiError::conflict(format!("Group {id} is already created. Use PUT to change this group.")));
        }
        ApiError::invalid_if(rules::check_id(&text, &id))?;
        change(engine, state, request, &id, &update)
    })?;
    let mut response = done(&accepted);
    created(engine, &mut response, &id, &accepted);
    Ok(response)
}

/// `PUT /v2/groups[/{id}]`.
pub(crate) fn update(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let update = request.parse(|at| GroupUpdate::read(at, false))?;
    let id = match (&update.id, id.is_root()) {
        // A group may be named in the body when the path names none.
        (Some(named), true) => PathId::absolute(named),
        _ => id.clone(),
    };
    if request.flag("dryRun", false) {
        return dry_run(engine, &id, &update);
    }
    let accepted = engine.change(|state| change(engine, state, request, &id, &update))?;
    Ok(done(&accepted))
}

/// `PUT /v2/groups/{id}/versions/{version}`, without a body: the group as it was then. Only clients know this form.
pub(crate) fn go_back(engine: &Arc<Engine>, request: &Request, id: &PathId, version: &str) -> Answer {
    let update = GroupUpdate::back_to(version);
    let accepted = engine.change(|state| {
        known(state, id)?;
        change(engine, state, request, id, &update)
    })?;
    Ok(done(&accepted))
}

fn change(
    engine: &Engine,
    state: &mut State,
    request: &Request,
    id: &PathId,
    update: &GroupUpdate,
) -> Result<Accepted, ApiError> {
    let root = edited(state, id, update)?;
    let change = Change { root, restart: BTreeSet::new(), force: request.flag("force", false), place: &id.parent() };
    Ok(state.propose(change, &engine.config.service_ports, Timestamp::now())?)
}

/// The tree as an update wants it.
fn edited(state: &State, id: &PathId, update: &GroupUpdate) -> Result<Root, ApiError> {
    if !PathId::is_well_formed(id.as_str()) && !id.is_root() {
        return Err(ApiError::invalid(vec![rules::bad_path()]));
    }
    let mut root = Root::clone(&state.root);
    let mut mistakes = update.check();
    if mistakes.is_empty() {
        match (update.scale_by, &update.version) {
            (Some(factor), _) => scale(&mut root, id, factor),
            (None, Some(version)) => restore(state, &mut root, id, version)?,
            (None, None) => mistakes.extend(update.apply_to(&mut root, id, Timestamp::now())),
        }
    }
    mistakes.extend(rules::check_root(&root));
    ApiError::invalid_if(mistakes)?;
    Ok(root)
}

fn scale(root: &mut Root, id: &PathId, factor: f64) {
    let apps: Vec<Arc<App>> = root.apps_below(id).cloned().collect();
    for app in apps {
        // The factor is not negative and the cast saturates.
        let instances = (f64::from(app.instances) * factor).ceil() as u32;
        root.put_app(Arc::new(App { instances, ..App::clone(&app) }));
    }
}

fn restore(state: &State, root: &mut Root, id: &PathId, version: &str) -> Result<(), ApiError> {
    let version: Timestamp = version.parse().map_err(|error| ApiError::unprocessable(format!("{error}")))?;
    let before = state.history.get(&version).filter(|before| before.groups.contains_key(id));
    let before = before.ok_or_else(|| ApiError::unprocessable(format!("Group {id} not available in version {version}")))?;
    root.remove_group(id);
    let below = |group: &PathId| group == id || group.is_below(id);
    for (place, group) in before.groups.iter().filter(|(place, _)| below(place)) {
        root.make_group(place, version);
        root.groups.insert(place.clone(), group.clone());
    }
    before.apps_below(id).for_each(|app| root.put_app(app.clone()));
    Ok(())
}

fn dry_run(engine: &Arc<Engine>, id: &PathId, update: &GroupUpdate) -> Answer {
    let plan = engine.read(|state| {
        let root = edited(state, id, update)?;
        let target = stamp(&state.root, root, Timestamp::now(), &BTreeSet::new(), &engine.config.service_ports)
            .map_err(ChangeError::from)?;
        Ok::<_, ApiError>(steps(&state.root, &target))
    })?;
    Ok(Json(json!({ "steps": plan })).into_response())
}

/// `PATCH /v2/groups/{id}`: the one member that changes no task.
pub(crate) fn enforce_role(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let enforce = request.parse(|at| at.object()?.need("enforceRole")?.bool())?;
    engine.change(|state| {
        known(state, id)?;
        if id.is_root() || !id.parent().is_root() {
            return Err(ApiError::invalid(vec![crate::scheduler::wire::group_update::only_top_level()]));
        }
        let mut root = Root::clone(&state.root);
        let version = state.fresh_version(Timestamp::now());
        if let Some(group) = root.groups.get_mut(id) {
            group.enforce_role = Some(enforce);
        }
        root.touch(id, version);
        state.install(Arc::new(root));
        Ok(StatusCode::OK.into_response())
    })
}

/// `DELETE /v2/groups[/{id}]`.
pub(crate) fn remove(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let accepted = engine.change(|state| {
        known(state, id)?;
        let mut root = Root::clone(&state.root);
        root.remove_group(id);
        let change = Change { root, restart: BTreeSet::new(), force: request.flag("force", false), place: &id.parent() };
        Ok::<_, ApiError>(state.propose(change, &engine.config.service_ports, Timestamp::now())?)
    })?;
    Ok(done(&accepted))
}
