//! `ochod`: the daemon that runs operations tools as WebAssembly components.

use std::process::ExitCode;

use clap::Parser as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ocho_host::config::{Cli, Command, ConfigError};
use ocho_host::{daemon, log};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    // Before the runtime: a shim is a process of its own for each task, and stays small.
    if let Command::TaskShim { args } = command {
        return ocho_local::scheduler::task_shim_main(args);
    }
    log::start();
    raise_open_files();
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

/// A question to a thousand pods is a thousand connections, and so are the sessions of the embedded registry; the usual soft
/// limit is 1,024 files.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
