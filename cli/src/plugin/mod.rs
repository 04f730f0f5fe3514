//! `ocho plugin`: what authors do with plugins on their own machine, and what operators do with them on a host.
//!
//! One file for each command, with its arguments, its help and what it prints. `error` says why one did not work, `project`
//! is the author's folder.

mod build;
mod check;
mod dev;
mod embedded;
mod error;
mod grants;
mod host;
mod inspect;
mod install;
mod limits;
mod local;
mod ls;
mod new;
mod orders;
mod project;
mod scaffold;
mod scene;
mod show;
mod test;
mod try_run;
mod watch;
mod why;

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
    New(new::NewArguments),
    Build(build::BuildArguments),
    Test(test::TestArguments),
    Run(try_run::RunArguments),
    Dev(dev::DevArguments),
    Install(install::InstallArguments),
    Ls(ls::LsArguments),
    Inspect(inspect::InspectArguments),
    Check(check::CheckArguments),
    Why(why::WhyArguments),
    Grant(grants::GrantArguments),
    Revoke(grants::RevokeArguments),
    Limits(limits::LimitsArguments),
    Rollback(orders::RollbackArguments),
    Disable(orders::DisableArguments),
    Enable(orders::EnableArguments),
    Rm(orders::RmArguments),
}

/// Carries out one command.
pub(crate) fn run(arguments: &PluginArguments, screen: Screen) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::New(arguments) => new::run(arguments, screen),
        Command::Build(arguments) => build::run(arguments, screen),
        Command::Test(arguments) => test::run(arguments, screen),
        Command::Run(arguments) => try_run::run(arguments, screen),
        Command::Dev(arguments) => dev::run(arguments, screen),
        Command::Install(arguments) => install::run(arguments, screen),
        Command::Ls(arguments) => ls::run(arguments, screen),
        Command::Inspect(arguments) => inspect::run(arguments, screen),
        Command::Check(arguments) => check::run(arguments, screen),
        Command::Why(arguments) => why::run(arguments, screen),
        Command::Grant(arguments) => grants::grant(arguments, screen),
        Command::Revoke(arguments) => grants::revoke(arguments, screen),
        Command::Limits(arguments) => limits::run(arguments, screen),
        Command::Rollback(arguments) => orders::rollback(arguments, screen),
        Command::Disable(arguments) => orders::disable(arguments, screen),
        Command::Enable(arguments) => orders::enable(arguments, screen),
        Command::Rm(arguments) => orders::rm(arguments, screen),
    }
}
