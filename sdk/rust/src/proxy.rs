//! The proxy itself: running other tools, as a person would at the prompt.

use std::time::Duration;

use crate::generated::ocho::proxy::types as wire;
use crate::host;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the tool succeeded.
    pub is_ok: bool,
    /// 0 success, 1 failure, or what the tool chose; 137 where the host ended it.
    pub exit_code: u8,
    /// The run's id, to be found again in the journal.
    pub run: String,
    /// How long it took.
    pub elapsed: Duration,
    /// What it printed on its standard output.
    pub out: String,
    /// What it printed on its standard error.
    pub err: String,
    /// Whether one of the two was cut at the output limit.
    pub is_truncated: bool,
}

/// Why nothing ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No tool has this name.
    #[error("no tool is named `{0}`")]
    NoSuchTool(String),
    /// The caller may not run this tool.
    #[error("this plugin may not run tools: {0}")]
    Denied(String),
    /// The host runs as many tools at this depth as it may.
    #[error("the host is busy; try later")]
    Busy,
    /// Runs that start runs go only this deep.
    #[error("runs that start runs go no deeper than {0}")]
    TooDeep(u32),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Runs the tool `argv[0]` with copies of `files` of the working folder. Several can run at once.
///
/// # Errors
/// Where nothing ran. A tool that fails is an outcome.
pub async fn run(argv: &[String], files: &[String]) -> Result<Outcome, ProxyError> {
    outcome(host::shell::run(argv.to_vec(), files.to_vec()).await)
}

/// The same for a plain WASI 0.2 command, an ordinary `fn main`: waits for the end.
///
/// # Errors
/// Where nothing ran. A tool that fails is an outcome.
pub fn run_blocking(argv: &[String], files: &[String]) -> Result<Outcome, ProxyError> {
    outcome(host::shell_blocking::run(argv, files))
}

fn outcome(ended: Result<wire::Outcome, wire::Error>) -> Result<Outcome, ProxyError> {
    let ended = ended.map_err(|error| match error {
        wire::Error::NoSuchTool(name) => ProxyError::NoSuchTool(name),
        wire::Error::Denied(why) => ProxyError::Denied(why),
        wire::Error::Busy => ProxyError::Busy,
        wire::Error::TooDeep(limit) => ProxyError::TooDeep(limit),
        wire::Error::Other(problem) => ProxyError::Other(problem.message),
    })?;
    Ok(Outcome {
        is_ok: ended.ok,
        exit_code: ended.exit_code,
        run: ended.run,
        elapsed: Duration::from_millis(ended.elapsed_ms.into()),
        out: ended.out,
        err: ended.err,
        is_truncated: ended.truncated,
    })
}
