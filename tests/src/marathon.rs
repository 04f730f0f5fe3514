//! A pretend Marathon that answers what a test wants: refusals, locks, nonsense, silence.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri, header};
use serde_json::Value;

use crate::runtime::Task;
use crate::server::serve;

/// A request as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Path and query: `/v2/apps/web?force=true`.
    pub path: String,
    /// The body, where it is JSON; null otherwise.
    pub body: Value,
}

/// What to answer to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a JSON body.
    Json(u16, Value),
    /// A status and a body that is no JSON.
    Text(u16, String),
    /// None: the connection stays open.
    Silence,
}

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// The server. Dropping it ends it.
#[derive(Debug)]
pub struct FakeMarathon {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    _serving: Task,
}

#[derive(Clone)]
struct Shared {
    requests: Arc<Mutex<Vec<Request>>>,
    script: Arc<Script>,
}

impl FakeMarathon {
    /// Starts one that answers as `script` says.
    #[must_use]
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { requests: Arc::clone(&requests), script: Arc::new(script) };
        let (address, serving) = serve(Router::new().fallback(answer).with_state(shared));
        Self { address, requests, _serving: serving }
    }

    /// Where it listens, `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The requests so far, oldest first.
    ///
    /// # Panics
    /// Where the script panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no holder panics").clone()
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = Request { method: method.to_string(), path: uri.to_string(), body };
    let answer = (shared.script)(&request);
    shared.requests.lock().expect("no holder panics").push(request);
    let status = |code| StatusCode::from_u16(code).expect("a script names a status");
    match answer {
        Answer::Json(code, body) => {
            (status(code), [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
        }
        Answer::Text(code, body) => (status(code), body).into_response(),
        Answer::Silence => std::future::pending().await,
    }
}
