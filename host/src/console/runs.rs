//! `/v1/runs`: start a run and follow it, list runs, read one again, cancel one.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _, stream};
use ocho_runtime::{Channel, OutputReader};
use serde::Deserialize;
use serde_json::{Value, json};
use ulid::Ulid;

use super::problem;
use crate::masks::Masks;
use crate::portal;
use crate::runs::{Order, Refused, Run, Runs, UnderWay};
use crate::tools::NoTool;

/// Starts a run as `POST /shell` does; the reply is a line of JSON for each event, as it happens.
///
/// Events: `started` (`run`, `tool`, `revision`), `out` and `err` (`text`), `ended` (`ok`, `exit_code`, `elapsed_ms`, `truncated`,
/// and `note` where the host ended it). The caller's going away ends the run.
pub(super) async fn start(State(runs): State<Runs>, request: Request) -> Response {
    let (words, folder) = match portal::take_order(&runs, request).await {
        Ok(order) => order,
        Err(why) => return problem(StatusCode::BAD_REQUEST, "request", &why),
    };
    match runs.start(Order { argv: words, folder, caller: None }).await {
        Ok(run) => ndjson(run.id, follow(run)),
        Err(refused) => refusal(&refused),
    }
}

fn refusal(refused: &Refused) -> Response {
    let (status, code) = match refused {
        Refused::Empty | Refused::TooDeep => (StatusCode::BAD_REQUEST, "request"),
        Refused::NoTool(NoTool::Unknown(_)) => (StatusCode::NOT_FOUND, "no-such-tool"),
        Refused::NoTool(NoTool::Broken { .. }) => (StatusCode::CONFLICT, "broken-tool"),
        Refused::Busy | Refused::ToolBusy { .. } => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        Refused::Folder(_) => (StatusCode::INTERNAL_SERVER_ERROR, "folder"),
    };
    problem(status, code, &refused.to_string())
}

pub(super) fn ndjson(id: Ulid, events: impl Stream<Item = Value> + Send + 'static) -> Response {
    let lines = events.map(|event| Ok::<_, std::convert::Infallible>(Bytes::from(format!("{event}\n"))));
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response.headers_mut().insert("x-ocho-run", HeaderValue::from_str(&id.to_string()).expect("an id is ASCII"));
    response
}

/// The events of a run that the stream owns: dropping the stream ends the run.
fn follow(run: Run) -> impl Stream<Item = Value> + Send {
    let started =
        json!({"event": "started", "run": run.id.to_string(), "tool": run.subject.name(), "revision": run.subject.revision()});
    let printed = printed(run.output.reader(), run.masks.clone());
    let ended = stream::once(async move {
        let mut run = run;
        let ending = run.ended().await;
        let mut event = json!({
            "event": "ended", "ok": ending.exit_code == 0, "exit_code": ending.exit_code,
            "elapsed_ms": millis(ending.elapsed), "truncated": ending.truncated,
        });
        if let Some(note) = ending.note {
            event["note"] = json!(note);
        }
        event
    });
    stream::iter([started]).chain(printed).chain(ended)
}

/// What a run prints, as events; a character that is cut at the border of two chunks waits for its rest.
fn printed(reader: OutputReader, masks: Masks) -> impl Stream<Item = Value> + Send {
    stream::unfold((reader, Undecoded { masks, ..Undecoded::default() }), |(mut reader, mut undecoded)| async move {
        let events: Vec<Value> = match reader.next().await {
            Some(chunks) => chunks.into_iter().filter_map(|chunk| undecoded.take(chunk.channel, &chunk.bytes)).collect(),
            None if undecoded.is_empty() => return None,
            None => undecoded.rest(),
        };
        // A reader that comes late finds a piece after the other ready; the neighbours have their turn between them.
        tokio::task::yield_now().await;
        Some((stream::iter(events), (reader, undecoded)))
    })
    .flatten()
}

/// Bytes of a character that is not complete yet, for each channel; of a whole line where secrets are masked in it.
#[derive(Default)]
struct Undecoded {
    masks: Masks,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Undecoded {
    fn take(&mut self, channel: Channel, bytes: &[u8]) -> Option<Value> {
        let waiting = match channel {
            Channel::Out => &mut self.out,
            Channel::Err => &mut self.err,
        };
        waiting.extend_from_slice(bytes);
        let complete = match std::str::from_utf8(waiting) {
            _ if !self.masks.is_empty() => waiting.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1),
            // Only an incomplete end waits; what is wrong in the middle is replaced.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => waiting.len() - incomplete_end(waiting),
        };
        let text = self.masks.hide(String::from_utf8_lossy(&waiting[..complete]).into_owned());
        waiting.drain(..complete);
        (!text.is_empty()).then(|| event(channel, &text))
    }

    fn is_empty(&self) -> bool {
        self.out.is_empty() && self.err.is_empty()
    }

    fn rest(&mut self) -> Vec<Value> {
        let rest = [(Channel::Out, std::mem::take(&mut self.out)), (Channel::Err, std::mem::take(&mut self.err))];
        let whole = rest.iter().filter(|(_, bytes)| !bytes.is_empty());
        whole.map(|(channel, bytes)| event(*channel, &self.masks.hide(String::from_utf8_lossy(bytes).into_owned()))).collect()
    }
}

