//! Why a host gives no answer, or not the one that was asked for.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("i/o failure (is the proxy down ?): no connection to `{host}`: {cause}")]
    Unreachable { host: String, cause: String },
    #[error("i/o failure: the connection to `{host}` broke before it answered: {cause}")]
    Broken { host: String, cause: String },
    #[error("`{host}` did not answer within {} hours", limit.as_secs() / 3600)]
    OverTime { host: String, limit: Duration },
    #[error("`{host}` is busy (HTTP 429){text}")]
    Busy { host: String, text: Text },
    #[error("`{host}` takes no upload of {} KiB (HTTP 413){text}", bytes.div_ceil(1024))]
    TooLarge { host: String, bytes: u64, text: Text },
    #[error("`{host}` failed (HTTP {status}){text}")]
    Failed { host: String, status: u16, text: Text },
    #[error("`{host}` does not know the caller (HTTP 401){text}")]
    Denied { host: String, text: Text },
    #[error("`{host}` refused the request (HTTP {status}){text}")]
    Refused { host: String, status: u16, text: Text },
    /// What was asked for is not possible, or not as things are. The message is the host's.
    #[error("{message}")]
    Declined { code: String, message: String },
    #[error("`{host}` has no tool of this name")]
    NoSuchTool { host: String },
    #[error("`{host}` has no such run{text}")]
    NoSuchRun { host: String, text: Text },
    #[error("`{host}` cannot run the tool{text}")]
    BrokenTool { host: String, text: Text },
    #[error("`{host}` does not speak the protocol of this `ocho`{text}")]
    Older { host: String, text: Text },
    #[error("`{host}` answered something else than a portal does{text}")]
    NotAPortal { host: String, text: Text },
    #[error("the answer of `{host}` is longer than {} MiB", limit_bytes >> 20)]
    TooLong { host: String, limit_bytes: usize },
    #[error("cannot prepare the connection: {0}")]
    Setup(String),
}

/// The first words of an answer that is not understood, with `: ` before them; nothing if there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    pub(super) fn of(body: &[u8]) -> Self {
        const SHOWN_CHARS: usize = 160;
        let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN_CHARS)]).into_owned();
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Self(line.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(out, ": {}", self.0) }
    }
}

/// An error as `/v1` tells it.
#[derive(Debug, Deserialize)]
struct Problem {
    error: ProblemDetail,
}

#[derive(Debug, Deserialize)]
struct ProblemDetail {
    code: String,
    message: String,
}

/// Refusals of `/v1/tools` whose message is written for who asked, and says what to do.
const TOLD: [&str; 12] = [
    "digest",
    "signature",
    "not-a-component",
    "not-a-command",
    "unknown-imports",
    "later-wasi",
    "later-contract",
    "link",
    "protected",
    "no-revision",
    "limits",
    "request",
];

/// The whole message, on one line.
fn whole(problem: Option<ProblemDetail>) -> String {
    problem.map(|problem| problem.message.replace(char::is_control, " ")).unwrap_or_default()
}

/// What an answer with another status than 200 means. `sent_bytes` is the size of the files that went with the request.
pub(super) fn refusal(host: &str, status: StatusCode, answer: &[u8], sent_bytes: u64) -> CallError {
    let host = host.to_owned();
    let problem = serde_json::from_slice::<Problem>(answer).ok().map(|problem| problem.error);
    let text = Text::of(problem.as_ref().map_or(answer, |problem| problem.message.as_bytes()));
    match (status, problem.as_ref().map(|problem| problem.code.as_str())) {
        (StatusCode::NOT_FOUND, Some("no-such-tool")) => CallError::NoSuchTool { host },
        (StatusCode::NOT_FOUND, Some("no-such-run")) => CallError::NoSuchRun { host, text },
        (_, Some("broken-tool")) => CallError::BrokenTool { host, text },
        (StatusCode::UNAUTHORIZED, _) => CallError::Denied { host, text },
        (StatusCode::TOO_MANY_REQUESTS, _) => CallError::Busy { host, text },
        (StatusCode::PAYLOAD_TOO_LARGE, _) => CallError::TooLarge { host, bytes: sent_bytes, text },
        (_, Some(code)) if TOLD.contains(&code) => CallError::Declined { code: code.to_owned(), message: whole(problem) },
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, None) => CallError::NotAPortal { host, text },
        (status, _) if status.is_server_error() => CallError::Failed { host, status: status.as_u16(), text },
        (status, _) if status.is_success() || status.is_redirection() => CallError::NotAPortal { host, text },
        (status, _) => CallError::Refused { host, status: status.as_u16(), text },
    }
}

/// What a failed exchange means.
pub(super) fn broken(host: &str, error: &reqwest::Error, limit: Duration) -> CallError {
    let (host, cause) = (host.to_owned(), innermost(error));
    if error.is_connect() {
        CallError::Unreachable { host, cause }
    } else if error.is_timeout() {
        CallError::OverTime { host, limit }
    } else {
        CallError::Broken { host, cause }
    }
}

/// The last cause of an error: the layers above it only say that a request failed.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
