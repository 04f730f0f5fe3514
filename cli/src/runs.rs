//! `ocho runs`: the runs of a host, under way and over: list, read again, follow, cancel.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ocho_core::json;
use serde::Deserialize;
use serde_json::Value;

use crate::args::{RunsArguments, RunsCommand};
use crate::blame::Failure;
use crate::cli;
use crate::client::{CallError, Client, Event, Scheme};
use crate::runner::Ending;
use crate::screen::{Reader, Screen};
use crate::target::{Target, TargetError};

/// A run that has just ended is in the journal within a moment, on a host that has nothing else to do.
const JOURNAL_WITHIN: Duration = Duration::from_secs(15);
/// As many as a host lists at once.
const LISTED_LIMIT: u32 = 1000;
/// Of a run's id: fewer letters would often mean several.
const SHORTEST_ID: usize = 4;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunsError {
    #[error("no run on `{host}` has the id `{id}`, or an id that ends with it")]
    NoSuchRun { host: String, id: String },
    #[error("several runs have an id that ends with `{id}`")]
    Several { id: String },
    #[error("`{id}` is too short for an id: give its last {SHORTEST_ID} letters at least")]
    Short { id: String },
}

/// A run as the host tells it; what it does not tell of one under way is empty.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Run {
    run: String,
    tool: String,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    line: String,
    state: String,
    #[serde(default)]
    started_ms: Option<u64>,
    #[serde(default)]
    elapsed_ms: u64,
    #[serde(default)]
    cpu_ms: Option<u64>,
    #[serde(default)]
    exit_code: Option<u8>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    backtrace: Option<String>,
    #[serde(default)]
    out: String,
    #[serde(default)]
    err: String,
}

#[derive(Debug, Deserialize)]
struct Listed {
    running: Vec<Run>,
    ended: Vec<Run>,
}

#[derive(Debug, Deserialize)]
struct Shown {
    run: Run,
}

/// The host, and how to show what it says.
struct Runs {
    client: Client,
    screen: Screen,
    json: bool,
}

/// Runs `ocho runs` to its end.
pub(crate) fn run(arguments: &RunsArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let host = arguments.host.as_deref().filter(|host| !host.is_empty()).ok_or(TargetError::Missing)?;
    let client = Client::new(Target::parse(host)?, cli::token()?, Scheme::Whole)?;
    let runs = Runs { client, screen, json: arguments.json };
    let command = arguments.command.clone().unwrap_or(RunsCommand::List { limit: 20 });
    let ending = cli::one_thread()?.block_on(async {
        match command {
            RunsCommand::List { limit } => runs.list(limit).await,
            RunsCommand::Show { run } => runs.show(&run).await,
            RunsCommand::Follow { run } => runs.follow(&run).await,
            RunsCommand::Cancel { run } => runs.cancel(&run).await,
        }
    })?;
    Ok(ending.into())
}

impl Runs {
    async fn list(&self, limit: u32) -> Result<Ending, Failure> {
        let query = format!("limit={}", limit.min(LISTED_LIMIT));
        if self.json {
            return self.print_json(&self.client.get::<Value>("/v1/runs", &query).await?);
        }
        let Listed { running, ended } = self.client.get("/v1/runs", &query).await?;
        let runs: Vec<Run> = running.into_iter().chain(ended).take(limit as usize).collect();
        if runs.is_empty() {
            self.screen.hint_if_watched("nothing ran on this host so far");
        }
        self.screen.result(&table(&runs, now_ms()))?;
        Ok(Ending::Succeeded)
    }

    async fn show(&self, id: &str) -> Result<Ending, Failure> {
        let path = format!("/v1/runs/{}", self.whole_id(id).await?);
        if self.json {
            return self.print_json(&self.client.get::<Value>(&path, "").await?);
        }
        let Shown { run } = self.client.get(&path, "").await?;
        self.screen.result(&run.facts(now_ms()))?;
        let mut output = self.screen.output();
        if !run.out.is_empty() {
            output.out("\n")?;
            output.out(&run.out)?;
        }
        output.err(&run.err);
        output.end()?;
        Ok(Ending::Succeeded)
    }

    /// Prints what a run printed and goes on to print, and ends as it does. Leaving does not end it.
    async fn follow(&self, id: &str) -> Result<Ending, Failure> {
        let path = format!("/v1/runs/{}", self.whole_id(id).await?);
        let mut events = self.client.get_events(&format!("{path}/output")).await?;
        let mut output = self.screen.output();
        while let Some(event) = events.next_if_any().await? {
            match event {
                Event::Out { text } if output.out(&text)? == Reader::Gone => return Ok(Ending::Succeeded),
                Event::Err { text } => output.err(&text),
                _ => {}
            }
        }
        output.end()?;
        let run = self.ended(&path).await?;
        if let Some(reason) = &run.reason {
            self.screen.error(reason);
        }
        Ok(Ending::of(run.exit_code == Some(0)))
    }

