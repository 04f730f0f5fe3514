//! `cargo xtask up`: from a clean clone to a cluster on this machine and a prompt on it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cargo::{self, Profile};
use crate::daemon::Daemon;
use crate::workspace::Workspace;
use crate::{prerequisites, say, tools};

/// How many pods the example has.
const PODS: usize = 3;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show the cluster, stop it and exit 0 if all of that worked, instead of opening the prompt
    #[arg(long)]
    once: bool,
    /// Use the programs as `cargo xtask test` builds them, which takes no second build; they are slower
    #[arg(long)]
    dev: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    say::start();
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    build(workspace, profile)?;
    let interrupted = watch_signals()?;
    let daemon = Daemon::start(workspace, profile)?;
    let ocho = Ocho { root: &workspace.root, program: workspace.programs(profile).join("ocho"), host: daemon.portal.clone() };
    show(&ocho)?;
    if args.once {
        end_cluster(&ocho)?;
    } else if !interrupted.load(Ordering::Relaxed) {
        prompt(&ocho, &interrupted)?;
    }
    say::step("stopping");
    daemon.stop()?;
    say::step("stopped, no process is left");
    Ok(())
}

fn build(workspace: &Workspace, profile: Profile) -> anyhow::Result<()> {
    prerequisites::check_c_compiler()?;
    tools::build_tools(workspace)?;
    say::step("building ochod, ocho and ochopod (the first time takes some minutes)");
    cargo::build_programs(&workspace.root, profile)
}

/// From here on a signal ends the prompt, not this program: somebody has to stop the daemon.
fn watch_signals() -> anyhow::Result<Arc<AtomicBool>> {
    // Ctrl-C belongs to the prompt and to its commands, which get it from the terminal as well.
    signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false))).context("cannot watch for Ctrl-C")?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted)).context("cannot watch for signals")?;
    }
    Ok(interrupted)
}

/// The `ocho` command, pointed at the daemon.
struct Ocho<'a> {
    root: &'a Path,
    program: PathBuf,
    host: String,
}

impl Ocho<'_> {
    /// `ocho cli <host> <line>`.
    fn command(&self, line: &[&str]) -> Command {
        let mut ocho = Command::new(&self.program);
        // A proxy or a token of another cluster is not meant here.
        ocho.env_remove("OCHOPOD_PROXY").env_remove("OCHOPOD_TOKEN");
        ocho.current_dir(self.root).args(["cli", &self.host]).args(line);
        ocho
    }

    /// Shows the line as the prompt would, and what came of it.
    fn show(&self, line: &[&str]) -> anyhow::Result<()> {
        println!("\n{} > {}", self.host, line.join(" "));
        let status = self.command(line).stdin(Stdio::null()).status().context("cannot run ocho")?;
        ensure!(status.success(), "`{}` failed", line.join(" "));
        Ok(())
    }

    /// The JSON that a line prints.
    fn ask(&self, line: &[&str]) -> anyhow::Result<Value> {
        let output = self.command(line).stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot run ocho")?;
        ensure!(output.status.success(), "`{}` failed", line.join(" "));
        serde_json::from_slice(&output.stdout).with_context(|| format!("`{}` did not print JSON", line.join(" ")))
    }
}

fn show(ocho: &Ocho<'_>) -> anyhow::Result<()> {
    say::step("deploying examples/web.yml");
    ocho.show(&["deploy", "examples/web.yml", "-p", &PODS.to_string(), "--strict"])?;
    ocho.show(&["ls"])?;
    ocho.show(&["grep"])?;
    let running = count_running(&ocho.ask(&["grep", "*web*", "-j"])?);
    ensure!(running == PODS, "{running} pods of the example are running, not {PODS}");
    Ok(())
}

/// Counts the pods that `grep -j` shows as running.
fn count_running(grep: &Value) -> usize {
    let Some(pods) = grep.as_object() else { return 0 };
    pods.values().filter(|pod| pod["process"] == "running").count()
}

fn end_cluster(ocho: &Ocho<'_>) -> anyhow::Result<()> {
    say::step("killing the cluster");
    ocho.show(&["kill", "*web", "--force"])?;
    let left = count_running(&ocho.ask(&["grep", "*web*", "-j"])?);
    ensure!(left == 0, "{left} pods of the example run on after `kill`");
    Ok(())
}

/// Leaves the user at the prompt until they leave it.
fn prompt(ocho: &Ocho<'_>, interrupted: &AtomicBool) -> anyhow::Result<()> {
    say::step(format_args!("the cluster is yours; elsewhere: {}", outside(ocho)));
    let mut child = ocho.command(&[]).spawn().context("cannot run ocho")?;
    let status: ExitStatus = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if interrupted.load(Ordering::Relaxed) {
            child.kill().context("cannot end the prompt")?;
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() && !interrupted.load(Ordering::Relaxed) {
        bail!("the prompt ended with {status}");
    }
    Ok(())
}

/// How to reach this cluster from another terminal.
fn outside(ocho: &Ocho<'_>) -> String {
    let program = &ocho.program;
    let here = env::current_dir().ok().and_then(|here| program.strip_prefix(here).ok().map(|path| path.display().to_string()));
    format!("{} cli {}", here.unwrap_or_else(|| program.display().to_string()), ocho.host)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::count_running;

    #[test]
    fn counts_what_runs() {
        let grep = json!({"marathon.web #0": {"process": "running"}, "marathon.web #1": {"process": "stopped"}, "x #2": {}});
        assert_eq!(count_running(&grep), 1);
        assert_eq!(count_running(&json!({})), 0);
        assert_eq!(count_running(&json!(null)), 0);
    }
}
