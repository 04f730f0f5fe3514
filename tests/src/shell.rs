//! Calls of `POST /shell`, as a client in the wild makes them, and as one should not.

use std::time::Duration;

use ocho_core::signature::Token;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::runtime::block_on;

/// Longer than any run in a test.
const TIMEOUT: Duration = Duration::from_secs(300);
const BOUNDARY: &str = "----------------------------5f1c2d7ab9e04c36";

/// A request to be sent.
#[derive(Debug, Clone)]
#[must_use]
pub struct Call {
    portal: String,
    headers: HeaderMap,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    name: String,
    filename: Option<String>,
    content: Vec<u8>,
}

impl Call {
    /// A request to the portal at `host:port`, without any header.
    pub fn to(portal: &str) -> Self {
        Self { portal: portal.to_owned(), headers: HeaderMap::new(), parts: Vec::new() }
    }

    /// Sets `X-Shell`.
    pub fn line(self, line: &str) -> Self {
        self.header("x-shell", line.as_bytes())
    }

    /// Sets `X-Shell` and its signature.
    pub fn signed(self, line: &str, token: &str) -> Self {
        let signature = Token::new(token).expect("a token is not empty").sign(line.trim().as_bytes());
        self.line(line).header("x-signature", signature.as_bytes())
    }

    /// Sets a header.
    ///
    /// # Panics
    /// Where it cannot be one.
    pub fn header(mut self, name: &'static str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).expect("a header's value has no line ends");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Adds a file: the part's name is its name for the tool.
    pub fn file(self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.file_called(name, "a file name that nobody reads", content)
    }

    /// Adds a file whose part has a file name of its own.
    pub fn file_called(mut self, name: &str, filename: &str, content: impl Into<Vec<u8>>) -> Self {
        self.parts.push(Part { name: name.to_owned(), filename: Some(filename.to_owned()), content: content.into() });
        self
    }

    /// Adds a part that is no file.
    pub fn value(mut self, name: &str, content: &str) -> Self {
        self.parts.push(Part { name: name.to_owned(), filename: None, content: content.as_bytes().to_owned() });
        self
    }

    /// Sends it and waits for the reply.
    ///
    /// # Panics
    /// Where no HTTP answer comes.
    #[track_caller]
    #[must_use]
    pub fn send(self) -> Reply {
        let url = format!("http://{}/shell", self.portal);
        block_on(self.exchange(&url)).unwrap_or_else(|cause| panic!("no answer from `{url}`: {cause:?}"))
    }

    async fn exchange(mut self, url: &str) -> reqwest::Result<Reply> {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let mut request = client.post(url);
        if !self.parts.is_empty() {
            let form = HeaderValue::from_str(&format!("multipart/form-data; boundary={BOUNDARY}")).expect("plain text");
            self.headers.insert(CONTENT_TYPE, form);
            request = request.body(multipart(&self.parts));
        }
        let reply = request.headers(self.headers).send().await?;
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        Ok(Reply::read(status, &headers, reply.text().await?))
    }
}

/// Written by hand: names that a client library would not send are what the tests are about.
fn multipart(parts: &[Part]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let filename = part.filename.as_ref().map_or(String::new(), |name| format!("; filename=\"{name}\""));
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"{filename}\r\n\r\n", part.name);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// What the portal answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The run's id, from the header `X-Ocho-Run`; empty where nothing ran.
    pub run: String,
    /// The type of its body.
    pub content_type: String,
    /// Its body as it came.
    pub body: String,
    /// Whether the tool succeeded; false where the body is not the portal's JSON.
    pub ok: bool,
    /// What the tool printed; empty where the body is not the portal's JSON.
    pub out: String,
}

impl Reply {
    fn read(status: u16, headers: &HeaderMap, body: String) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        let ok = json["ok"].as_bool().unwrap_or_default();
        let out = json["out"].as_str().unwrap_or_default().to_owned();
        Self { status, run: text("x-ocho-run"), content_type: text("content-type"), body, ok, out }
    }

    /// The output of a run that is expected to succeed.
    ///
    /// # Panics
    /// Where it failed.
    #[track_caller]
    #[must_use]
    pub fn success(self) -> String {
        assert!(self.ok, "HTTP {}: {}", self.status, self.body);
        self.out
    }

    /// The output of a run that is expected to fail.
    ///
    /// # Panics
    /// Where it succeeded, or the reply is none of the portal's.
    #[track_caller]
    #[must_use]
    pub fn failure(self) -> String {
        assert!(!self.ok && self.status == 200, "HTTP {}: {}", self.status, self.body);
        self.out
    }

    /// The JSON that the tool printed as its last line.
    ///
    /// # Panics
    /// Where it printed none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|cause| panic!("`{line}` is not JSON: {cause}\n{}", self.body))
    }
}
