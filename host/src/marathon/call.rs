//! One request to Marathon: which masters are asked, which redirects are followed, when it is over.
//!
//! A read may be asked of one master after the other. A change is given to the next master only where it surely did not
//! arrive: the connection failed, or the answer was a redirect.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ocho_runtime::host::{MarathonError, Problem};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::masters::{Credentials, Master, Masters};
use crate::net::without_user;

/// A master that is not the leader names it; two may name each other while they elect one.
const REDIRECTS: usize = 3;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Escaped.
    pub(super) path: String,
    /// Not escaped.
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<String>,
    pub(super) accept: &'static str,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: Vec::new(), body: None, accept: "application/json" }
    }

    pub(super) fn with_body(self, body: String) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn with_flag(mut self, name: &str, value: bool) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The header `Marathon-Deployment-Id`.
    pub(super) deployment: Option<String>,
    pub(super) body: Bytes,
}

/// Why a master gave nothing that ends the call.
#[derive(Debug)]
enum Failed {
    /// The request surely had no effect.
    NotArrived(String),
    /// It may have had one.
    Lost(String),
    /// No answer in time.
    TimedOut,
    /// The answer is there, and it ends the call.
    Over(MarathonError),
}

/// How the masters are asked.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) http: reqwest::Client,
    pub(super) masters: Masters,
    pub(super) credentials: Option<Credentials>,
    /// How long a call may take in all.
    pub(super) within: Duration,
    /// Bytes of an answer.
    pub(super) body_bytes: usize,
}

impl Caller {
    /// Asks until one master answers, and reads the whole answer. Where nobody did, and a name leads to others by now, these
    /// are asked as well.
    pub(super) async fn whole(&self, call: &Call) -> Result<Reply, MarathonError> {
        match self.round(call).await? {
            Ended::Answered(reply) => Ok(reply),
            Ended::Nobody(_) if self.masters.changed().await => match self.round(call).await? {
                Ended::Answered(reply) => Ok(reply),
                Ended::Nobody(error) => Err(error),
            },
            Ended::Nobody(error) => Err(error),
        }
    }

    async fn round(&self, call: &Call) -> Result<Ended, MarathonError> {
        let mut waiting = Waiting::new(self, call).await?;
        while let Some((master, limit)) = waiting.next() {
            let master = &master;
            let work = async {
                let (response, url) = self.exchange(master, call).await?;
                let reply = self.read(response).await?;
                Ok((reply, url))
            };
            match timeout(limit, work).await.unwrap_or(Err(Failed::TimedOut)) {
                Ok((reply, _)) if call.is_read() && is_unavailable(reply.status) => waiting.unavailable = Some(reply),
                Ok((reply, _)) if call.is_read() && is_no_json(&reply) => waiting.note(master, "it sent no JSON".to_owned()),
                Ok((reply, url)) => {
                    self.masters.prefer(&url);
                    return Ok(Ended::Answered(reply));
                }
                Err(failed) => waiting.take(master, failed)?,
            }
        }
        Ok(waiting.give_up().map_or_else(Ended::Nobody, Ended::Answered))
    }

    /// Asks until one master begins a stream; gives it with the master's address.
    pub(super) async fn stream(&self, call: &Call) -> Result<(Response, String), MarathonError> {
        let mut waiting = Waiting::new(self, call).await?;
        while let Some((master, limit)) = waiting.next() {
            let master = &master;
            match timeout(limit, self.exchange(master, call)).await.unwrap_or(Err(Failed::TimedOut)) {
                Ok((response, url)) if response.status().is_success() && has_type(&response, call.accept) => {
                    self.masters.prefer(&url);
                    return Ok((response, master.name()));
                }
                Ok((response, _)) if response.status().is_success() => waiting.note(master, "it sent no event stream".to_owned()),
                Ok((response, _)) => {
                    let reply = timeout(limit, self.read(response)).await.unwrap_or(Err(Failed::TimedOut));
                    match reply {
                        Ok(reply) if is_unavailable(reply.status) => waiting.unavailable = Some(reply),
                        Ok(reply) => return Err(super::refusals::refusal(&reply)),
                        Err(failed) => waiting.take(master, failed)?,
                    }
                }
                Err(failed) => waiting.take(master, failed)?,
            }
        }
        Err(match waiting.give_up() {
            Ok(reply) => super::refusals::refusal(&reply),
            Err(error) => error,
        })
    }

    /// Sends the request to a master, and on to the leader that it names.
    async fn exchange(&self, master: &Master, call: &Call) -> Result<(Response, Url), Failed> {
        let mut url = master.url(&call.path, &call.query);
        for _ in 0..=REDIRECTS {
            let response = self.send(&url, call).await?;
            let Some(target) = redirect(&response) else { return Ok((response, url)) };
            url = self.leader(&url, target)?;
        }
        Err(Failed::NotArrived(format!("redirected more than {REDIRECTS} times")))
    }

    async fn send(&self, url: &Url, call: &Call) -> Result<Response, Failed> {
        let mut request = self.http.request(call.method.clone(), url.clone()).header(ACCEPT, call.accept);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(credentials) = &self.credentials {
            request = credentials.add_to(request);
        }
        request.send().await.map_err(|error| {
            let reason = reason(&error);
            if error.is_connect() || error.is_builder() { Failed::NotArrived(reason) } else { Failed::Lost(reason) }
        })
    }

