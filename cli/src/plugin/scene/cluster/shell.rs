//! Other tools, as far as a scene says what they answer.

use futures::future::{BoxFuture, FutureExt as _};
use ocho_core::command_line;
use ocho_runtime::host::{Caller, Shell, ShellError, ShellOutcome, Upload};
use serde_json::json;

use super::{Cluster, State};
use crate::plugin::scene::format::{ShellFailing, ShellPart};

/// The id of every run of another tool.
const RUN: &str = "01J0000000000000000000000B";

impl State {
    /// The longest line that the call begins with.
    fn tool_for(&self, argv: &[String]) -> Option<&ShellPart> {
        let begins = |tool: &&ShellPart| argv.starts_with(&command_line::split(&tool.line).unwrap_or_default());
        self.tools.iter().filter(begins).max_by_key(|tool| tool.line.len())
    }
}

impl Shell for Cluster {
    fn run(&self, caller: Caller, argv: Vec<String>, files: Vec<Upload>) -> BoxFuture<'_, Result<ShellOutcome, ShellError>> {
        async move {
            let name = argv.first().cloned().unwrap_or_default();
            let tool = {
                let mut state = self.lock();
                let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
                let body = (!names.is_empty()).then(|| json!({"files": names}));
                state.hear(format!("run {}", command_line::join(&argv)), body, true);
                state.tool_for(&argv).cloned().ok_or_else(|| ShellError::NoSuchTool(name.clone()))?
            };
            self.pause(tool.after.0).await;
            match tool.fails {
                Some(ShellFailing::Busy) => return Err(ShellError::Busy),
                Some(ShellFailing::NoSuchTool) => return Err(ShellError::NoSuchTool(name)),
                Some(ShellFailing::TooDeep) => return Err(ShellError::TooDeep(caller.depth)),
                Some(ShellFailing::Denied) => return Err(ShellError::Denied(format!("`{name}` may not be run"))),
                None => {}
            }
            Ok(ShellOutcome {
                exit_code: tool.exit,
                run: RUN.to_owned(),
                elapsed: tool.after.0,
                out: tool.out,
                err: tool.err,
                truncated: false,
            })
        }
        .boxed()
    }
}
