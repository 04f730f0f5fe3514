//! Tools that are commands: the words of the request are added to the command's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ocho_core::command_line;

use crate::command::{Errand, run};
use crate::environment::Variables;
use crate::hooks::Command;
use crate::tools::{Limits, Output, Tool};

/// Runs one command, in the request's folder.
#[derive(Debug, Clone)]
pub struct CommandTool {
    command: Command,
    variables: Arc<Variables>,
    limits: Limits,
}

impl CommandTool {
    /// A tool within these limits. With a shell command, the request's words are its `$1`, `$2`, ...
    #[must_use]
    pub fn new(command: Command, variables: Arc<Variables>, limits: Limits, time: Option<Duration>) -> Self {
        Self { command, variables, limits: Limits { time: time.unwrap_or(limits.time), ..limits } }
    }

    async fn run_words(&self, arguments: &str, folder: &Path) -> Output {
        let words = match command_line::split(arguments) {
            Ok(words) => words,
            Err(error) => return Output { code: 1, stdout: vec![error.to_string()], stderr: Vec::new() },
        };
        let command = Command::Words(match &self.command {
            Command::Words(own) => own.iter().cloned().chain(words).collect(),
            Command::Shell(line) => ["/bin/sh", "-c", line, "sh"].map(str::to_owned).into_iter().chain(words).collect(),
        });
        let Limits { time: limit, output_bytes, .. } = self.limits;
        let variables = Some(&*self.variables);
        Output::of(
            run(Errand { command: &command, variables, folder: Some(folder), input: Vec::new(), limit, output_bytes }).await,
        )
    }
}

impl Tool for CommandTool {
    fn run<'a>(&'a self, arguments: &'a str, folder: &'a Path) -> BoxFuture<'a, Output> {
        self.run_words(arguments, folder).boxed()
    }
}