    /// The run, once the host has written down how it ended.
    async fn ended(&self, path: &str) -> Result<Run, Failure> {
        let since = std::time::Instant::now();
        loop {
            match self.client.get::<Shown>(path, "").await {
                Ok(Shown { run }) if run.exit_code.is_some() => return Ok(run),
                Err(error) if !matches!(error, CallError::NoSuchRun { .. }) => return Err(error.into()),
                Err(error) if since.elapsed() > JOURNAL_WITHIN => return Err(error.into()),
                // Its output is closed a moment before it is over.
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn cancel(&self, id: &str) -> Result<Ending, Failure> {
        let id = self.whole_id(id).await?;
        let answer: Value = self.client.delete(&format!("/v1/runs/{id}")).await?;
        if self.json {
            return self.print_json(&answer);
        }
        self.screen.result(&format!("run {id} is cancelled"))?;
        Ok(Ending::Succeeded)
    }

    /// An id may be given by its last letters, as it is told apart in a list: the first ones are the time.
    async fn whole_id(&self, id: &str) -> Result<String, Failure> {
        let id = id.to_ascii_uppercase();
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(self.no_such_run(id).into());
        }
        match id.len() {
            26.. => return Ok(id),
            ..SHORTEST_ID => return Err(RunsError::Short { id }.into()),
            _ => {}
        }
        let Listed { running, ended } = self.client.get("/v1/runs", &format!("limit={LISTED_LIMIT}")).await?;
        let mut found = running.into_iter().chain(ended).map(|run| run.run).filter(|run| run.ends_with(&id));
        match (found.next(), found.next()) {
            (Some(run), None) => Ok(run),
            (Some(_), Some(_)) => Err(RunsError::Several { id }.into()),
            (None, _) => Err(self.no_such_run(id).into()),
        }
    }

    fn no_such_run(&self, id: String) -> RunsError {
        RunsError::NoSuchRun { host: self.client.target().label().to_owned(), id }
    }

    fn print_json(&self, value: &Value) -> Result<Ending, Failure> {
        self.screen.result(&json::to_line(value))?;
        Ok(Ending::Succeeded)
    }
}

impl Run {
    /// `running`, `succeeded`, or why not.
    fn outcome(&self) -> String {
        match self.exit_code {
            None => self.state.clone(),
            Some(0) => "succeeded".to_owned(),
            Some(code) => format!("failed ({code})"),
        }
    }

    fn age(&self, now_ms: u64) -> String {
        let ms = self.started_ms.map_or(self.elapsed_ms, |started| now_ms.saturating_sub(started));
        format!("{} ago", span(Duration::from_millis(ms)))
    }

    fn took(&self) -> String {
        span(Duration::from_millis(self.elapsed_ms))
    }

    fn facts(&self, now_ms: u64) -> String {
        let cpu = self.cpu_ms.map_or_else(String::new, |ms| format!(", {} of CPU", span(Duration::from_millis(ms))));
        let mut facts = vec![
            ("run", self.run.clone()),
            ("tool", format!("{}, revision {}", self.tool, self.revision)),
            ("line", self.line.clone()),
            ("outcome", self.outcome()),
            ("started", self.age(now_ms)),
            ("took", format!("{}{cpu}", self.took())),
        ];
        facts.extend(self.reason.clone().map(|reason| ("reason", reason)));
        facts.extend(self.backtrace.clone().map(|trace| ("trace", trace.replace('\n', "\n         "))));
        let lines: Vec<String> = facts.iter().map(|(name, value)| format!("{name:<9}{value}")).collect();
        lines.join("\n")
    }
}

/// Rows in the form of the tools' tables, which a terminal fits to its width.
fn table(runs: &[Run], now_ms: u64) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let head = ["run", "outcome", "started", "took", "line"].map(str::to_owned);
    let blank = std::array::from_fn(|_| String::new());
    let row = |run: &Run| [run.run.clone(), run.outcome(), run.age(now_ms), run.took(), run.line.clone()];
    let rows: Vec<[String; 5]> = [head, blank].into_iter().chain(runs.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let lines: Vec<String> = rows
        .iter()
        .map(|row| row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  |  "))
        .collect();
    lines.join("\n")
}

/// A time for people: the two largest units say enough.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Run {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn runs_are_told_in_a_table() {
        let under_way =
            read(r#"{"run":"01A","tool":"deploy","revision":1,"line":"deploy a.yml","state":"running","elapsed_ms":61500}"#);
        let over = read(
            r#"{"run":"01B","tool":"ls","revision":2,"digest":"x","line":"ls","state":"ended","started_ms":1000,"elapsed_ms":12,"cpu_ms":3,"exit_code":1,"reason":"no"}"#,
        );
        let shown = table(&[under_way, over.clone()], 91_000);
        assert_eq!(
            shown.lines().map(str::trim_end).collect::<Vec<_>>(),
            [
                "run  |  outcome     |  started         |  took       |  line",
                "     |              |                  |             |",
                "01A  |  running     |  1 min 1 s ago   |  1 min 1 s  |  deploy a.yml",
                "01B  |  failed (1)  |  1 min 30 s ago  |  12 ms      |  ls",
            ]
        );
        assert_eq!(table(&[], 0), "");
        assert_eq!(
            over.facts(91_000),
            "run      01B\ntool     ls, revision 2\nline     ls\noutcome  failed (1)\nstarted  1 min 30 s ago\n\
             took     12 ms, 3 ms of CPU\nreason   no"
        );
    }

    #[test]
    fn times_are_short() {
        let shown = [5, 1500, 59_900, 61_000, 3_600_000, 90_000_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(shown, ["5 ms", "1.5 s", "59.9 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"]);
    }
}
