//! Apps of the pretend Marathon: their definitions, versions, and the tasks that become pods.

use std::time::Duration;

use ocho_core::ClusterName;
use serde_json::{Map, Value, json};

use super::State;
use super::pods::Pod;
use crate::plugin::scene::format::AppPart;
use crate::plugin::scene::values::Until;

/// An app with all that it was, newest last.
#[derive(Debug, Clone, Default)]
pub(super) struct App {
    pub(super) definition: Map<String, Value>,
    pub(super) versions: Vec<(String, Map<String, Value>)>,
}

impl App {
    pub(super) fn instances(&self) -> usize {
        self.definition.get("instances").and_then(Value::as_u64).unwrap_or(1).try_into().unwrap_or(usize::MAX)
    }
}

/// Ids come with or without the leading slash; pods register them without.
pub(super) fn plain(id: &str) -> &str {
    id.trim_start_matches('/')
}

/// No app of a scene has more tasks than this, whatever a tool orders.
const TASKS_MOST: usize = 10_000;

impl State {
    /// An application that a pod names is there, with one more instance.
    pub(super) fn count_in(&mut self, id: &str) {
        let app = self.apps.entry(id.to_owned()).or_default();
        let instances = app.definition.get("instances").and_then(Value::as_u64).unwrap_or(0) + 1;
        let docker = || json!({"docker": {"image": "some/image:1"}});
        app.definition.entry("container").or_insert_with(docker);
        self.set_member(id, "instances", instances.into());
    }

    fn set_member(&mut self, id: &str, member: &str, value: Value) {
        let first = self.timestamp(Duration::ZERO);
        let app = self.apps.entry(id.to_owned()).or_default();
        app.definition.insert(member.to_owned(), value);
        app.versions = vec![(first, app.definition.clone())];
    }

    pub(super) fn add_app(&mut self, part: &AppPart) {
        let id = plain(&part.id).to_owned();
        let known = self.apps.contains_key(&id);
        if !known {
            self.set_member(&id, "instances", 1.into());
        }
        for (member, value) in &part.definition {
            self.set_member(&id, member, value.clone());
        }
        match part.locked {
            Some(Until::Moment(moment)) => drop(self.lock_app(&id, Some(moment))),
            Some(Until::Forever) => drop(self.lock_app(&id, None)),
            None => {}
        }
    }

    /// Sets a definition as a new version; gives the version.
    pub(super) fn set_app(&mut self, id: &str, definition: Map<String, Value>) -> String {
        let version = self.timestamp(self.now);
        let app = self.apps.entry(id.to_owned()).or_default();
        app.definition = definition.clone();
        app.versions.push((version.clone(), definition));
        version
    }

    /// The app as Marathon shows it, one by one; in a list it is without its tasks.
    pub(super) fn shown(&self, id: &str) -> Option<Value> {
        let app = self.apps.get(id)?;
        let mut shown = Map::from_iter([("id".to_owned(), Value::String(format!("/{id}")))]);
        shown.extend(app.definition.clone().into_iter().filter(|(member, _)| member != "id"));
        let tasks = self.pods.iter().filter(|pod| pod.is_of(id));
        let (running, staged): (Vec<&Pod>, Vec<&Pod>) = tasks.partition(|pod| pod.is_there(self.now));
        let deployments: Vec<Value> = self.locks(id).into_iter().map(|id| json!({"id": id})).collect();
        for (member, value) in [
            ("tasksRunning", json!(running.len())),
            ("tasksStaged", json!(staged.iter().filter(|pod| pod.from > self.now).count())),
            ("tasksHealthy", json!(0)),
            ("tasksUnhealthy", json!(0)),
            ("version", json!(app.versions.last().map(|(version, _)| version))),
            ("deployments", json!(deployments)),
            ("tasks", json!(self.shown_tasks(Some(id)))),
        ] {
            shown.insert(member.to_owned(), value);
        }
        Some(Value::Object(shown))
    }