    /// Where a redirect leads: the same request to another server, and nothing else.
    fn leader(&self, from: &Url, target: &str) -> Result<Url, Failed> {
        let not_followed = |why: &str| {
            let shown = without_user(target.split(['?', '#']).next().unwrap_or_default());
            Failed::NotArrived(format!("redirected to `{shown}`, {why}"))
        };
        let target = from.join(target).map_err(|_| not_followed("which is no address"))?;
        if target.path() != from.path() {
            return Err(not_followed("which is not where a leader would be"));
        }
        if !["http", "https"].contains(&target.scheme()) || (from.scheme() == "https" && target.scheme() != "https") {
            return Err(not_followed("which is less safe"));
        }
        let mut leader = from.clone();
        let moved = leader.set_scheme(target.scheme()).is_ok()
            && leader.set_host(target.host_str()).is_ok()
            && leader.set_port(target.port()).is_ok();
        if !moved {
            return Err(not_followed("which is no address"));
        }
        // Whoever answers at a master's address must not be able to send our credentials elsewhere.
        if self.credentials.is_some() && !self.masters.include(&leader) {
            return Err(not_followed("which is not among the configured masters and gets no credentials"));
        }
        Ok(leader)
    }

    async fn read(&self, mut response: Response) -> Result<Reply, Failed> {
        let status = response.status();
        let deployment = response.headers().get("marathon-deployment-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failed::Lost(reason(&error)))? {
            if body.len().saturating_add(chunk.len()) > self.body_bytes {
                let message = format!("Marathon's answer has more than {} bytes", self.body_bytes);
                return Err(Failed::Over(Problem::new("too-large", message).into()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, deployment, body: body.freeze() })
    }
}

/// How a round of questions ended.
enum Ended {
    Answered(Reply),
    /// No master had an answer, and none made a change.
    Nobody(MarathonError),
}

/// The masters that were not asked yet, and what became of the others.
struct Waiting<'a> {
    caller: &'a Caller,
    is_read: bool,
    left: Vec<Master>,
    started: Instant,
    reasons: Vec<String>,
    timed_out: usize,
    /// The last answer that said "not now".
    unavailable: Option<Reply>,
}

impl<'a> Waiting<'a> {
    async fn new(caller: &'a Caller, call: &Call) -> Result<Self, MarathonError> {
        let mut left = caller.masters.in_order().await.map_err(MarathonError::Unreachable)?;
        left.reverse();
        let (reasons, started) = (Vec::new(), Instant::now());
        Ok(Self { caller, is_read: call.is_read(), left, started, reasons, timed_out: 0, unavailable: None })
    }

    /// The next master, and how long it may take. Reads share the time that is left, so that a master that hangs leaves some
    /// for the others; a change may use it up, since nobody else is asked once it is under way.
    fn next(&mut self) -> Option<(Master, Duration)> {
        let left = self.caller.within.saturating_sub(self.started.elapsed());
        let share = if self.is_read { left.div_f64(self.left.len().max(1) as f64) } else { left };
        self.left.pop().map(|master| (master, share))
    }

    fn note(&mut self, master: &Master, reason: String) {
        debug!(master = master.name(), error = reason, "a Marathon master failed");
        self.reasons.push(format!("{}: {reason}", master.name()));
    }

    /// Takes a failure; gives it back where no other master may be asked.
    fn take(&mut self, master: &Master, failed: Failed) -> Result<(), MarathonError> {
        match failed {
            Failed::Over(error) => return Err(error),
            Failed::NotArrived(reason) => self.note(master, reason),
            Failed::Lost(reason) if self.is_read => self.note(master, reason),
            Failed::Lost(reason) => {
                let text = format!("{}: {reason}; nobody knows whether Marathon made the change", master.name());
                return Err(MarathonError::Unreachable(text));
            }
            Failed::TimedOut if self.is_read => {
                self.timed_out += 1;
                self.note(master, "no answer in time".to_owned());
            }
            Failed::TimedOut => return Err(MarathonError::TimedOut(self.caller.within)),
        }
        Ok(())
    }

    /// An answer that says "not now" is better than none.
    fn give_up(self) -> Result<Reply, MarathonError> {
        if let Some(reply) = self.unavailable {
            return Ok(reply);
        }
        if self.timed_out > 0 && self.timed_out == self.reasons.len() {
            return Err(MarathonError::TimedOut(self.caller.within));
        }
        let (names, reasons) = (self.caller.masters.names(), self.reasons.join("; "));
        Err(MarathonError::Unreachable(format!("no answer from Marathon at `{names}`: {reasons}")))
    }
}

fn is_unavailable(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn is_no_json(reply: &Reply) -> bool {
    reply.status.is_success() && serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_err()
}

fn has_type(response: &Response, wanted: &str) -> bool {
    response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with(wanted))
}

fn redirect(response: &Response) -> Option<&str> {
    let moved = [301, 302, 307, 308].contains(&response.status().as_u16());
    response.headers().get(LOCATION).filter(|_| moved).and_then(|target| target.to_str().ok())
}

/// The innermost cause, without URLs.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(io) => crate::net::reason(io),
        None if cause.is::<reqwest::Error>() => "the request failed".to_owned(),
        None => cause.to_string(),
    }
}
