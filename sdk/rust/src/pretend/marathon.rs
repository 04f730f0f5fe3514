//! Pretend Marathon: apps, their tasks and versions, and refusals that a test orders.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Cluster, Pod};
use crate::generated::ocho::marathon::types as wire;

/// A refusal that a test ordered.
#[derive(Debug)]
pub(super) struct Refusal {
    request: String,
    status: u16,
    message: String,
}

/// How the pods of new tasks come up.
pub(super) struct Boot {
    after: Duration,
    make: Box<MakePod>,
}

type MakePod = dyn Fn(&str, u32) -> Option<Pod>;

impl std::fmt::Debug for Boot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Boot({:?})", self.after)
    }
}

impl Cluster {
    /// Marathon refuses requests that begin like this (`PUT /v2/apps`).
    #[must_use]
    pub fn marathon_refuses(mut self, request: &str, status: u16, message: &str) -> Self {
        self.refusals.push(Refusal { request: request.to_owned(), status, message: message.to_owned() });
        self
    }

    /// New tasks become pods after so long: `make` gets the cluster and a number that counts on from the highest, and may
    /// give none for a task that never registers. Without this no task does.
    #[must_use]
    pub fn boots(mut self, after: Duration, make: impl Fn(&str, u32) -> Option<Pod> + 'static) -> Self {
        self.boot = Some(Boot { after, make: Box::new(make) });
        self
    }

    /// With a definition for an app.
    #[must_use]
    pub fn app(mut self, id: &str, definition: Value) -> Self {
        self.set_app(id, definition);
        self
    }

    pub(super) fn register_app_of(&mut self, pod: &Pod) {
        let Some(id) = pod.application.clone() else { return };
        let instances = self.apps.get(&id).and_then(|app| app["instances"].as_u64()).unwrap_or(0) + 1;
        let mut app = self.apps.remove(&id).unwrap_or_else(|| json!({"container": {"docker": {"image": "some/image:1"}}}));
        app["instances"] = instances.into();
        self.set_app(&id, app);
    }

    fn set_app(&mut self, id: &str, definition: Value) {
        self.versions.entry(id.to_owned()).or_default().insert(0, definition.clone());
        self.apps.insert(id.to_owned(), definition);
    }

    fn hear(&mut self, request: String) -> Result<(), wire::Error> {
        let refusal = self.refusals.iter().find(|refusal| request.starts_with(&refusal.request));
        let answer = refusal.map_or(Ok(()), |refusal| {
            let (status, message) = (refusal.status, refusal.message.clone());
            Err(match status {
                404 => wire::Error::NotFound(message),
                0 => wire::Error::Unreachable(message),
                _ => wire::Error::Refused(wire::Refusal { status, message, body: String::new() }),
            })
        });
        self.requests.push(request);
        answer
    }

    /// The tasks of an app. One that is no pod yet has not started.
    fn tasks(&self, id: &str) -> Value {
        let show = |pod: &Pod| {
            let started = (pod.from <= self.clock.now).then(|| stamp(pod.from.as_secs()));
            json!({"id": pod.task, "appId": format!("/{id}"), "startedAt": started})
        };
        self.pods.iter().filter(|pod| pod.application.as_deref() == Some(id)).map(show).collect()
    }

    fn known(&self, id: &str) -> Result<&Value, wire::Error> {
        self.apps.get(id).ok_or_else(|| wire::Error::NotFound(format!("App '/{id}' does not exist")))
    }

    /// Starts or ends tasks until the app has as many as it wants.
    fn settle(&mut self, id: &str) {
        let wanted = self.apps.get(id).map_or(0, |app| app["instances"].as_u64().unwrap_or(1));
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let running = self.pods.iter().filter(|pod| pod.application.as_deref() == Some(id)).count();
        let cluster = self.cluster_of(id);
        for _ in running..wanted {
            self.start(id, &cluster);
        }
    }

    /// Starts a new task for each: the old ones are left to end.
    fn replace(&mut self, id: &str) {
        let cluster = self.cluster_of(id);
        for _ in 0..self.apps[id]["instances"].as_u64().unwrap_or(1) {
            self.start(id, &cluster);
        }
    }

    fn cluster_of(&self, id: &str) -> String {
        let known = self.pods.iter().find(|pod| pod.application.as_deref() == Some(id)).map(|pod| pod.cluster.clone());
        let env = &self.apps[id]["env"];
        let text = |key: &str| env[key].as_str().unwrap_or_default();
        known.unwrap_or_else(|| format!("{}.{}", text("ochopod_namespace"), text("ochopod_cluster")))
    }

    fn start(&mut self, id: &str, cluster: &str) {
        let seq = self.pods.iter().filter(|pod| pod.cluster == cluster).map(|pod| pod.seq + 1).max().unwrap_or(0);
        let Some(boot) = &self.boot else { return };
        if let Some(pod) = (boot.make)(cluster, seq) {
            let mut pod = pod.of(id);
            pod.from = self.clock.now + boot.after;
            self.pods.push(pod);
        }
    }

    fn end_tasks(&mut self, is_meant: impl Fn(&Pod) -> bool) {
        self.pods.retain(|pod| !is_meant(pod));
    }
}

fn deployment() -> wire::Deployment {
    wire::Deployment { id: "deployment".to_owned(), version: stamp(0) }
}

/// The name of an app's version, counted from the first.
fn version(nth: usize) -> String {
    stamp(nth as u64)
}

/// So many seconds after the beginning of a year, as Marathon writes times.
fn stamp(seconds: u64) -> String {
    let (day, second) = (seconds / 86_400 + 1, seconds % 86_400);
    format!("2026-01-{day:02}T{:02}:{:02}:{:02}.000Z", second / 3600, second / 60 % 60, second % 60)
}

