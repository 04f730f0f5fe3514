//! A command from its line to what the user sees: find the files, send, print.

mod whole;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::blame::{Blame, Failure};
use crate::client::{CallError, Client, Ended, Event, Events, Scheme};
use crate::command::Line;
use crate::screen::{Reader, Screen};
use crate::upload::{self, Body, Cancel, Progress};

/// How a command ended, as seen by a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded,
    /// The host ran it and the tool failed.
    RunFailed,
    /// It did not come to a run, or its answer did not come back.
    Blamed(Blame),
}

impl Ending {
    pub(crate) fn of(ok: bool) -> Self {
        if ok { Self::Succeeded } else { Self::RunFailed }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Succeeded => Self::SUCCESS,
            Ending::RunFailed => Blame::User.into(),
            Ending::Blamed(blame) => blame.into(),
        }
    }
}

/// Who may stop a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C ends the whole program, as the system does by itself.
    Program,
    /// Ctrl-C ends the command, and the prompt comes back.
    Command,
}

/// For whom the outcome is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The tool's own output, as it comes.
    People,
    /// One object on one line for each command.
    Json,
}

/// Runs commands on one host.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) client: Client,
    pub(crate) screen: Screen,
    pub(crate) interrupt: Interrupt,
    pub(crate) format: Format,
}

impl Runner {
    /// Runs a line and shows the outcome.
    pub(crate) async fn run(&self, line: Result<Line, Failure>) -> Ending {
        match self.stoppable(line).await {
            Ok(ending) => ending,
            Err(failure) => self.fail(&failure),
        }
    }

    /// Where Ctrl-C ends only the command, it drops the request, and the host ends the run.
    async fn stoppable(&self, line: Result<Line, Failure>) -> Result<Ending, Failure> {
        let cancel = Cancel::default();
        if self.interrupt == Interrupt::Program {
            return self.outcome(line?, cancel).await;
        }
        // Listening begins before anything is sent: an early Ctrl-C would end the program.
        let mut interrupts =
            signal(SignalKind::interrupt()).map_err(|cause| Failure::Machine { what: "cannot listen to Ctrl-C", cause })?;
        tokio::select! {
            ending = self.outcome(line?, cancel.clone()) => ending,
            _ = interrupts.recv() => {
                cancel.cancel();
                Err(Failure::Cancelled)
            }
        }
    }

    async fn outcome(&self, line: Line, cancel: Cancel) -> Result<Ending, Failure> {
        let Some(tool) = line.words().first().cloned() else { return Ok(Ending::Succeeded) };
        let (line, body) = self.with_files(line, cancel).await?;
        if self.format == Format::Json {
            return self.show_json(&self.wait_for_whole(&line, body).await?);
        }
        // `help` is no run: the portal answers it itself.
        if self.client.scheme() == Scheme::Line || tool == "help" {
            let reply = self.client.shell(&line, body, self.screen.shows_progress()).await?;
            self.screen.result(&reply.out)?;
            self.hint_at_silence(&tool, reply.ok, reply.out.is_empty());
            return Ok(Ending::of(reply.ok));
        }
        match self.client.start(&line, body, self.screen.shows_progress()).await {
            Ok(events) => self.follow(&tool, events).await,
            Err(CallError::NoSuchTool { .. }) => {
                self.screen.result(&self.unknown_command().await?)?;
                Ok(Ending::RunFailed)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn with_files(&self, line: Line, cancel: Cancel) -> Result<(Line, Option<Body>), Failure> {
        let home = std::env::home_dir();
        let found = upload::find(line.words(), home.as_deref())?;
        for missing in &found.missing {
            self.screen.hint(&format!("there is no file `{missing}` here, the word is sent as it is"));
        }
        let line = line.with_words(found.words);
        let body = if found.uploads.is_empty() { None } else { Some(self.pack(found.uploads, cancel).await?) };
        Ok((line, body))
    }

    async fn pack(&self, uploads: Vec<upload::Upload>, cancel: Cancel) -> Result<Body, Failure> {
        let progress = Progress::packing(self.screen.shows_progress());
        let packed = tokio::task::spawn_blocking(move || upload::compose(&uploads, &cancel, &progress));
        Ok(packed.await.expect("packing returns errors and does not panic")?)
    }

    /// Prints what a run prints, until it ends or nobody reads it any more.
    async fn follow(&self, tool: &str, mut events: Events) -> Result<Ending, Failure> {
        let mut output = self.screen.live_output();
        let ended = loop {
            match events.next().await {
                Ok(Event::Out { text }) => {
                    if output.out(&text)? == Reader::Gone {
                        return Ok(Ending::Succeeded);
                    }
                }
                Ok(Event::Err { text }) => output.err(&text),
                Ok(Event::Ended(ended)) => break ended,
                Ok(Event::Started { .. } | Event::Note { .. } | Event::Unknown) => {}
                Err(error) => {
                    output.end()?;
                    return Err(error.into());
                }
            }
        };
        output.end()?;
        if let Some(note) = &ended.note {
            self.screen.error(note);
        }
        self.hint_at_silence(tool, ended.ok, output.is_unused() && ended.note.is_none());
        Ok(Ending::of(ended.ok))
    }

    /// The text that the portal has for a tool that it does not know.
    async fn unknown_command(&self) -> Result<String, Failure> {
        let help = Line::parse("help").expect("one plain word can be sent");
        let tools = self.client.shell(&help, None, false).await?.out;
        Ok(format!("unknown command ({tools})"))
    }

    fn hint_at_silence(&self, tool: &str, ok: bool, silent: bool) {
        match (ok, silent) {
            (true, true) => self.screen.hint_if_watched(&format!("`{tool}` has nothing to show")),
            (false, true) => self.screen.hint(&format!("`{tool}` failed and printed nothing")),
            _ => {}
        }
    }

    fn fail(&self, failure: &Failure) -> Ending {
        match self.format {
            Format::People => self.screen.problem(failure),
            Format::Json => self.show_json_failure(failure),
        }
        Ending::Blamed(failure.blame())
    }
}

/// A run that is over, with all that it printed.
struct Whole {
    run: Option<String>,
    out: String,
    err: String,
    ended: Ended,
}
