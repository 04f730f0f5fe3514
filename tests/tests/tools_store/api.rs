//! Requests to `/v1/tools`.

use std::time::{SystemTime, UNIX_EPOCH};

use ocho_core::signature::{SignedRequest, Token, hex, sha256};
use ocho_tests::{TestHost, http};
use serde_json::{Value, json};

/// What came of a request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    fn of(response: &http::Response) -> Self {
        Self { status: response.status, body: response.json() }
    }

    /// The body of a change that took place.
    #[track_caller]
    pub(crate) fn done(self) -> Value {
        assert_eq!((self.status, &self.body["version"]), (200, &json!(1)), "{}", self.body);
        self.body
    }

    /// The message of a refusal with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.body["error"]["code"].as_str()), (status, Some(code)), "{}", self.body);
        self.body["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

fn url(host: &TestHost, path: &str) -> String {
    format!("http://{}/v1/tools{path}", host.address("portal"))
}

/// Installs a component; `how` is the query.
#[track_caller]
pub(crate) fn install(host: &TestHost, tool: &str, how: &str, component: &[u8]) -> Answer {
    install_with(host, tool, how, component, &[])
}

/// The same with headers.
#[track_caller]
pub(crate) fn install_with(host: &TestHost, tool: &str, how: &str, wasm: &[u8], headers: &[(&'static str, &str)]) -> Answer {
    Answer::of(&http::send("POST", &url(host, &format!("/{tool}?{how}")), headers, wasm.to_vec()))
}

/// Sends JSON to `/v1/tools/<path>`; null sends nothing.
#[track_caller]
pub(crate) fn send(host: &TestHost, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    Answer::of(&http::send(method, &url(host, path), &[("content-type", "application/json")], body))
}

#[track_caller]
pub(crate) fn grants(host: &TestHost, tool: &str, change: &Value) -> Answer {
    send(host, "PUT", &format!("/{tool}/grants"), change)
}

#[track_caller]
pub(crate) fn limits(host: &TestHost, tool: &str, change: &Value) -> Answer {
    send(host, "PUT", &format!("/{tool}/limits"), change)
}

#[track_caller]
pub(crate) fn roll_back(host: &TestHost, tool: &str, to: Option<u32>) -> Answer {
    send(host, "POST", &format!("/{tool}/rollback"), &to.map_or(Value::Null, |to| json!({"revision": to})))
}

/// All about a tool.
#[track_caller]
pub(crate) fn show(host: &TestHost, tool: &str) -> Value {
    send(host, "GET", &format!("/{tool}"), &Value::Null).done()["tool"].clone()
}

/// Numbers and states of the revisions, newest first.
#[track_caller]
pub(crate) fn revisions(host: &TestHost, tool: &str) -> Vec<(u64, String)> {
    let shown = show(host, tool);
    let revisions = shown["revisions"].as_array().expect("a list");
    let line = |one: &Value| (one["number"].as_u64().unwrap(), one["state"].as_str().unwrap().to_owned());
    revisions.iter().map(line).collect()
}

/// Headers of a signed upload.
pub(crate) struct Signed {
    time: String,
    nonce: String,
    signature: String,
}

impl Signed {
    pub(crate) fn by(token: &str, path_and_query: &str, component: &[u8]) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_secs().to_string();
        // Never the same for two uploads of a test.
        let nonce = hex(&sha256(&[path_and_query.as_bytes(), component].concat()))[..32].to_owned();
        let request = SignedRequest {
            time: &time,
            nonce: &nonce,
            method: "POST",
            path_and_query,
            shell: b"",
            variables: Vec::new(),
            body_sha256: sha256(component),
        };
        let signature = Token::new(token).expect("a token is not empty").sign_request(&request);
        Self { time, nonce, signature }
    }

    pub(crate) fn send(&self, host: &TestHost, path_and_query: &str, component: Vec<u8>) -> http::Response {
        let Self { time, nonce, signature } = self;
        let headers = [("x-ocho-time", time.as_str()), ("x-ocho-nonce", nonce), ("x-signature-256", signature)];
        http::send("POST", &format!("http://{}{path_and_query}", host.address("portal")), &headers, component)
    }
}
