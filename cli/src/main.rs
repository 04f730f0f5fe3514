//! `ocho`: the operators' command.
//!
//! `args` says what can be asked for, `cli` carries it out: `target` names the host, `command` the line, `upload` the files
//! that go with it, `client` sends, `screen` shows, `blame` chooses the exit code. `prompt` is the conversation. `run` sends jobs to the servo, `runs`
//! looks at what ran.
//! `plugin` is for authors and for who manages plugins. `encrypt`, `init` and `version` stand alone.

mod args;
mod blame;
mod cli;
mod client;
mod command;
mod encrypt;
mod init;
mod plugin;
mod prompt;
mod run;
mod runner;
mod runs;
mod screen;
mod target;
mod upload;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Command};
use screen::Screen;

fn main() -> ExitCode {
    let screen = Screen::detect();
    let done = match Arguments::parse().command {
        Command::Cli(arguments) => cli::run(&arguments, screen),
        Command::Run(arguments) => run::run(&arguments, screen),
        Command::Runs(arguments) => runs::run(&arguments, screen),
        Command::Encrypt(arguments) => encrypt::run(&arguments, screen),
        Command::Init(arguments) => init::run(&arguments, screen),
        Command::Plugin(arguments) => plugin::run(&arguments, screen),
        Command::Version(arguments) => version::run(&arguments, screen),
        Command::Completions { shell } => screen.result(&completions(shell)).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| {
        screen.problem(&failure);
        failure.blame().into()
    })
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "ocho", &mut script);
    String::from_utf8(script).expect("scripts are text").trim_end().to_owned()
}
