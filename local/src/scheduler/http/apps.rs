//! `/v2/apps`: creating, changing, reading and removing applications.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::error::{Answer, ApiError};
use super::request::Request;
use super::{created, done, shown};
use crate::scheduler::deployments::run::{Accepted, Change};
use crate::scheduler::engine::Engine;
use crate::scheduler::events;
use crate::scheduler::model::app::{App, AppSpec};
use crate::scheduler::model::group::Root;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::state::State;
use crate::scheduler::wire::answer::{self, Embed};
use crate::scheduler::wire::json::At;
use crate::scheduler::wire::update::{AppUpdate, IdRule, list};
use crate::scheduler::wire::{normal, rules, selector::Selector};

/// `GET /v2/apps`.
pub(crate) fn list_all(engine: &Arc<Engine>, request: &Request) -> Answer {
    let filter = Filter::of(request)?;
    let embed = Embed { counts: true, deployments: true, ..Embed::read(request.params("embed")) };
    Ok(engine.read(|state| {
        let apps = state.root.apps.values().filter(|app| filter.takes(app));
        shown("apps", &apps.map(|app| answer::app(state, app, embed)).collect::<Vec<_>>())
    }))
}

/// Conditions that must all hold.
struct Filter {
    cmd: Option<String>,
    id: Option<String>,
    labels: Selector,
}

impl Filter {
    fn of(request: &Request) -> Result<Self, ApiError> {
        let lower = |name: &str| request.param(name).map(str::to_lowercase);
        let labels = request.param("label").unwrap_or("").parse().map_err(|error| ApiError::unprocessable(format!("{error}")))?;
        Ok(Self { cmd: lower("cmd"), id: lower("id"), labels })
    }

    fn takes(&self, app: &App) -> bool {
        let has = |text: Option<&str>, part: &Option<String>| {
            part.as_ref().is_none_or(|part| text.is_some_and(|text| text.to_lowercase().contains(part)))
        };
        has(app.spec.cmd.as_deref(), &self.cmd) && has(Some(app.id.as_str()), &self.id) && self.labels.takes(&app.spec.labels)
    }
}

/// `GET /v2/apps/{id}`.
pub(crate) fn read_one(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let asked = Embed::read(request.params("embed"));
    let embed = Embed { counts: true, tasks: true, deployments: true, last_failure: true, ..asked };
    engine.read(|state| {
        let app = state.app(id).ok_or_else(|| ApiError::no_app(id))?;
        Ok(shown("app", &answer::app(state, app, embed)))
    })
}

/// `GET /v2/apps/{group}/*`.
pub(crate) fn list_below(engine: &Arc<Engine>, request: &Request, group: &PathId) -> Answer {
    let asked = Embed::read(request.params("embed"));
    let embed = Embed { counts: true, tasks: true, deployments: true, last_failure: true, ..asked };
    engine.read(|state| {
        if !state.root.groups.contains_key(group) {
            return Err(ApiError::no_group(group));
        }
        let apps = state.root.apps_below(group).map(|app| answer::app(state, app, embed));
        Ok(shown("*", &apps.collect::<Vec<_>>()))
    })
}

/// `POST /v2/apps`.
pub(crate) fn create(engine: &Arc<Engine>, request: &Request) -> Answer {
    let update = request.parse(|at| AppUpdate::read(at, IdRule::Needed))?;
    let text = update.id.clone().unwrap_or_default();
    let id = PathId::absolute(&text);
    let (app, accepted) = engine.change(|state| {
        let mut mistakes = rules::check_id(&text, &id);
        mistakes.extend(rules::check_update(&update));
        let spec = normal::complete(&update, &id);
        let instances = update.instances.unwrap_or(1);
        mistakes.extend(rules::check_app(&id, instances, &spec));
        ApiError::invalid_if(mistakes)?;
        if state.app(&id).is_some() {
            return Err(ApiError::conflict(format!("An app with id [{id}] already exists.")));
        }
        let edit = Edit { id: id.clone(), instances, spec };
        let sent = edit.spec.clone();
        let accepted = apply(engine, state, request, vec![edit], BTreeSet::new(), &id.parent())?;
        let app = App { id: id.clone(), instances, spec: sent, version: accepted.version, version_info: None };
        let app = answer::created_app(&app, &accepted.deployment);
        tell_posted(state, request, &id);
        Ok((app, accepted))
    })?;
    let mut response = (StatusCode::CREATED, Json(app)).into_response();
    created(engine, &mut response, &id, &accepted);
    Ok(response)
}

