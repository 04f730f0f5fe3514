//! `@name@`: says hello to the pods of clusters, and tells how many of them run.
//!
//! A tool is two functions: what it accepts, and what it does. It imports what it calls and no more, and these imports
//! are what an operator grants.

use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{Failure, Found, Report, Usage, json, pods};

/// What the tool accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("@name@", "Say hello to the pods of clusters.")
        .optional("clusters", "cluster pattern (glob), all clusters by default")
        .json(&["-j"])
}

/// Asks every pod how it is, all at once, and counts the ones that run.
///
/// # Errors
/// Where the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let found = pods::find(&args.pattern("clusters")).await?;
    // Pods that stay silent are named on standard error.
    let survey = Survey::of(pods::info(&survey::ids(&found), pods::INFO_TIMEOUT).await);
    let running = survey.bodies().filter(|(_, info)| info["process"] == "running").count();
    Ok(if args.json() {
        Report::json(&json!({"pods": found.len(), "running": running}))
    } else {
        Report::text(format!("hello, {} pods: {running} of you run", found.len()))
    })
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
