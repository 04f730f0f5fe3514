//! `ochod`: the daemon that runs operations tools as WebAssembly components.

use std::ffi::OsString;
use std::process::ExitCode;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ocho_host::config::{Command, ConfigError, Refused, Surroundings, resolve, run_config};
use ocho_host::{daemon, log};

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    // Before all else: a shim is a process of its own for each task, and stays small.
    if line.get(1).is_some_and(|word| word == "task-shim") {
        return ocho_local::scheduler::task_shim_main(line.into_iter().skip(2).collect());
    }
    log::start();
    let around = Surroundings::here();
    let command = match resolve(&line, &around) {
        Ok(resolved) => resolved.command,
        Err(error) => return refused(error),
    };
    if let Command::Config(args) = command {
        return match run_config(&args, &around) {
            Ok(text) => say(&text),
            Err(error) => refused(error),
        };
    }
    raise_open_files();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ochod: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 4 })
        }
    }
}

/// Help goes to standard output, what is wrong to standard error with exit code 2.
fn refused(error: Refused) -> ExitCode {
    match error {
        Refused::Words(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
        Refused::Config(error) => {
            eprintln!("ochod: {error}");
            ExitCode::from(2)
        }
    }
}

/// A closed pipe ends quietly.
fn say(text: &str) -> ExitCode {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Up(args) => daemon::up(*args).await,
            Command::Serve(args) => daemon::serve(*args).await,
            Command::Cluster(args) => daemon::cluster(*args).await,
            Command::Config(_) | Command::TaskShim { .. } => unreachable!("handled before the runtime starts"),
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
