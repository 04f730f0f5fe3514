//! The command line of `ochopod`, and what its commands do.
//!
//! It is in the library since there are two programs: `ochopod`, which is small and static, and `ochopod-model`, which also runs
//! models. What loads models comes in as a value, so that the small program has no trace of it, whatever features it is built with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::agent::{Agent, Pod};
use crate::description::template::NETWORK;
use crate::description::{Description, outline};
use crate::environment::{Environment, Variables, variables};
use crate::hooks::{DescribedHooks, Hooks, PlainHooks};
use crate::leader::{ModelSettings, Probe};
use crate::lifecycle::LifecycleSettings;
use crate::log::Log;
use crate::tools::{Limits, Shell, Tool, Tools};
use crate::whereabouts::Whereabouts;

/// Run a process as a pod: a member of a cluster that configures itself.
#[derive(Debug, Parser)]
#[command(name = "ochopod", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "Examples:
  ochopod run -- nginx -g 'daemon off;'     a pod around one command
  ochopod run pod.toml                      a pod that is described in a file
  ochopod check pod.toml                    is the description right, and what would it do?

The pod reads its cluster and its ports from the environment, as Marathon sets it. On a laptop with a ZooKeeper:
  ochopod_local=true ochopod_cluster=web PORT_8080=8081 ochopod run -- sleep 1000

Exit codes: 0 stopped on a signal, or the check passed; 2 the pod cannot start, or the check failed";

const RUN_EXAMPLES: &str = "Examples:
  ochopod run pod.toml
  ochopod run -- sh -c 'echo \"pod $OCHO_POD_SEQ of $OCHO_POD_SIZE\"; exec my-server --port \"$PORT_80\"'";

const CHECK_EXAMPLES: &str = "Examples:
  ochopod check pod.toml
  ochopod check examples/images/redis/pod.toml && docker build ...

It fills in every template with a made-up cluster of three, and names the line of what is wrong.";

#[derive(Debug, Subcommand)]
enum Task {
    /// Register, follow or lead the cluster, and run a process
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Check a description and show what a pod would do
    #[command(after_help = CHECK_EXAMPLES)]
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

/// What can load the models that descriptions name.
pub trait Models {
    /// Compiles a description's model and puts it in front of the description's own hooks.
    ///
    /// # Errors
    /// Where the file is no model, with the line of the description that names it.
    fn load(&self, description: &Description, hooks: DescribedHooks, variables: &Variables) -> anyhow::Result<Modelled>;
}

/// A pod's parts with a model in them.
pub struct Modelled {
    /// The description's hooks and the model's.
    pub hooks: Box<dyn Hooks>,
    /// Both of their probes.
    pub probe: Arc<dyn Probe>,
    /// The model's tools, by name.
    pub tools: Vec<(String, Arc<dyn Tool>)>,
}

/// The program, from its command line to its exit code. Without `models` a description that names one is refused.
#[must_use]
pub fn main(models: Option<&dyn Models>) -> ExitCode {
    let ended = match Cli::parse().task {
        Task::Check { description } => check(&description, models),
        Task::Run(run) => start(&run, models),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ochopod: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn check(path: &Path, models: Option<&dyn Models>) -> anyhow::Result<()> {
    let description = Description::read(path)?;
    let outline = outline(&description, variables())?;
    let hooks = described_hooks(&description, &variables());
    let model = load(models, &description, hooks, &variables())?;
    println!("{} is a description of a pod. In a cluster of three it would", path.display());
    let command = if outline.command.is_empty() { "what the model says" } else { &outline.command };
    println!("  run      {command}");
    for (file, bytes) in &outline.files {
        println!("  write    {file} ({bytes} bytes)");
    }
    if let (Some(_), Some(file)) = (model, description.model_file()) {
        println!("  ask      {}", file.display());
    }
    for (what, names) in [("depend on", &outline.dependencies), ("offer", &outline.tools)] {
        if !names.is_empty() {
            println!("  {what:<8} {}", names.join(", "));
        }
    }
    Ok(())
}

fn start(run: &Run, models: Option<&dyn Models>) -> anyhow::Result<()> {
    // One thread does: a pod waits most of the time, and the kernel ties the sub-process's life to the thread that starts it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(live(run, models))
}

async fn live(run: &Run, models: Option<&dyn Models>) -> anyhow::Result<()> {
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
        Some(description) => described(description, &environment, &variables, log, models)?,
        None => plain(run.command.clone(), log),
    };
    crate::reaper::start().context("cannot look after orphans")?;
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

fn described(
    description: &Description,
    environment: &Environment,
    variables: &Variables,
    log: Log,
    models: Option<&dyn Models>,
) -> anyhow::Result<Pod> {
    let lifecycle = description.lifecycle_settings();
    let hooks = described_hooks(description, variables);
    let model = description.model_settings(&environment.namespace)?;
    let tools = description.tools(variables, Limits::default())?;
    match load(models, description, hooks.clone(), variables)? {
        Some(Modelled { hooks, probe, tools: more }) => {
            let tools = more.into_iter().fold(tools, |tools, (name, tool)| tools.with(&name, tool));
            Ok(Pod { hooks, lifecycle, model, probe: Some(probe), tools, log })
        }
        None => {
            let probe = description.probe.is_some().then(|| Arc::new(hooks.clone()) as Arc<dyn Probe>);
            Ok(Pod { hooks: Box::new(hooks), lifecycle, model, probe, tools, log })
        }
    }
}

fn described_hooks(description: &Description, variables: &Variables) -> DescribedHooks {
    let limit = description.lifecycle_settings().hook_limit;
    DescribedHooks::new(Arc::new(description.clone()), variables.clone(), limit)
}

fn load(
    models: Option<&dyn Models>,
    description: &Description,
    hooks: DescribedHooks,
    variables: &Variables,
) -> anyhow::Result<Option<Modelled>> {
    match models {
        _ if description.model_file().is_none() => Ok(None),
        Some(models) => models.load(description, hooks, variables).map(Some),
        None => Err(description.about_model("this `ochopod` runs no models; `ochopod-model` does").into()),
    }
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
