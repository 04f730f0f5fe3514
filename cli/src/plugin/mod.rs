//! `ocho plugin`: what authors do with plugins on their own machine, and what operators do with them on a host.
//!
//! One file for each command, with its arguments, its help and what it prints. `error` says why one did not work, `project`
//! is the author's folder.

mod error;
mod project;
mod test;
mod try_run;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;
pub(crate) use error::PluginError;

const EXAMPLES: &str = "\
Examples:
  ocho plugin new hello && cd hello      begin a tool of your own
  ocho plugin test                       build it and try its scenes
  ocho plugin install                    bring it to a host
  ocho plugin ls                         what a host has

Environment:
  OCHOPOD_PROXY  the host, this machine without it
  OCHOPOD_TOKEN  the secret that signs the requests";

/// Write plugins, try them, and manage those of a host
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct PluginArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(test::TestArguments),
    Run(try_run::RunArguments),
}

/// Carries out one command.
pub(crate) fn run(arguments: &PluginArguments, screen: Screen) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Test(arguments) => test::run(arguments, screen),
        Command::Run(arguments) => try_run::run(arguments, screen),
    }
}
