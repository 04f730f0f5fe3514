//! The program `ochopod`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use ochopod::agent::{Agent, Pod};
use ochopod::description::template::NETWORK;
use ochopod::description::{Description, outline};
use ochopod::environment::{Environment, Variables, variables};
use ochopod::hooks::{DescribedHooks, PlainHooks};
use ochopod::leader::{ModelSettings, Probe};
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
#[command(
    version,
    after_help = "Exit codes: 0 stopped on a signal, or the check passed; 2 the pod cannot start, or the check failed"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Register, follow or lead the cluster, and run a process
    Run(Run),
    /// Check a description and show what a pod would do
    Check {
        /// The description
        #[arg(value_name = "POD.TOML")]
        description: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// A description of the pod
    #[arg(value_name = "POD.TOML", conflicts_with = "command", required_unless_present = "command")]
    description: Option<PathBuf>,
    /// The command and its arguments, for a pod without a description
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let ended = match Cli::parse().task {
        Task::Check { description } => check(&description),
        Task::Run(run) => start(&run),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ochopod: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn check(path: &Path) -> anyhow::Result<()> {
    let description = Description::read(path)?;
    let outline = outline(&description, variables()).with_context(|| format!("`{}`", path.display()))?;
    println!("{} is a description of a pod. In a cluster of three it would", path.display());
    println!("  run      {}", outline.command);
    for (file, bytes) in &outline.files {
        println!("  write    {file} ({bytes} bytes)");
    }
    for (what, names) in [("depend on", &outline.dependencies), ("offer", &outline.tools)] {
        if !names.is_empty() {
            println!("  {what:<8} {}", names.join(", "));
        }
    }
    Ok(())
}

fn start(run: &Run) -> anyhow::Result<()> {
    // One thread does: a pod waits most of the time, and the kernel ties the sub-process's life to the thread that starts it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(live(run))
}

async fn live(run: &Run) -> anyhow::Result<()> {
    let mut variables = variables();
    let environment = Environment::read(&variables)?;
    let log = Log::echoing();
    tracing_subscriber::registry().with(log.layer(environment.debug)).init();
    for warning in &environment.warnings {
        tracing::warn!("{warning}");
    }
    // Read before anything is looked up: mistakes in it are found most often.
    let description = run.description.as_deref().map(Description::read).transpose()?;
    // The variable that other programs for this cloud honour too.
    let metadata_allowed = variables.get("AWS_EC2_METADATA_DISABLED").is_none_or(|value| value != "true");
    let place = Whereabouts::find(&environment, metadata_allowed).await?;
    variables.insert(NETWORK.to_owned(), place.network.as_str().to_owned());
    let pod = match &description {
        Some(description) => described(description, &environment, &variables, log)?,
        None => plain(run.command.clone(), log),
    };
    ochopod::reaper::start().context("cannot look after orphans")?;
    let stop = stop_on_signals()?;
    let agent = Agent::new(pod, &environment, &place, variables).await?;
    agent.run(stop).await;
    Ok(())
}

fn plain(command: Vec<String>, log: Log) -> Pod {
    let limits = Limits::default();
    Pod {
        hooks: Box::new(PlainHooks::new(command)),
        lifecycle: LifecycleSettings::default(),
        model: ModelSettings::default(),
        probe: None,
        tools: Tools::new(limits).with("shell", Arc::new(Shell::new(limits))),
        log,
    }
}

fn described(description: &Description, environment: &Environment, variables: &Variables, log: Log) -> anyhow::Result<Pod> {
    let lifecycle = description.lifecycle_settings();
    let hooks = DescribedHooks::new(Arc::new(description.clone()), variables.clone(), lifecycle.hook_limit);
    let probe = description.probe.is_some().then(|| Arc::new(hooks.clone()) as Arc<dyn Probe>);
    let model = description.model_settings(&environment.namespace)?;
    let tools = description.tools(variables, Limits::default())?;
    Ok(Pod { hooks: Box::new(hooks), lifecycle, model, probe, tools, log })
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
