//! `/v1/jobs`: start a job and follow it, list jobs, read one again, follow one, cancel one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use ulid::Ulid;

use super::problem;
use super::runs::{Page, millis, ndjson};
use crate::journal::JobRecord;
use crate::servo::TakeError;
use crate::servo::jobs::{Job, Jobs, NotStarted, State as JobState};
use crate::servo::log::{Kind, Line};

/// Starts a job as `POST /run/<names>` does; the reply is a line of JSON for each event, as it happens.
///
/// Events: `started` (`job`, `names`), `note`, `out` and `err` (`text`, a line), `ended` (`ok`, `exit_code`, `state`, `elapsed_ms`). The
/// caller's going away does not end the job.
pub(super) async fn start(State(jobs): State<Jobs>, Path(names): Path<String>, request: Request) -> Response {
    match jobs.take(&names, request).await {
        Ok(job) => follow(&job),
        Err(TakeError::Request(why)) => problem(StatusCode::BAD_REQUEST, "request", &why),
        Err(TakeError::NotStarted(why)) => {
            let (status, code) = match why {
                NotStarted::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
                NotStarted::Names => (StatusCode::BAD_REQUEST, "request"),
                NotStarted::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            };
            problem(status, code, &why.to_string())
        }
    }
}

fn follow(job: &Arc<Job>) -> Response {
    let started = json!({"event": "started", "job": job.id.to_string(), "names": job.names});
    let (id, over) = (job.id, job.clone());
    let ended = stream::once(async move {
        let state = over.ended().await;
        json!({
            "event": "ended", "ok": state == JobState::Succeeded, "exit_code": u8::from(state != JobState::Succeeded), "state": state.name(), "elapsed_ms": millis(over.came.elapsed()),
        })
    });
    ndjson(id, stream::iter([started]).chain(lines(job.clone())).chain(ended))
}

/// The log as events, to its end.
fn lines(job: Arc<Job>) -> impl Stream<Item = Value> + Send {
    stream::unfold((job, 0), |(job, mut seen)| async move {
        let lines = job.log.next(&mut seen).await?;
        let events: Vec<Value> = lines.into_iter().map(|line| event(line.kind, &line.text)).collect();
        Some((stream::iter(events), (job, seen)))
    })
    .flatten()
}

fn event(kind: Kind, text: &str) -> Value {
    let event = match kind {
        Kind::Note => "note",
        Kind::Err => "err",
        Kind::Out | Kind::Tail => "out",
    };
    json!({"event": event, "text": format!("{text}\n")})
}

/// The jobs that wait or run, then the newest of those that are over.
pub(super) async fn list(State(jobs): State<Jobs>, page: Page) -> Json<Value> {
    let live = jobs.list();
    let running: Vec<Value> = live.iter().rev().map(|job| under_way(job)).collect();
    let kept = jobs.journal().list_jobs(page.limit()).await;
    // One that ends between the two looks is in both.
    let is_live = |record: &&JobRecord| live.iter().any(|job| job.id.to_string() == record.job);
    let ended: Vec<Value> = kept.iter().filter(|record| !is_live(record)).map(short).collect();
    Json(json!({"version": 1, "running": running, "ended": ended}))
}

fn under_way(job: &Job) -> Value {
    let names = job.names.join("+");
    json!({"job": job.id.to_string(), "names": names, "state": job.state().name(), "elapsed_ms": millis(job.came.elapsed())})
}

fn short(record: &JobRecord) -> Value {
    let mut value = json!(record);
    value.as_object_mut().map(|members| members.remove("log"));
    value
}

/// One job: where it stands, and its log.
pub(super) async fn show(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    if let Some(job) = live(&jobs, &id) {
        let mut value = under_way(&job);
        value["log"] = json!(job.log.lines().iter().map(Line::kept).collect::<String>());
        return Json(json!({"version": 1, "job": value})).into_response();
    }
    match jobs.journal().get_job(&id).await {
        Some(record) => Json(json!({"version": 1, "job": record})).into_response(),
        None => no_such_job(&id),
    }
}

/// A job's log as events; of one under way also what comes, to its end.
pub(super) async fn log(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    if let Some(job) = live(&jobs, &id) {
        return follow(&job);
    }
    match (jobs.journal().get_job(&id).await, id.parse()) {
        (Some(record), Ok(id)) => ndjson(id, stream::iter(replay(&record))),
        _ => no_such_job(&id),
    }
}

fn replay(record: &JobRecord) -> Vec<Value> {
    let names: Vec<&str> = record.names.split('+').collect();
    let started = json!({"event": "started", "job": record.job, "names": names});
    let ended = json!({
        "event": "ended", "ok": record.state == "succeeded", "exit_code": u8::from(record.state != "succeeded"), "state": record.state, "elapsed_ms": record.elapsed_ms,
    });
    let line = |line: &str| match line.strip_prefix("[stderr] ") {
        Some(line) => event(Kind::Err, line),
        None => event(Kind::Out, line),
    };
    let text = record.log.strip_suffix('\n').unwrap_or(&record.log);
    let lines = text.split('\n').filter(|_| !record.log.is_empty()).map(line);
    std::iter::once(started).chain(lines).chain([ended]).collect()
}

/// Ends a job.
pub(super) async fn cancel(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    if id.parse().is_ok_and(|id| jobs.cancel(id)) {
        return (StatusCode::ACCEPTED, Json(json!({"version": 1, "job": id, "cancelled": true}))).into_response();
    }
    no_such_job(&id)
}

fn live(jobs: &Jobs, id: &str) -> Option<Arc<Job>> {
    jobs.find(id.parse::<Ulid>().ok()?)
}

fn no_such_job(id: &str) -> Response {
    let id: String = id.chars().take(40).collect();
    problem(StatusCode::NOT_FOUND, "no-such-job", &format!("there is no job `{id}` under way or in the journal"))
}
