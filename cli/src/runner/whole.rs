//! `--json`: a run is collected to its end, and printed as one object on one line.

use ocho_core::json;
use serde::Serialize;

use super::{Ending, Runner, Whole};
use crate::blame::Failure;
use crate::client::{CallError, Ended, Event, REPLY_LIMIT_BYTES, Scheme};
use crate::command::Line;
use crate::upload::Body;

/// Of the format below.
const VERSION: u32 = 1;

/// What is printed for a run.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    version: u32,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    exit_code: i64,
    elapsed_ms: u64,
    out: &'a str,
    err: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// What is printed where there is no run.
#[derive(Debug, Serialize)]
struct PrintedFailure<'a> {
    version: u32,
    ok: bool,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Runner {
    pub(super) async fn wait_for_whole(&self, line: &Line, body: Option<Body>) -> Result<Whole, Failure> {
        let progress_wanted = self.screen.shows_progress();
        if self.client.scheme() == Scheme::Whole && line.words() != ["help"] {
            match self.client.start(line, body, progress_wanted).await {
                Ok(events) => return collect(events).await,
                Err(CallError::NoSuchTool { .. }) => return Ok(Whole::without_run(self.unknown_command().await?)),
                Err(error) => return Err(error.into()),
            }
        }
        let reply = self.client.shell(line, body, progress_wanted).await?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of milliseconds, rounded")]
        let elapsed_ms = reply.ms.max(0.0).round() as u64;
        let ended = Ended { ok: reply.ok, exit_code: i64::from(!reply.ok), elapsed_ms, note: None };
        Ok(Whole { run: None, out: reply.out, err: String::new(), ended })
    }

    pub(super) fn show_json(&self, whole: &Whole) -> Result<Ending, Failure> {
        let Ended { ok, exit_code, elapsed_ms, note } = &whole.ended;
        self.screen.result(&json::to_line(&Printed {
            version: VERSION,
            ok: *ok,
            run: whole.run.as_deref(),
            exit_code: *exit_code,
            elapsed_ms: *elapsed_ms,
            out: &whole.out,
            err: &whole.err,
            note: note.as_deref(),
        }))?;
        Ok(Ending::of(*ok))
    }

    pub(super) fn show_json_failure(&self, failure: &Failure) {
        let error = failure.chain();
        let printed = PrintedFailure { version: VERSION, ok: false, error: &error, hint: failure.hint() };
        if self.screen.result(&json::to_line(&printed)).is_err() {
            // The exit code still tells.
            self.screen.problem(failure);
        }
    }
}

impl Whole {
    fn without_run(out: String) -> Self {
        Self { run: None, out, err: String::new(), ended: Ended { ok: false, exit_code: 1, elapsed_ms: 0, note: None } }
    }
}

async fn collect(mut events: crate::client::Events) -> Result<Whole, Failure> {
    let (mut run, mut out, mut err) = (None, String::new(), String::new());
    loop {
        match events.next().await? {
            Event::Started { run: id } => run = Some(id),
            Event::Out { text } => out.push_str(&text),
            Event::Err { text } => err.push_str(&text),
            Event::Ended(ended) => return Ok(Whole { run, out, err, ended }),
            Event::Note { .. } | Event::Unknown => {}
        }
        if out.len() + err.len() > REPLY_LIMIT_BYTES {
            return Err(CallError::TooLong { host: events.host().to_owned(), limit_bytes: REPLY_LIMIT_BYTES }.into());
        }
    }
}
