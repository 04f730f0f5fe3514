//! The control port of a simulated pod.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

use super::script::{Behaviour, PodScript};
use crate::runtime::Task;
use crate::server::serve;

/// What a pod was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `/info`, `/control/kill/60`, ...
    pub path: String,
    /// The command line of an `exec`.
    pub shell: Option<String>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A pod that answers: its script, and what became of it since.
#[derive(Debug)]
pub(crate) struct Control {
    script: PodScript,
    port: AtomicU16,
    process: Mutex<String>,
    requests: Mutex<Vec<Request>>,
}

impl Control {
    pub(crate) fn new(script: PodScript) -> Self {
        let process = Mutex::new(script.process.clone());
        Self { script, port: AtomicU16::new(0), process, requests: Mutex::new(Vec::new()) }
    }

    /// Tells it the port that `/info` shows.
    pub(crate) fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub(crate) fn serve(self: &Arc<Self>) -> (SocketAddr, Task) {
        serve(Router::new().fallback(answer).with_state(Arc::clone(self)))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no holder panics").clone()
    }

    /// The behaviour for a path; the one for the empty path is for all that have none.
    fn behaviour(&self, path: &str) -> Option<&Behaviour> {
        let behaviours = &self.script.behaviours;
        behaviours.get(path).or_else(|| behaviours.get(""))
    }

    fn ordinary(&self, path: &str, request: &Request) -> (u16, Value) {
        match path {
            "/info" => (200, Value::Object(self.info())),
            "/log" => (200, json!(self.script.log)),
            "/exec" => self.exec(request.shell.as_deref()),
            "/reset" => (200, json!({})),
            _ => match path.strip_prefix("/control/") {
                Some(task) => (self.control(task), json!({})),
                None => (404, json!({})),
            },
        }
    }

    fn info(&self) -> Map<String, Value> {
        let script = &self.script;
        let mut info = script.shared_facts(self.port.load(Ordering::Relaxed));
        let process = self.process.lock().expect("no holder panics").clone();
        let more =
            json!({"process": process, "state": script.state, "status": script.status, "dependencies": script.dependencies});
        info.extend(more.as_object().cloned().unwrap_or_default());
        info.extend(script.metrics.clone().map(|metrics| ("metrics".to_owned(), metrics)));
        for key in &script.info_lacks {
            info.remove(key);
        }
        info
    }

    fn exec(&self, line: Option<&str>) -> (u16, Value) {
        let Some(line) = line else { return (500, json!({})) };
        let tool = line.split(' ').next().unwrap_or_default();
        match self.script.tools.get(tool) {
            Some((code, lines)) => (200, json!({"code": code, "stdout": lines})),
            None => (404, json!({})),
        }
    }

    /// Does what a lifecycle machine does at once, in the order of its checks.
    fn control(&self, task: &str) -> u16 {
        if !["check", "on", "off", "ok", "kill", "signal"].contains(&task) {
            return 400;
        }
        let mut process = self.process.lock().expect("no holder panics");
        if *process == "dead" {
            return 410;
        }
        match task {
            "on" => *process = "running".to_owned(),
            "off" => *process = "stopped".to_owned(),
            "kill" => *process = "dead".to_owned(),
            _ => {}
        }
        200
    }
}

async fn answer(State(pod): State<Arc<Control>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if method != Method::POST {
        return reply(405, &json!({}));
    }
    let shell = headers.get("x-shell").map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
    let request = Request { path: uri.path().to_owned(), shell, body: body.to_vec() };
    let path = without_seconds(uri.path());
    pod.requests.lock().expect("no holder panics").push(request.clone());
    match pod.behaviour(path) {
        Some(Behaviour::Silent) => pending().await,
        Some(Behaviour::Json(status, body)) => reply(*status, body),
        Some(Behaviour::Text(status, body)) => (code(*status), body.clone()).into_response(),
        Some(Behaviour::After(delay)) => {
            tokio::time::sleep(*delay).await;
            let (status, body) = pod.ordinary(path, &request);
            reply(status, &body)
        }
        None => {
            let (status, body) = pod.ordinary(path, &request);
            reply(status, &body)
        }
    }
}

/// `/control/kill/60` is `/control/kill` with a wait.
fn without_seconds(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((front, seconds)) if front.starts_with("/control/") && !seconds.is_empty() => front,
        _ => path,
    }
}

fn reply(status: u16, body: &Value) -> Response {
    (code(status), [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a script names a status")
}

#[cfg(test)]
mod tests {
    use super::without_seconds;

    #[test]
    fn the_wait_is_no_part_of_the_verb() {
        assert_eq!(without_seconds("/control/kill/60"), "/control/kill");
        assert_eq!(without_seconds("/control/kill"), "/control/kill");
        assert_eq!(without_seconds("/info"), "/info");
    }
}
