//! A command from its line to what the user sees: find the files, send, print.

use std::process::ExitCode;

use crate::blame::{Blame, Failure};
use crate::client::{Client, Reply};
use crate::command::Line;
use crate::screen::Screen;
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

/// Runs commands on one host.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    pub(crate) client: Client,
    pub(crate) screen: Screen,
    pub(crate) interrupt: Interrupt,
}

impl Runner {
    /// Runs a line and shows the outcome.
    pub(crate) async fn run(&self, line: Result<Line, Failure>) -> Ending {
        match self.outcome(line).await {
            Ok(ending) => ending,
            Err(failure) => {
                self.screen.problem(&failure);
                Ending::Blamed(failure.blame())
            }
        }
    }

    async fn outcome(&self, line: Result<Line, Failure>) -> Result<Ending, Failure> {
        let line = line?;
        let Some(tool) = line.words().first().cloned() else { return Ok(Ending::Succeeded) };
        let reply = self.stoppable(line).await?;
        self.show(&tool, &reply)
    }

    /// Sends the line; where Ctrl-C ends only the command, it drops the request, and the host ends the run.
    async fn stoppable(&self, line: Line) -> Result<Reply, Failure> {
        let cancel = Cancel::default();
        let sent = self.send(line, cancel.clone());
        if self.interrupt == Interrupt::Program {
            return sent.await;
        }
        tokio::select! {
            reply = sent => reply,
            _ = tokio::signal::ctrl_c() => {
                cancel.cancel();
                Err(Failure::Cancelled)
            }
        }
    }

    async fn send(&self, line: Line, cancel: Cancel) -> Result<Reply, Failure> {
        let home = std::env::home_dir();
        let found = upload::find(line.words(), home.as_deref())?;
        for missing in &found.missing {
            self.screen.hint(&format!("there is no file `{missing}` here, the word is sent as it is"));
        }
        let line = line.with_words(found.words);
        let body = if found.uploads.is_empty() { None } else { Some(self.pack(found.uploads, cancel).await?) };
        Ok(self.client.run(&line, body, self.screen.shows_progress()).await?)
    }

    async fn pack(&self, uploads: Vec<upload::Upload>, cancel: Cancel) -> Result<Body, Failure> {
        let progress = Progress::packing(self.screen.shows_progress());
        let packed = tokio::task::spawn_blocking(move || upload::compose(&uploads, &cancel, &progress));
        Ok(packed.await.expect("packing returns errors and does not panic")?)
    }

    fn show(&self, tool: &str, reply: &Reply) -> Result<Ending, Failure> {
        self.screen.result(&reply.out)?;
        match (reply.ok, reply.out.is_empty()) {
            (true, true) => self.screen.hint_if_watched(&format!("`{tool}` has nothing to show")),
            (false, true) => self.screen.hint(&format!("`{tool}` failed and printed nothing")),
            _ => {}
        }
        Ok(if reply.ok { Ending::Succeeded } else { Ending::RunFailed })
    }
}
