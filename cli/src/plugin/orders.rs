//! `ocho plugin rollback`, `enable`, `disable` and `rm`: orders about one tool.

use std::process::ExitCode;

use clap::Args;
use ocho_core::ToolName;
use ocho_core::tools::{Activation, RollbackOrder};
use reqwest::Method;
use serde_json::json;

use super::host::{HostArguments, path};
use super::show;
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::client::Ask;
use crate::screen::Screen;

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  ocho plugin rollback hello           to the revision before the active one
  ocho plugin rollback hello --to 3    to that one; `ocho plugin inspect hello` lists them";

/// Go back to an earlier revision of a tool; runs in flight finish on theirs
#[derive(Debug, Args)]
#[command(after_help = format!("{ROLLBACK_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RollbackArguments {
    /// The tool
    tool: ToolName,
    /// The revision to go back to [default: the one before]
    #[arg(long, value_name = "REVISION")]
    to: Option<u32>,
    #[command(flatten)]
    host: HostArguments,
}

/// Switch a tool off: no run of it starts until it is enabled
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  ocho plugin disable hello\n\n{EXIT_CODES}"))]
pub(crate) struct DisableArguments {
    /// The tool
    tool: ToolName,
    #[command(flatten)]
    host: HostArguments,
}

/// Switch a tool on again
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  ocho plugin enable hello\n\n{EXIT_CODES}"))]
pub(crate) struct EnableArguments {
    /// The tool
    tool: ToolName,
    #[command(flatten)]
    host: HostArguments,
}

/// Remove a tool that was installed; one that is built in shows again if it was replaced
#[derive(Debug, Args)]
#[command(after_help = format!("Example:\n  ocho plugin rm hello\n\n{EXIT_CODES}"))]
pub(crate) struct RmArguments {
    /// The tool
    tool: ToolName,
    #[command(flatten)]
    host: HostArguments,
}

pub(crate) fn rollback(arguments: &RollbackArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let order = RollbackOrder { revision: arguments.to };
    let done = arguments.host.connect()?.order(Method::POST, &arguments.tool, "/rollback", &order)?;
    show(&done, &arguments.host, screen)
}

pub(crate) fn disable(arguments: &DisableArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let done = switch(&arguments.tool, "/disable", &arguments.host)?;
    arguments.host.print(screen, &done, || format!("{}: switched off; `ocho plugin enable {0}` switches it on", done.tool))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn enable(arguments: &EnableArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let done = switch(&arguments.tool, "/enable", &arguments.host)?;
    show(&done, &arguments.host, screen)
}

pub(crate) fn rm(arguments: &RmArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let done: Activation = arguments.host.connect()?.ask(Ask::new(Method::DELETE, path(&arguments.tool, "")))?;
    arguments.host.print(screen, &done, || match done.revision {
        Some(revision) => format!("{}: removed, revision {revision} of before shows again", done.tool),
        None => format!("{}: removed", done.tool),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn switch(tool: &ToolName, what: &str, host: &HostArguments) -> Result<Activation, Failure> {
    host.connect()?.order(Method::POST, tool, what, &json!({}))
}

/// Prints what came of an order.
pub(super) fn show(done: &Activation, host: &HostArguments, screen: Screen) -> Result<ExitCode, Failure> {
    host.print(screen, done, || show::activation(done))?;
    if let Some(message) = done.message.as_ref().filter(|_| !host.json) {
        screen.hint(message);
    }
    Ok(ExitCode::SUCCESS)
}
