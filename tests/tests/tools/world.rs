//! A host between simulated pods and a pretend Marathon.

use std::sync::{Arc, Mutex};

use ocho_tests::marathon::{Answer, Request};
use ocho_tests::{FakeMarathon, Pods, TestHost};
use serde_json::{Value, json};

/// All that a tool meets. The fields end in their order: the host before what it talks to.
pub(crate) struct World {
    pub(crate) host: TestHost,
    pub(crate) pods: Pods,
    pub(crate) marathon: FakeMarathon,
    pub(crate) registry: TestHost,
}

/// What Marathon says to a change that it accepts.
pub(crate) fn accepted() -> Answer {
    Answer::Json(200, json!({"version": "2026-01-01T00:00:00.000Z", "deploymentId": "d1"}))
}

impl World {
    /// A world whose Marathon answers as `script` says.
    pub(crate) fn new(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let marathon = FakeMarathon::start(script);
        let registry = TestHost::up().start();
        let pods = Pods::join(&registry.address("zookeeper"));
        let host = TestHost::serve(&marathon.address(), &registry.address("zookeeper")).start();
        Self { host, pods, marathon, registry }
    }

    /// A world whose Marathon has this app with these tasks, and accepts every change.
    pub(crate) fn with_app(app: Value, tasks: &[&str]) -> Self {
        let tasks: Vec<Value> = tasks.iter().map(|id| json!({"id": id})).collect();
        let app = Arc::new(Mutex::new(app));
        Self::new(move |request| match (request.method.as_str(), request.path.ends_with("/tasks")) {
            ("GET", true) => Answer::Json(200, json!({"tasks": tasks})),
            ("GET", false) => Answer::Json(200, json!({"app": *app.lock().unwrap()})),
            ("POST", _) if request.path.starts_with("/v2/apps") && !request.path.contains("restart") => {
                Answer::Json(201, request.body.clone())
            }
            _ => accepted(),
        })
    }

    /// What Marathon was asked: method and path. That nothing is forced may be said or not.
    pub(crate) fn asked(&self) -> Vec<String> {
        let shown = |request: &Request| format!("{} {}", request.method, request.path.trim_end_matches("?force=false"));
        self.marathon.requests().iter().filter(|request| !is_background(request)).map(shown).collect()
    }

    /// The body of the last request that begins like this.
    pub(crate) fn body(&self, start: &str) -> Value {
        let sent = |request: &Request| format!("{} {}", request.method, request.path).starts_with(start);
        self.marathon.requests().into_iter().rev().find(sent).unwrap_or_else(|| panic!("no `{start}`")).body
    }
}

/// The host looks after Marathon by itself as well.
fn is_background(request: &Request) -> bool {
    ["/v2/info", "/v2/leader", "/v2/events", "/ping"].iter().any(|path| request.path.starts_with(path))
}