/// How many bytes at the end begin a character that is not complete.
fn incomplete_end(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|back| std::str::from_utf8(&bytes[bytes.len() - back..]).is_err_and(|error| error.error_len().is_none()))
        .unwrap_or(0)
}

fn event(channel: Channel, text: &str) -> Value {
    json!({"event": if channel == Channel::Out { "out" } else { "err" }, "text": text})
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How many runs a list shows.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default = "page_of")]
    limit: u32,
}

impl Page {
    /// No more than a thousand.
    pub(super) fn limit(&self) -> u32 {
        self.limit.min(1000)
    }
}

fn page_of() -> u32 {
    50
}

/// From the query; one that does not read is told as every other mistake is.
impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(page)) => Ok(page),
            Err(rejected) => Err(problem(StatusCode::BAD_REQUEST, "request", &rejected.body_text())),
        }
    }
}

/// The runs under way, then the newest of those that ended.
pub(super) async fn list(State(runs): State<Runs>, page: Page) -> Json<Value> {
    let live = runs.list();
    let running: Vec<Value> = live.iter().rev().map(|(id, run)| under_way(*id, run)).collect();
    // One that ended since stands among those that run, and once is enough.
    let is_shown = |run: &str| live.iter().any(|(id, _)| id.to_string() == run);
    let ended = runs.journal().list(page.limit()).await;
    let ended: Vec<Value> = ended.iter().filter(|record| !is_shown(&record.run)).map(short).collect();
    Json(json!({"version": 1, "running": running, "ended": ended}))
}

fn under_way(id: Ulid, run: &UnderWay) -> Value {
    json!({
        "run": id.to_string(), "tool": run.subject.name(), "revision": run.subject.revision(), "line": run.line,
        "state": "running", "elapsed_ms": millis(run.started.elapsed()),
    })
}

fn short(record: &crate::journal::RunRecord) -> Value {
    let mut value = json!(record);
    for long in ["out", "err", "backtrace"] {
        value.as_object_mut().map(|members| members.remove(long));
    }
    value["state"] = json!("ended");
    value
}

/// One run, with what it printed if it ended.
pub(super) async fn show(State(runs): State<Runs>, Path(id): Path<String>) -> Response {
    if let Some((id, run)) = id.parse().ok().and_then(|id| Some((id, runs.find(id)?))) {
        return Json(json!({"version": 1, "run": under_way(id, &run)})).into_response();
    }
    match runs.journal().get(&id).await {
        Some(record) => {
            let mut run = json!(record);
            run["state"] = json!("ended");
            Json(json!({"version": 1, "run": run})).into_response()
        }
        None => no_such_run(&id),
    }
}

/// What a run printed, as events; of one under way also what it goes on to print. Going away does not end the run.
pub(super) async fn output(State(runs): State<Runs>, Path(id): Path<String>) -> Response {
    if let Some((id, run)) = id.parse().ok().and_then(|id| Some((id, runs.find(id)?))) {
        return ndjson(id, printed(run.output.reader(), run.masks));
    }
    match (runs.journal().get(&id).await, id.parse()) {
        (Some(record), Ok(id)) => {
            let texts = [(Channel::Out, record.out), (Channel::Err, record.err)];
            let events: Vec<Value> =
                texts.iter().filter(|(_, text)| !text.is_empty()).map(|(channel, text)| event(*channel, text)).collect();
            ndjson(id, stream::iter(events))
        }
        _ => no_such_run(&id),
    }
}

/// Ends a run.
pub(super) async fn cancel(State(runs): State<Runs>, Path(id): Path<String>) -> Response {
    if id.parse().is_ok_and(|id| runs.cancel(id)) {
        return (StatusCode::ACCEPTED, Json(json!({"version": 1, "run": id, "cancelled": true}))).into_response();
    }
    no_such_run(&id)
}

fn no_such_run(id: &str) -> Response {
    let id: String = id.chars().take(40).collect();
    problem(StatusCode::NOT_FOUND, "no-such-run", &format!("there is no run `{id}` under way or in the journal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let mut undecoded = Undecoded::default();
        let euro = "€".as_bytes();
        assert_eq!(undecoded.take(Channel::Out, b"a"), Some(event(Channel::Out, "a")));
        assert_eq!(undecoded.take(Channel::Out, &euro[..1]), None);
        assert_eq!(undecoded.take(Channel::Err, b"e"), Some(event(Channel::Err, "e")));
        assert_eq!(undecoded.take(Channel::Out, &euro[1..]), Some(event(Channel::Out, "€")));
        assert_eq!(undecoded.take(Channel::Out, b"x\xff"), Some(event(Channel::Out, "x\u{fffd}")));
        assert_eq!(undecoded.take(Channel::Out, &[b"\xffy", &euro[..2]].concat()), Some(event(Channel::Out, "\u{fffd}y")));
        assert!(!undecoded.is_empty());
        assert_eq!(undecoded.rest(), [event(Channel::Out, "\u{fffd}")]);
    }
}
