//! `ocho plugin grant` and `revoke`: which interfaces a tool may reach.

use std::process::ExitCode;

use clap::Args;
use ocho_core::tools::GrantsChange;
use ocho_core::{Grants, Interface, ToolName};
use reqwest::Method;

use super::host::HostArguments;
use super::{PluginError, orders};
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;

const GRANT_EXAMPLES: &str = "\
Examples:
  ocho plugin grant hello pods/control
  ocho plugin grant hello pods/control marathon/operate

A revision that waited for a grant becomes active with it. `ocho plugin why TOOL` says what is missing.";

const REVOKE_EXAMPLES: &str = "\
Examples:
  ocho plugin revoke hello pods/control          runs in flight go on
  ocho plugin revoke hello pods/control --now    they are ended

A tool that imports what is revoked does not start any more until it is granted again.";

/// Grant a tool interfaces of the contract
#[derive(Debug, Args)]
#[command(after_help = format!("{GRANT_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct GrantArguments {
    /// The tool
    tool: ToolName,
    /// Interfaces, such as `pods/control`
    #[arg(value_name = "INTERFACE", value_delimiter = ',')]
    interfaces: Vec<Interface>,
    #[command(flatten)]
    host: HostArguments,
}

/// Take interfaces of the contract away from a tool
#[derive(Debug, Args)]
#[command(after_help = format!("{REVOKE_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RevokeArguments {
    /// The tool
    tool: ToolName,
    /// Interfaces, such as `pods/control`
    #[arg(value_name = "INTERFACE", value_delimiter = ',')]
    interfaces: Vec<Interface>,
    /// End the tool's runs in flight too
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    host: HostArguments,
}

/// Grants.
pub(crate) fn grant(arguments: &GrantArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let change = GrantsChange { grant: some(&arguments.interfaces)?, ..GrantsChange::default() };
    let done = arguments.host.connect()?.order(Method::PUT, &arguments.tool, "/grants", &change)?;
    orders::show(&done, &arguments.host, screen)
}

/// Takes away. That the tool cannot run any more is what was asked for.
pub(crate) fn revoke(arguments: &RevokeArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let change = GrantsChange { revoke: some(&arguments.interfaces)?, now: arguments.now, ..GrantsChange::default() };
    let done = arguments.host.connect()?.order(Method::PUT, &arguments.tool, "/grants", &change)?;
    orders::show(&done, &arguments.host, screen)
}

fn some(interfaces: &[Interface]) -> Result<Grants, PluginError> {
    if interfaces.is_empty() { Err(PluginError::NoInterface) } else { Ok(interfaces.iter().copied().collect()) }
}