fn tell_posted(state: &mut State, request: &Request, id: &PathId) {
    if let Some(app) = state.app(id) {
        let event = events::api_post(&request.client.remote.ip().to_string(), request.uri.path(), &answer::plain_app(app));
        state.emit(event);
    }
}

/// An application as it should be.
struct Edit {
    id: PathId,
    instances: u32,
    spec: AppSpec,
}

fn apply(
    engine: &Engine,
    state: &mut State,
    request: &Request,
    edits: Vec<Edit>,
    restart: BTreeSet<PathId>,
    place: &PathId,
) -> Result<Accepted, ApiError> {
    let mut root = Root::clone(&state.root);
    for Edit { id, instances, spec } in edits {
        let before = root.apps.get(&id);
        if before.is_some_and(|before| before.instances == instances && before.spec == spec) {
            continue;
        }
        // The stamp of the change comes later; a group that is made for it has this one until then.
        let version = before.map_or_else(Timestamp::now, |before| before.version);
        let version_info = before.and_then(|before| before.version_info);
        root.put_app(Arc::new(App { id, instances, spec, version, version_info }));
    }
    ApiError::invalid_if(rules::check_root(&root))?;
    let change = Change { root, restart, force: request.flag("force", false), place };
    Ok(state.propose(change, &engine.config.service_ports, Timestamp::now())?)
}

/// `PUT /v2/apps/{id}` and `PATCH /v2/apps/{id}`, which never creates.
pub(crate) fn update_one(engine: &Arc<Engine>, request: &Request, id: &PathId, may_create: bool) -> Answer {
    let update = request.parse(|at| AppUpdate::read(at, IdRule::Ignored))?;
    let partial = !may_create || request.flag("partialUpdate", true);
    let (existed, accepted) = engine.change(|state| {
        let existed = state.app(id).is_some();
        let edit = edit_of(state, id, &update, partial)?;
        if !existed && !may_create {
            return Err(ApiError::no_app(id));
        }
        let accepted = apply(engine, state, request, vec![edit], BTreeSet::new(), &id.parent())?;
        tell_posted(state, request, id);
        Ok((existed, accepted))
    })?;
    let mut response = done(&accepted);
    if !existed {
        *response.status_mut() = StatusCode::CREATED;
        created(engine, &mut response, id, &accepted);
    }
    Ok(response)
}

/// What an update makes of an application, known or not.
fn edit_of(state: &State, id: &PathId, update: &AppUpdate, partial: bool) -> Result<Edit, ApiError> {
    let known = state.app(id);
    let text = update.id.as_deref().unwrap_or(id.as_str());
    let mut mistakes = if PathId::is_well_formed(id.as_str()) { rules::check_id(text, id) } else { vec![rules::bad_path()] };
    // A whole definition may carry the version that it was read with; it says nothing then.
    if let (Some(version), true, true) = (&update.version, partial, known.is_some()) {
        return roll_back(state, id, update, version);
    }
    mistakes.extend(rules::check_update(update));
    let (spec, instances) = match known.filter(|_| partial) {
        Some(known) => (normal::changed(update, id, &known.spec), update.instances.unwrap_or(known.instances)),
        None => (normal::complete(update, id), update.instances.unwrap_or(1)),
    };
    let spec = with_service_ports(spec, known.map(Arc::as_ref));
    mistakes.extend(rules::check_app(id, instances, &spec));
    ApiError::invalid_if(mistakes)?;
    Ok(Edit { id: id.clone(), instances, spec })
}

