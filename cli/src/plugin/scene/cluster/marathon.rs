//! The pretend Marathon: what it answers, what it refuses, and its events.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, StreamExt as _};
use ocho_runtime::host::{Clock as _, Deployment, Marathon, MarathonError, MarathonEvent, MarathonResult, Refusal};
use serde_json::{Map, Value, json};

use super::apps::plain;
use super::pods::json_or_text;
use super::{Cluster, State};
use crate::plugin::scene::format::{Failing, RefusePart};
use crate::plugin::scene::values::text_of;

/// How long a Marathon that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request as it is written down.
struct Request {
    text: String,
    body: Option<Value>,
    is_order: bool,
}

fn get(path: String) -> Request {
    Request { text: format!("GET {path}"), body: None, is_order: false }
}

fn order(method: &str, path: &str, force: bool, body: Option<Value>) -> Request {
    let force = if force { "?force=true" } else { "" };
    Request { text: format!("{method} {path}{force}"), body, is_order: true }
}

impl Cluster {
    /// Writes a request down, refuses it where the scene says so, else does it.
    async fn answer<T>(&self, request: Request, act: impl FnOnce(&mut State) -> MarathonResult<T>) -> MarathonResult<T> {
        let refused = self.change(|state| state.refusal(request));
        if let Some(error) = refused {
            if matches!(error, MarathonError::TimedOut(_)) {
                self.pause(PATIENCE).await;
            }
            return Err(error);
        }
        self.change(act)
    }
}

impl State {
    fn refusal(&mut self, request: Request) -> Option<MarathonError> {
        let text = request.text.clone();
        self.hear(request.text, request.body, request.is_order);
        if let Some(why) = &self.marathon_fails {
            return Some(MarathonError::Unreachable(why.clone()));
        }
        let refusal = self.refusals.iter_mut().find(|refuse| text.starts_with(&refuse.request) && refuse.times != Some(0))?;
        if let Some(times) = &mut refusal.times {
            *times -= 1;
        }
        Some(error(refusal))
    }

    fn known(&self, id: &str) -> MarathonResult<Value> {
        self.shown(id).ok_or_else(|| MarathonError::NotFound(format!("App '/{id}' does not exist")))
    }

    fn change_app(&mut self, id: &str, change: &Value, force: bool) -> MarathonResult<Deployment> {
        self.known(id)?;
        self.unlock(id, force)?;
        let mut definition = self.apps.get(id).map(|app| app.definition.clone()).unwrap_or_default();
        let change = change.as_object().cloned().unwrap_or_default();
        let is_new_task = change.keys().any(|member| member != "instances");
        definition.extend(change);
        let version = self.set_app(id, definition);
        if is_new_task {
            self.replace(id);
        }
        self.settle(id);
        Ok(Deployment { id: self.deploy(id), version })
    }

    fn create(&mut self, definition: &str) -> MarathonResult<String> {
        let app: Map<String, Value> =
            serde_json::from_str(definition).map_err(|cause| invalid(&format!("Invalid JSON: {cause}")))?;
        let id = app.get("id").and_then(Value::as_str).map(plain).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| invalid("Object is not valid: /id error.path.missing"))?.to_owned();
        if self.apps.contains_key(&id) {
            let message = format!("An app with id [/{id}] already exists.");
            let body = json!({"message": message}).to_string();
            return Err(MarathonError::Refused(Refusal { status: 409, message, body }));
        }
        self.set_app(&id, app);
        self.settle(&id);
        self.deploy(&id);
        self.known(&id).map(|app| app.to_string())
    }

    fn delete(&mut self, id: &str, force: bool) -> MarathonResult<Deployment> {
        self.known(id)?;
        self.unlock(id, force)?;
        self.apps.remove(id);
        self.pods.retain(|pod| !pod.is_of(id));
        Ok(Deployment { id: self.deploy(id), version: self.timestamp(self.now) })
    }

    fn kill(&mut self, ids: &[String], scale: bool) -> String {
        for (app, count) in self.end_tasks(ids) {
            if scale {
                let mut definition = self.apps.get(&app).map(|app| app.definition.clone()).unwrap_or_default();
                let instances = definition.get("instances").and_then(Value::as_u64).unwrap_or(count);
                definition.insert("instances".to_owned(), instances.saturating_sub(count).into());
                self.set_app(&app, definition);
                self.deploy(&app);
            } else {
                self.settle(&app);
            }
        }
        json!({}).to_string()
    }

    /// The events after the first `seen` and from `since` on that are due, or when the next one is.
    fn event(&self, since: Duration, seen: usize) -> Result<MarathonEvent, Option<Duration>> {
        match self.events.iter().filter(|(moment, _)| *moment >= since).nth(seen) {
            Some((moment, event)) if *moment <= self.now => Ok(event.clone()),
            next => Err(next.map(|(moment, _)| *moment)),
        }
    }
}

