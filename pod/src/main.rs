//! The program `ochopod`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ochopod::agent::{Agent, Pod};
use ochopod::environment::{Environment, variables};
use ochopod::hooks::PlainHooks;
use ochopod::leader::ModelSettings;
use ochopod::lifecycle::LifecycleSettings;
use ochopod::log::Log;
use ochopod::tools::{Limits, Shell, Tools};
use ochopod::whereabouts::Whereabouts;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Run a process as a pod: a member of a cluster that configures itself.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 stopped on a signal, 2 the pod cannot start")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Register, follow or lead the cluster, and run a command
    Run {
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread does: a pod waits most of the time, and the kernel ties the sub-process's life to the thread that starts it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.context("cannot start the runtime").and_then(|runtime| runtime.block_on(run(cli)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ochopod: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let Task::Run { command } = cli.command;
    let variables = variables();
    let environment = Environment::read(&variables)?;
    let log = Log::echoing();
    tracing_subscriber::registry().with(log.layer(environment.debug)).init();
    for warning in &environment.warnings {
        tracing::warn!("{warning}");
    }
    // The variable that other programs for this cloud honour too.
    let metadata_allowed = variables.get("AWS_EC2_METADATA_DISABLED").is_none_or(|value| value != "true");
    let place = Whereabouts::find(&environment, metadata_allowed).await?;
    let pod = Pod {
        hooks: Box::new(PlainHooks::new(command)),
        lifecycle: LifecycleSettings::default(),
        model: ModelSettings::default(),
        probe: None,
        tools: Tools::new(Limits::default()).with("shell", Arc::new(Shell::new(Limits::default()))),
        log,
    };
    let stop = stop_on_signals()?;
    let agent = Agent::new(pod, &environment, &place, variables).await?;
    agent.run(stop).await;
    Ok(())
}

/// Cancelled by SIGTERM, as container engines send it, or by Ctrl-C.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signal = signal(kind).context("cannot listen for signals")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    Ok(stop)
}
