//! `ochod`: the daemon that runs operations tools as WebAssembly components.

use std::process::ExitCode;

use clap::Parser as _;
use ocho_host::config::{Cli, Command, ConfigError};
use ocho_host::{daemon, log};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // Before the runtime: a shim is a process of its own for each task, and stays small.
    if let Command::TaskShim { args } = command {
        return ocho_local::scheduler::task_shim_main(args);
    }
    log::start();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ochod: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 4 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Up(args) => daemon::up(args).await,
            Command::Serve(args) => daemon::serve(args).await,
            Command::Cluster(args) => daemon::cluster(args).await,
            Command::TaskShim { .. } => unreachable!("handled before the runtime starts"),
        }
    });
    // A blocking call that hangs must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}