    pub(super) fn shown_tasks(&self, id: Option<&str>) -> Vec<Value> {
        let is_meant = |pod: &&Pod| id.map_or(pod.application.is_some(), |id| pod.is_of(id));
        let alive = |pod: &&Pod| pod.until.is_none_or(|until| self.now < until);
        let show = |pod: &Pod| {
            let state = if pod.is_there(self.now) { "TASK_RUNNING" } else { "TASK_STAGING" };
            let app = format!("/{}", pod.application.as_deref().unwrap_or_default());
            let mut task = json!({"id": pod.task, "appId": app, "host": "127.0.0.1", "state": state});
            // One that is not up yet has no `startedAt`.
            let moments: &[&str] = if pod.is_there(self.now) { &["stagedAt", "startedAt"] } else { &["stagedAt"] };
            for moment in moments {
                task[*moment] = self.timestamp(pod.from).into();
            }
            task
        };
        self.pods.iter().filter(is_meant).filter(alive).map(show).collect()
    }

    /// Starts or ends tasks until the app has as many as it wants.
    pub(super) fn settle(&mut self, id: &str) {
        let wanted = self.apps.get(id).map_or(0, App::instances).min(TASKS_MOST);
        let tasks = self.tasks_of(id);
        for _ in tasks.len()..wanted {
            self.start(id);
        }
        // The youngest go first, as with Marathon.
        for (cluster, seq) in tasks.into_iter().skip(wanted) {
            self.pods.retain(|pod| pod.cluster != cluster || pod.seq != seq);
        }
    }

    /// The tasks that count for the app's instances, oldest first.
    fn tasks_of(&self, id: &str) -> Vec<(ClusterName, u32)> {
        let is_alive = |pod: &&Pod| pod.is_of(id) && !pod.is_replaced && pod.until.is_none_or(|until| self.now < until);
        let alive = self.pods.iter().filter(is_alive);
        alive.map(|pod| (pod.cluster.clone(), pod.seq)).collect()
    }

    /// Starts a new task for each; an old one leaves when its successor is there.
    pub(super) fn replace(&mut self, id: &str) {
        let old = self.tasks_of(id);
        let wanted = self.apps.get(id).map_or(0, App::instances).min(TASKS_MOST);
        for nth in 0..wanted {
            let Some(from) = self.start(id) else { continue };
            let predecessor = old.get(nth);
            for pod in &mut self.pods {
                if predecessor.is_some_and(|(cluster, seq)| pod.cluster == *cluster && pod.seq == *seq) {
                    (pod.until, pod.is_replaced) = (Some(from), true);
                }
            }
        }
    }

    /// Starts a task; says when it is a pod, if it ever will be.
    fn start(&mut self, id: &str) -> Option<Duration> {
        let from = self.now + self.boots_in?;
        let cluster = self.cluster_of(id)?;
        if let Some(left) = &mut self.boots_left {
            *left = left.checked_sub(1)?;
        }
        let of_cluster = self.pods.iter().filter(|pod| pod.cluster == cluster);
        let seq = of_cluster.map(|pod| pod.seq + 1).max().unwrap_or(0);
        let mut pod = Pod::of_task(cluster, seq, id, from);
        if let Some(process) = &self.boots_as {
            pod.set_process(process);
        }
        self.pods.push(pod);
        Some(from)
    }

    /// The cluster of an app's pods: that of those that are there, else what its environment says.
    fn cluster_of(&self, id: &str) -> Option<ClusterName> {
        if let Some(pod) = self.pods.iter().find(|pod| pod.is_of(id)) {
            return Some(pod.cluster.clone());
        }
        let env = self.apps.get(id)?.definition.get("env")?;
        let text = |key: &str| env.get(key).and_then(Value::as_str).unwrap_or_default();
        format!("{}.{}", text("ochopod_namespace"), text("ochopod_cluster")).parse().ok()
    }

    /// Ends tasks; gives the apps that lost some, with how many.
    pub(super) fn end_tasks(&mut self, ids: &[String]) -> Vec<(String, u64)> {
        let is_meant = |pod: &Pod| pod.task.as_ref().is_some_and(|task| ids.contains(task));
        let mut lost: Vec<(String, u64)> = Vec::new();
        for application in self.pods.iter().filter(|pod| is_meant(pod)).filter_map(|pod| pod.application.clone()) {
            match lost.iter_mut().find(|(app, _)| *app == application) {
                Some((_, count)) => *count += 1,
                None => lost.push((application, 1)),
            }
        }
        self.pods.retain(|pod| !is_meant(pod));
        lost
    }
}