#[expect(clippy::unused_async, reason = "has the form of the generated functions")]
pub(crate) mod inspect {
    use serde_json::json;

    use super::wire::Error;
    use crate::pretend::with;

    pub(crate) async fn app(id: String) -> Result<String, Error> {
        with(|cluster| {
            cluster.hear(format!("GET /v2/apps/{id}"))?;
            let mut app = cluster.known(&id)?.clone();
            app["tasks"] = cluster.tasks(&id);
            Ok(json!({"app": app}).to_string())
        })
    }

    pub(crate) async fn apps(query: Vec<(String, String)>) -> Result<String, Error> {
        with(|cluster| {
            cluster.hear("GET /v2/apps".to_owned())?;
            let is_meant = |id: &str| query.iter().filter(|(name, _)| name == "id").all(|(_, part)| id.contains(part.as_str()));
            let meant = cluster.apps.iter().filter(|(id, _)| is_meant(id));
            let shown = meant.map(|(id, app)| {
                let mut app = app.clone();
                app["id"] = format!("/{id}").into();
                app
            });
            Ok(json!({"apps": shown.collect::<Vec<_>>()}).to_string())
        })
    }

    pub(crate) async fn versions(id: String) -> Result<Vec<String>, Error> {
        with(|cluster| {
            cluster.hear(format!("GET /v2/apps/{id}/versions"))?;
            cluster.known(&id)?;
            Ok((0..cluster.versions[&id].len()).rev().map(super::version).collect())
        })
    }

    pub(crate) async fn version(id: String, version: String) -> Result<String, Error> {
        with(|cluster| {
            cluster.hear(format!("GET /v2/apps/{id}/versions/{version}"))?;
            cluster.known(&id)?;
            let versions = &cluster.versions[&id];
            let found = versions.iter().rev().enumerate().find(|(nth, _)| super::version(*nth) == version);
            let missing = || Error::NotFound(format!("App '/{id}' has no version {version}"));
            found.map(|(_, definition)| definition.to_string()).ok_or_else(missing)
        })
    }

    pub(crate) async fn deployments() -> Result<String, Error> {
        with(|cluster| cluster.hear("GET /v2/deployments".to_owned()).map(|()| json!([]).to_string()))
    }

    pub(crate) async fn queue() -> Result<String, Error> {
        with(|cluster| cluster.hear("GET /v2/queue".to_owned()).map(|()| json!({"queue": []}).to_string()))
    }

    pub(crate) async fn tasks(id: Option<String>) -> Result<String, Error> {
        let id = id.unwrap_or_default();
        with(|cluster| {
            cluster.hear(format!("GET /v2/apps/{id}/tasks"))?;
            cluster.known(&id)?;
            Ok(json!({"tasks": cluster.tasks(&id)}).to_string())
        })
    }
}

#[expect(clippy::unused_async, reason = "has the form of the generated functions")]
pub(crate) mod operate {
    use serde_json::{Value, json};

    use super::deployment;
    use super::wire::{Deployment, Error};
    use crate::pretend::with;

    pub(crate) async fn create_app(definition: String) -> Result<String, Error> {
        let app: Value = serde_json::from_str(&definition).expect("a tool sends JSON");
        let id = app["id"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        with(|cluster| {
            cluster.hear(format!("POST /v2/apps {definition}"))?;
            cluster.set_app(&id, app);
            cluster.settle(&id);
            Ok(definition)
        })
    }

    pub(crate) async fn update_app(id: String, change: String, _force: bool) -> Result<Deployment, Error> {
        let sent = change;
        let change: Value = serde_json::from_str(&sent).expect("a tool sends JSON");
        with(|cluster| {
            cluster.hear(format!("PUT /v2/apps/{id} {sent}"))?;
            let mut app = cluster.known(&id)?.clone();
            for (member, value) in change.as_object().into_iter().flatten() {
                app[member.as_str()] = value.clone();
            }
            cluster.set_app(&id, app);
            if change.get("container").is_some() {
                cluster.replace(&id);
            }
            cluster.settle(&id);
            Ok(deployment())
        })
    }

    pub(crate) async fn cancel_deployment(id: String, _force: bool) -> Result<(), Error> {
        with(|cluster| cluster.hear(format!("DELETE /v2/deployments/{id}")))
    }

    pub(crate) async fn restart_app(id: String, _force: bool) -> Result<Deployment, Error> {
        with(|cluster| {
            cluster.hear(format!("POST /v2/apps/{id}/restart"))?;
            cluster.known(&id)?;
            cluster.replace(&id);
            Ok(deployment())
        })
    }

    pub(crate) async fn delete_app(id: String, force: bool) -> Result<Deployment, Error> {
        with(|cluster| {
            let forced = if force { "?force=true" } else { "" };
            cluster.hear(format!("DELETE /v2/apps/{id}{forced}"))?;
            cluster.known(&id)?;
            cluster.apps.remove(&id);
            cluster.end_tasks(|pod| pod.application.as_deref() == Some(id.as_str()));
            Ok(deployment())
        })
    }

    pub(crate) async fn kill_tasks(ids: Vec<String>, scale: bool, _wipe: bool) -> Result<String, Error> {
        with(|cluster| {
            cluster.hear(format!("POST /v2/tasks/delete?scale={scale} {}", json!({"ids": ids})))?;
            cluster.end_tasks(|pod| pod.task.as_ref().is_some_and(|task| ids.contains(task)));
            Ok(json!({}).to_string())
        })
    }
}