fn invalid(message: &str) -> MarathonError {
    let body = json!({"message": message}).to_string();
    MarathonError::Invalid(Refusal { status: 422, message: message.to_owned(), body })
}

fn error(refuse: &RefusePart) -> MarathonError {
    match refuse.fails {
        Some(Failing::Timeout) => return MarathonError::TimedOut(PATIENCE),
        Some(Failing::Unreachable) => return MarathonError::Unreachable("connection refused".to_owned()),
        None => {}
    }
    let status = refuse.status.unwrap_or(500);
    let message = refuse.body.get("message").and_then(Value::as_str).map(str::to_owned);
    let message = message.unwrap_or_else(|| format!("Marathon answered {status}"));
    MarathonError::of(Refusal { status, message, body: text_of(&refuse.body) })
}

impl Marathon for Cluster {
    fn apps(&self, query: Vec<(String, String)>) -> BoxFuture<'_, MarathonResult<String>> {
        let ids: Vec<String> = query.into_iter().filter(|(name, _)| name == "id").map(|(_, value)| value).collect();
        let list = move |state: &mut State| {
            let meant = state.apps.keys().filter(|app| ids.iter().all(|id| app.contains(plain(id))));
            let shown = meant.filter_map(|id| state.shown(id));
            let without_tasks = |mut app: Value| {
                app.as_object_mut().map(|app| app.remove("tasks"));
                app
            };
            let apps: Vec<Value> = shown.map(without_tasks).collect();
            Ok(json!({"apps": apps}).to_string())
        };
        self.answer(get("/v2/apps".to_owned()), list).boxed()
    }

    fn app(&self, id: String) -> BoxFuture<'_, MarathonResult<String>> {
        let id = plain(&id).to_owned();
        let request = get(format!("/v2/apps/{id}"));
        self.answer(request, move |state| Ok(json!({"app": state.known(&id)?}).to_string())).boxed()
    }

    fn versions(&self, id: String) -> BoxFuture<'_, MarathonResult<Vec<String>>> {
        let id = plain(&id).to_owned();
        let list = |state: &mut State, id: &str| {
            state.known(id)?;
            let versions = state.apps.get(id).map(|app| app.versions.as_slice()).unwrap_or_default();
            Ok(versions.iter().rev().map(|(version, _)| version.clone()).collect())
        };
        self.answer(get(format!("/v2/apps/{id}/versions")), move |state| list(state, &id)).boxed()
    }

    fn version(&self, id: String, version: String) -> BoxFuture<'_, MarathonResult<String>> {
        let id = plain(&id).to_owned();
        let find = |state: &mut State, id: &str, version: &str| {
            let versions = state.apps.get(id).map(|app| app.versions.as_slice()).unwrap_or_default();
            let found = versions.iter().find(|(stamp, _)| stamp == version);
            let missing = || MarathonError::NotFound(format!("App '/{id}' has no version {version}"));
            found.map(|(_, definition)| Value::Object(definition.clone()).to_string()).ok_or_else(missing)
        };
        let request = get(format!("/v2/apps/{id}/versions/{version}"));
        self.answer(request, move |state| find(state, &id, &version)).boxed()
    }

    fn tasks(&self, id: Option<String>) -> BoxFuture<'_, MarathonResult<String>> {
        let id = id.map(|id| plain(&id).to_owned());
        let path = id.as_ref().map_or_else(|| "/v2/tasks".to_owned(), |id| format!("/v2/apps/{id}/tasks"));
        let list = move |state: &mut State| {
            id.as_ref().map_or(Ok(Value::Null), |id| state.known(id))?;
            Ok(json!({"tasks": state.shown_tasks(id.as_deref())}).to_string())
        };
        self.answer(get(path), list).boxed()
    }

    fn deployments(&self) -> BoxFuture<'_, MarathonResult<String>> {
        let list = |state: &mut State| {
            let show = |running: &super::Running| json!({"id": running.id, "affectedApps": [format!("/{}", running.app)]});
            let deployments: Vec<Value> = state.under_way().map(show).collect();
            Ok(Value::Array(deployments).to_string())
        };
        self.answer(get("/v2/deployments".to_owned()), list).boxed()
    }

    fn queue(&self) -> BoxFuture<'_, MarathonResult<String>> {
        self.answer(get("/v2/queue".to_owned()), |_| Ok(json!({"queue": []}).to_string())).boxed()
    }

    fn events(&self, kinds: Vec<String>) -> BoxStream<'static, MarathonResult<MarathonEvent>> {
        let refused = self.change(|state| state.refusal(get("/v2/events".to_owned())));
        if let Some(error) = refused {
            return stream::iter([Err(error)]).boxed();
        }
        let since = self.now();
        let next = move |(cluster, mut seen): (Self, usize)| async move {
            loop {
                let changed = cluster.0.changed.notified();
                let event = cluster.lock().event(since, seen);
                match event {
                    Ok(event) => {
                        seen += 1;
                        return Some((event, (cluster.clone(), seen)));
                    }
                    Err(Some(moment)) => tokio::select! {
                        () = cluster.0.clock.wait_until(moment) => {}
                        () = changed => {}
                    },
                    Err(None) => changed.await,
                }
            }
        };
        let is_meant = move |event: &MarathonEvent| kinds.is_empty() || kinds.contains(&event.kind);
        let events = stream::unfold((self.clone(), 0), next);
        events.filter(move |event| futures::future::ready(is_meant(event))).map(Ok).boxed()
    }

    fn create_app(&self, definition: String) -> BoxFuture<'_, MarathonResult<String>> {
        let request = order("POST", "/v2/apps", false, Some(json_or_text(&definition)));
        self.answer(request, move |state| state.create(&definition)).boxed()
    }

    fn update_app(&self, id: String, change: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        let id = plain(&id).to_owned();
        let change = json_or_text(&change);
        let request = order("PUT", &format!("/v2/apps/{id}"), force, Some(change.clone()));
        self.answer(request, move |state| state.change_app(&id, &change, force)).boxed()
    }

    fn restart_app(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        let id = plain(&id).to_owned();
        let request = order("POST", &format!("/v2/apps/{id}/restart"), force, None);
        let restart = move |state: &mut State| {
            state.known(&id)?;
            state.unlock(&id, force)?;
            state.replace(&id);
            Ok(Deployment { id: state.deploy(&id), version: state.timestamp(state.now) })
        };
        self.answer(request, restart).boxed()
    }

    fn delete_app(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        let id = plain(&id).to_owned();
        let request = order("DELETE", &format!("/v2/apps/{id}"), force, None);
        self.answer(request, move |state| state.delete(&id, force)).boxed()
    }

    fn kill_tasks(&self, ids: Vec<String>, scale: bool, wipe: bool) -> BoxFuture<'_, MarathonResult<String>> {
        let request = order("POST", "/v2/tasks/delete", false, Some(json!({"ids": ids, "scale": scale, "wipe": wipe})));
        self.answer(request, move |state| Ok(state.kill(&ids, scale))).boxed()
    }

    fn cancel_deployment(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<()>> {
        let request = order("DELETE", &format!("/v2/deployments/{id}"), force, None);
        let cancel = move |state: &mut State| {
            let known = state.under_way().any(|running| running.id == id);
            let missing = || MarathonError::NotFound(format!("DeploymentPlan {id} does not exist"));
            known.then(|| state.cancel(&id)).ok_or_else(missing)
        };
        self.answer(request, cancel).boxed()
    }
}
