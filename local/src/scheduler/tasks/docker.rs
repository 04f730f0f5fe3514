//! The little of a Docker engine's interface that running a task takes, over the engine's socket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long the engine may take to say that it is there. One on a machine with much to do takes its time.
const HELLO: Duration = Duration::from_secs(10);

/// How long it may take for a short order. Pulling and waiting take as long as they take.
const ORDER: Duration = Duration::from_secs(60);

/// The longest answer that is read as a whole.
const ANSWER_MAX: usize = 4 << 20;

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DockerError {
    #[error("Docker does not answer at `{socket}`: {cause}")]
    Unreachable { socket: PathBuf, cause: String },
    #[error("Docker says {status} to {what}: {message}")]
    Refused { what: String, status: StatusCode, message: String },
    #[error("Docker did not finish {what} within {} s", ORDER.as_secs())]
    TooSlow { what: String },
    #[error("Docker's answer to {what} does not read")]
    Garbage { what: String },
}

/// An engine.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    socket: PathBuf,
}

/// A part of a path or a value of a query.
pub(crate) fn quoted(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

impl Docker {
    pub(crate) fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Whether an engine answers.
    pub(crate) async fn answers(&self) -> bool {
        self.socket.exists() && matches!(timeout(HELLO, self.send(Method::GET, "/_ping", None)).await, Ok(Ok(_)))
    }

    /// Gives an order and returns its answer, an answer of another status than success being an error.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, DockerError> {
        let what = || format!("{method} {}", path.split('?').next().unwrap_or(path));
        let answer = async {
            let response = self.send(method.clone(), path, body).await?;
            read_all(response, &what()).await
        };
        let text = timeout(ORDER, answer).await.map_err(|_| DockerError::TooSlow { what: what() })??;
        Ok(serde_json::from_slice(&text).unwrap_or(Value::Null))
    }

    /// Sends a request and returns its answer as it comes.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Incoming>, DockerError> {
        let lost = |cause: &dyn fmt::Display| DockerError::Unreachable { socket: self.socket.clone(), cause: cause.to_string() };
        let stream = UnixStream::connect(&self.socket).await.map_err(|cause| lost(&cause))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|cause| lost(&cause))?;
        // It ends with its one request: the sender is dropped, and so is the body.
        tokio::spawn(connection);
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .header(HOST, "docker")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|cause| lost(&cause))?;
        let response = sender.send_request(request).await.map_err(|cause| lost(&cause))?;
        // A container that already stopped, or runs already, is where it should be.
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let status = response.status();
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let text = read_all(response, &what).await.unwrap_or_default();
        let said: Value = serde_json::from_slice(&text).unwrap_or_default();
        let message = said["message"].as_str().map_or_else(|| String::from_utf8_lossy(&text).trim().to_owned(), str::to_owned);
        Err(DockerError::Refused { what, status, message })
    }

    /// Makes sure that an image is there.
    pub(crate) async fn need_image(&self, image: &str, always_pull: bool) -> Result<(), DockerError> {
        let known = self.order(Method::GET, &format!("/images/{}/json", quoted(image)), None).await;
        match known {
            Ok(_) if !always_pull => Ok(()),
            Err(error @ DockerError::Unreachable { .. }) => Err(error),
            _ => self.pull(image).await,
        }
    }

    async fn pull(&self, image: &str) -> Result<(), DockerError> {
        let (name, tag) = split_tag(image);
        let path = format!("/images/create?fromImage={}&tag={}", quoted(name), quoted(tag));
        let what = format!("the pull of `{image}`");
        let garbage = || DockerError::Garbage { what: what.clone() };
        let mut body = self.send(Method::POST, &path, None).await?.into_body();
        // Success and failure both come with status 200, as lines of progress: a large image has more of them than one keeps.
        let mut progress = Progress::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| garbage())?;
            progress.read(frame.data_ref().map_or(&[], Bytes::as_ref)).ok_or_else(garbage)?;
        }
        match progress.end() {
            Some(message) => Err(DockerError::Refused { what, status: StatusCode::OK, message }),
            None => Ok(()),
        }
    }

    /// Removes a container, whatever it does. One that is not there is fine.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), DockerError> {
        match self.order(Method::DELETE, &format!("/containers/{}?force=true&v=true", quoted(name)), None).await {
            Err(DockerError::Refused { status: StatusCode::NOT_FOUND, .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Runs a line in a container and returns its exit code.
    pub(crate) async fn exec(&self, name: &str, line: &str) -> Result<i64, DockerError> {
        let make = json!({ "Cmd": ["/bin/sh", "-c", line], "AttachStdout": true, "AttachStderr": true });
        let made = self.order(Method::POST, &format!("/containers/{}/exec", quoted(name)), Some(&make)).await?;
        let garbage = || DockerError::Garbage { what: "the start of a command".into() };
        let id = made["Id"].as_str().ok_or_else(garbage)?.to_owned();
        let start = json!({ "Detach": false, "Tty": false });
        let mut output = self.send(Method::POST, &format!("/exec/{}/start", quoted(&id)), Some(&start)).await?.into_body();
        while output.frame().await.is_some_and(|frame| frame.is_ok()) {}
        let state = self.order(Method::GET, &format!("/exec/{}/json", quoted(&id)), None).await?;
        state["ExitCode"].as_i64().ok_or_else(garbage)
    }
}

/// Lines of progress, of which only a failure is kept.
#[derive(Default)]
struct Progress {
    line: Vec<u8>,
    failure: Option<String>,
}

impl Progress {
    /// Reads on. `None` when a line does not end.
    fn read(&mut self, data: &[u8]) -> Option<()> {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() > ANSWER_MAX {
                return None;
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
        Some(())
    }

    fn end_line(&mut self) {
        let said: Value = serde_json::from_slice(&self.line).unwrap_or_default();
        if let Some(message) = said["error"].as_str() {
            self.failure.get_or_insert_with(|| message.to_owned());
        }
        self.line.clear();
    }

    /// Why it failed, if it did.
    fn end(mut self) -> Option<String> {
        self.end_line();
        self.failure
    }
}

async fn read_all(response: Response<Incoming>, what: &str) -> Result<Vec<u8>, DockerError> {
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| DockerError::Garbage { what: what.to_owned() })?;
        if let Some(data) = frame.data_ref() {
            if text.len() + data.len() > ANSWER_MAX {
                return Err(DockerError::Garbage { what: what.to_owned() });
            }
            text.extend_from_slice(data);
        }
    }
    Ok(text)
}

/// `registry:5000/team/web:1.2` is `registry:5000/team/web` and `1.2`; without a tag it is `latest`, a digest is a tag.
fn split_tag(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_of_any_length_is_read() {
        let lines = "{\"status\": \"Downloading\", \"progress\": \"[====>    ]\"}\r\n".repeat(1000);
        let mut progress = Progress::default();
        for _ in 0..200 {
            assert_eq!(progress.read(lines.as_bytes()), Some(()));
        }
        progress.read(b"{\"error\": \"no ro").expect("read");
        progress.read(b"om\"}").expect("read");
        assert_eq!(progress.end().as_deref(), Some("no room"));
        assert_eq!(Progress::default().end(), None);
        assert_eq!(Progress::default().read(&vec![b'x'; ANSWER_MAX + 1]), None);
    }

    #[test]
    fn tags() {
        for (image, name, tag) in [
            ("web", "web", "latest"),
            ("web:1", "web", "1"),
            ("r:5000/team/web", "r:5000/team/web", "latest"),
            ("r:5000/team/web:1", "r:5000/team/web", "1"),
            ("web@sha256:ab", "web", "sha256:ab"),
        ] {
            assert_eq!(split_tag(image), (name, tag), "{image}");
        }
    }
}
