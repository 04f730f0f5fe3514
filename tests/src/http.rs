//! Plain HTTP requests.

use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::Value;

use crate::runtime::block_on;

/// Longer than any answer in a test that is no run; one that installs a component waits for the compiler.
const TIMEOUT: Duration = Duration::from_secs(300);

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as text.
    pub body: String,
}

impl Response {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A header as text; empty where it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends a request without a body.
///
/// # Panics
/// Where no answer comes.
#[track_caller]
#[must_use]
pub fn request(method: &str, url: &str, headers: &[(&'static str, &str)]) -> Response {
    send(method, url, headers, Vec::new())
}

/// Sends a request.
///
/// # Panics
/// Where no answer comes.
#[track_caller]
#[must_use]
pub fn send(method: &str, url: &str, headers: &[(&'static str, &str)], body: Vec<u8>) -> Response {
    let exchange = async {
        let method = Method::from_bytes(method.as_bytes()).expect("a test names a method");
        let mut request = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = request.send().await?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Ok::<_, reqwest::Error>(Response { status, headers, body: reply.text().await? })
    };
    block_on(exchange).unwrap_or_else(|cause| panic!("no answer to `{method} {url}`: {cause:?}"))
}