/// Gives ports that are 0 the numbers that they had, so that sending a definition again changes nothing.
fn with_service_ports(spec: AppSpec, known: Option<&App>) -> AppSpec {
    let mut settled = spec;
    // 0 stays 0 where there was none: the change itself gives those their numbers.
    let _ = normal::assign_service_ports(&mut settled, known, || Some(0));
    settled
}

fn roll_back(state: &State, id: &PathId, update: &AppUpdate, version: &str) -> Result<Edit, ApiError> {
    if update.has_others {
        return Err(ApiError::invalid(vec![rules::version_alone()]));
    }
    let version: Timestamp = version.parse().map_err(|error| ApiError::unprocessable(format!("{error}")))?;
    let known = state.versions.get(id).and_then(|versions| versions.get(&version)).ok_or_else(|| ApiError::no_app(id))?;
    Ok(Edit { id: id.clone(), instances: known.instances, spec: known.spec.clone() })
}

/// `PUT /v2/apps` and `PATCH /v2/apps`, which never creates.
pub(crate) fn update_many(engine: &Arc<Engine>, request: &Request, may_create: bool) -> Answer {
    let partial = !may_create || request.flag("partialUpdate", true);
    let rule = if partial { IdRule::Optional } else { IdRule::Needed };
    let updates = request.parse(|at| list(at, |at: At<'_>| AppUpdate::read(&at, rule)))?;
    if updates.iter().any(|update| update.id.is_none()) {
        return Err(ApiError::unprocessable("requirement failed: App Update must have app id set"));
    }
    let accepted = engine.change(|state| {
        let mut edits = Vec::new();
        for update in &updates {
            let id = PathId::absolute(update.id.as_deref().unwrap_or_default());
            if !may_create && state.app(&id).is_none() {
                return Err(ApiError::no_app(&id));
            }
            edits.push(edit_of(state, &id, update, partial)?);
        }
        apply(engine, state, request, edits, BTreeSet::new(), &PathId::root())
    })?;
    Ok(done(&accepted))
}

/// `DELETE /v2/apps/{id}`: the one that forces unless told not to.
pub(crate) fn remove(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let accepted = engine.change(|state| {
        let mut root = Root::clone(&state.root);
        root.apps.remove(id).ok_or_else(|| ApiError::no_app(id))?;
        let change = Change { root, restart: BTreeSet::new(), force: request.flag("force", true), place: &id.parent() };
        Ok::<_, ApiError>(state.propose(change, &engine.config.service_ports, Timestamp::now())?)
    })?;
    Ok(done(&accepted))
}

/// `POST /v2/apps/{id}/restart`.
pub(crate) fn restart(engine: &Arc<Engine>, request: &Request, id: &PathId) -> Answer {
    let accepted = engine.change(|state| {
        if state.app(id).is_none() {
            return Err(ApiError::no_app(id));
        }
        apply(engine, state, request, Vec::new(), BTreeSet::from([id.clone()]), &id.parent())
    })?;
    Ok(done(&accepted))
}

/// `GET /v2/apps/{id}/versions`: newest first.
pub(crate) fn versions(engine: &Arc<Engine>, id: &PathId) -> Answer {
    let versions: Option<Vec<Timestamp>> =
        engine.read(|state| state.versions.get(id).map(|versions| versions.keys().rev().copied().collect()));
    Ok(Json(json!({ "versions": versions.ok_or_else(|| ApiError::no_app(id))? })).into_response())
}

/// `GET /v2/apps/{id}/versions/{version}`: the bare definition.
pub(crate) fn version(engine: &Arc<Engine>, id: &PathId, version: &str) -> Answer {
    let version: Timestamp = version.parse().map_err(|error| ApiError::unprocessable(format!("{error}")))?;
    let app: Option<Response> = engine.read(|state| {
        let app = state.versions.get(id)?.get(&version)?;
        Some(Json(answer::plain_app(app)).into_response())
    });
    app.ok_or_else(|| ApiError::no_app_version(id, version))
}
