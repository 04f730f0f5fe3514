//! Jobs: parts of a bundle that a CI system hands to the servo. They drive the proxy, look at what came of it, and decide.
//!
//! A job is a crate of type `cdylib` with one function and one line:
//!
//! ```
//! use std::time::Duration;
//!
//! use ocho_sdk::job::{self, JobError, check, proxy};
//!
//! async fn run() -> Result<(), JobError> {
//!     let clusters = proxy("ls").await?;
//!     check(clusters.get("test.web").is_some(), "web is not deployed")?;
//!     job::retry(5, Duration::from_secs(2), async || proxy("port 80 test.web").await).await?;
//!     Ok(())
//! }
//!
//! ocho_sdk::job!(super::run);
//! # fn main() {}
//! ```
//!
//! Files of the bundle lie in the working folder, `.`; variables of the caller are in the environment.

mod http;
mod secret;

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::command_line;
use crate::proxy::{self as tools, Outcome, ProxyError};

pub use http::{Request, Response, http};
pub use secret::{Secret, secret};

/// Why a job fails. Its text is what the log of the job ends with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JobError {
    /// Something is not as it should be.
    #[error("{0}")]
    Failed(String),
    /// A command line with a quote that stays open.
    #[error("`{line}`: {why}")]
    Line {
        /// The line.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing ran.
    #[error("`{line}`: {why}")]
    NotRun {
        /// The line.
        line: String,
        /// Why.
        why: ProxyError,
    },
    /// The tool ran and failed.
    #[error("`{line}` failed{}", told(outcome))]
    ToolFailed {
        /// The line.
        line: String,
        /// What it left; the output of most tools is JSON even then, see [`JobError::json`].
        outcome: Box<Outcome>,
    },
    /// The tool printed something else than JSON.
    #[error("`{line}` printed no JSON: {}", shortened(out))]
    NotJson {
        /// The line.
        line: String,
        /// What it printed.
        out: String,
    },
    /// A request had no answer.
    #[error("`{url}`: {why}")]
    Http {
        /// Where it went.
        url: String,
        /// Why there is none.
        why: String,
    },
    /// A file of the bundle cannot be read.
    #[error("file `{name}`: {why}")]
    File {
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
}

impl JobError {
    /// A failure with a reason of the job's own.
    pub fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }

    /// What a tool that failed printed, as JSON, if it is that: which clusters came up, which did not.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        match self {
            Self::ToolFailed { outcome, .. } => json_of(&outcome.out),
            _ => None,
        }
    }
}

fn told(outcome: &Outcome) -> String {
    let said = [outcome.out.trim(), outcome.err.trim()];
    let said: Vec<String> = said.iter().filter(|text| !text.is_empty()).map(|text| shortened(text)).collect();
    if said.is_empty() { format!(" with exit code {}", outcome.exit_code) } else { format!(": {}", said.join("; ")) }
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 500;
    let shown: String = text.trim().chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.trim().len() { format!("{shown}...") } else { shown }
}

/// Fails the job with this reason unless something holds.
///
/// # Errors
/// Where it does not.
pub fn check(holds: bool, why: impl fmt::Display) -> Result<(), JobError> {
    if holds { Ok(()) } else { Err(JobError::failed(why)) }
}

/// Runs one command of the proxy, as one would type it at the prompt, and gives its JSON: `proxy("port 80 *.web")`.
///
/// `-j` is added. Words are split as a shell would, and no shell is there. A word that names a file of the bundle is sent
/// along, as the prompt does.
///
/// # Errors
/// Where nothing ran, the tool failed, or it printed no JSON.
pub async fn proxy(line: &str) -> Result<Value, JobError> {
    let mut argv = words(line)?;
    argv.push("-j".to_owned());
    let outcome = run(line, argv).await?;
    json_of(&outcome.out).ok_or_else(|| JobError::NotJson { line: line.to_owned(), out: outcome.out })
}

/// Runs one command of the proxy and gives what it printed as text.
///
/// # Errors
/// Where nothing ran or the tool failed.
pub async fn proxy_text(line: &str) -> Result<String, JobError> {
    Ok(run(line, words(line)?).await?.out)
}

async fn run(line: &str, argv: Vec<String>) -> Result<Outcome, JobError> {
    let is_file = |word: &&String| std::fs::metadata(word).is_ok_and(|data| data.is_file());
    let files: Vec<String> = argv.iter().skip(1).filter(is_file).cloned().collect();
    let outcome = tools::run(&argv, &files).await.map_err(|why| JobError::NotRun { line: line.to_owned(), why })?;
    if outcome.is_ok { Ok(outcome) } else { Err(JobError::ToolFailed { line: line.to_owned(), outcome: Box::new(outcome) }) }
}

fn words(line: &str) -> Result<Vec<String>, JobError> {
    command_line::split(line).map_err(|error| JobError::Line { line: line.to_owned(), why: error.to_string() })
}

/// The whole of it, or its last line: a tool may say something before.
fn json_of(out: &str) -> Option<Value> {
    let out = out.trim();
    serde_json::from_str(out).or_else(|_| serde_json::from_str(out.lines().last().unwrap_or_default())).ok()
}

/// Tries until it works, so many times, with a pause between two attempts. Gives the last error.
///
/// # Errors
/// Where every attempt failed.
///
/// # Panics
/// Where there is not even one attempt.
pub async fn retry<T, E>(times: u32, pause: Duration, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> Result<T, E> {
    assert!(times > 0, "at least one attempt is needed");
    for _ in 1..times {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(_) => wait(pause).await,
        }
    }
    attempt().await
}

/// Waits. It costs no CPU time, and the time of a job is long.
pub async fn wait(time: Duration) {
    crate::clock::pause(time).await;
}

/// A variable that the caller gave: `-v stage:prod` is `variable("STAGE")`.
///
/// # Errors
/// Where there is none.
pub fn variable(name: &str) -> Result<String, JobError> {
    std::env::var(name).map_err(|_| JobError::failed(format_args!("variable `{name}` is not set")))
}

/// Runs a job as a component does. `Err` is exit code 1.
///
/// # Errors
/// Where the job failed; its reason has been printed.
pub async fn enter(run: impl AsyncFnOnce() -> Result<(), JobError>) -> Result<(), ()> {
    run().await.map_err(|error| println!("failure -> {error}"))
}

/// Makes a crate a job: `job!(run)`, where `run` is an `async fn() -> Result<(), JobError>`.
#[macro_export]
macro_rules! job {
    ($run:path) => {
        #[cfg(target_family = "wasm")]
        mod entry {
            #![expect(unsafe_code, reason = "the export crosses the component boundary")]
            struct Job;

            impl $crate::wasip3::exports::cli::run::Guest for Job {
                async fn run() -> Result<(), ()> {
                    $crate::job::enter($run).await
                }
            }

            $crate::wasip3::cli::command::export!(Job with_types_in $crate::wasip3);
        }
    };
}

#[cfg(test)]
mod tests;
