//! `ocho:proxy`: a run starts another run.

use std::sync::Arc;

use wasmtime::component::Accessor;

use super::{Ocho, reach};
use crate::bindings::ocho::proxy::{shell, shell_blocking, types};
use crate::host::{Problem, ShellError, ShellOutcome, Upload};
use crate::state::Reach;

/// All files that one call may hand on, together.
const FILES_BYTES: u64 = 64 << 20;

impl types::Host for &mut Arc<Reach> {}
impl shell::Host for &mut Arc<Reach> {}

impl<T: Send> shell::HostWithStore<T> for Ocho {
    async fn run(
        accessor: &Accessor<T, Self>,
        argv: Vec<String>,
        files: Vec<String>,
    ) -> wasmtime::Result<Result<types::Outcome, types::Error>> {
        run(reach(accessor), argv, files).await
    }
}

impl shell_blocking::Host for &mut Arc<Reach> {
    async fn run(&mut self, argv: Vec<String>, files: Vec<String>) -> wasmtime::Result<Result<types::Outcome, types::Error>> {
        run(self.clone(), argv, files).await
    }
}

async fn run(reach: Arc<Reach>, argv: Vec<String>, files: Vec<String>) -> wasmtime::Result<Result<types::Outcome, types::Error>> {
    let theirs = reach.clone();
    let run = async move {
        let files = theirs.read_files(&files)?;
        Ok(theirs.world.shell.run(theirs.caller.clone(), argv, files).await?.into())
    };
    reach.aside(run).await
}

impl Reach {
    /// Reads files of the working folder that a run hands on.
    pub(super) fn read_files(&self, names: &[String]) -> Result<Vec<Upload>, Problem> {
        let mut left = FILES_BYTES;
        let read = |name: &String| {
            let folder = self.folder.as_ref().ok_or_else(|| Problem::new("no-file", format!("there is no file `{name}`")))?;
            let file = folder.read(name, left).map_err(|error| Problem::new("no-file", error.to_string()))?;
            left -= file.content.len() as u64;
            Ok(file)
        };
        names.iter().map(read).collect()
    }
}

impl From<ShellOutcome> for types::Outcome {
    fn from(outcome: ShellOutcome) -> Self {
        Self {
            ok: outcome.exit_code == 0,
            exit_code: outcome.exit_code,
            run: outcome.run,
            elapsed_ms: u32::try_from(outcome.elapsed.as_millis()).unwrap_or(u32::MAX),
            out: outcome.out,
            err: outcome.err,
            truncated: outcome.truncated,
        }
    }
}

impl From<ShellError> for types::Error {
    fn from(error: ShellError) -> Self {
        match error {
            ShellError::NoSuchTool(name) => Self::NoSuchTool(name),
            ShellError::Denied(why) => Self::Denied(why),
            ShellError::Busy => Self::Busy,
            ShellError::TooDeep(depth) => Self::TooDeep(depth),
            ShellError::Other(problem) => problem.into(),
        }
    }
}

impl From<Problem> for types::Error {
    fn from(problem: Problem) -> Self {
        Self::Other(types::Problem { code: problem.code, message: problem.message })
    }
}
