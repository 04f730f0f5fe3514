//! A running `ochod up`: started, asked for its addresses, stopped without a trace.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cargo::Profile;
use crate::leftovers::leftovers;
use crate::say;
use crate::workspace::Workspace;

/// A first start compiles all tools; that takes seconds on a fast machine and a minute on a slow one.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// A stop ends all tasks, which get their own time to end.
const STOPPED_WITHIN: Duration = Duration::from_secs(120);

/// The faces of the daemon and their usual ports.
const FACES: [(&str, u16); 4] = [("portal", 9000), ("servo", 5000), ("marathon", 8080), ("zookeeper", 2181)];

/// The daemon's process. Dropping it stops it.
pub(crate) struct Daemon {
    child: Child,
    data: PathBuf,
    /// Address of the portal, `127.0.0.1:9000`.
    pub(crate) portal: String,
    stopped: bool,
}

impl Daemon {
    /// Starts `ochod` on an empty data folder, and waits until it is ready.
    pub(crate) fn start(workspace: &Workspace, profile: Profile) -> anyhow::Result<Self> {
        let data = workspace.target.join("up");
        empty(&data)?;
        let log = data.with_extension("log");
        say::step(format_args!("starting ochod, its log is {}", log.display()));
        let mut child = command(workspace, profile, &data)?
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?)
            .spawn()
            .context("cannot start ochod")?;
        let lines = follow(child.stdout.take().context("ochod has no standard output")?);
        let mut daemon = Self { child, data, portal: String::new(), stopped: false };
        let ready = daemon.wait_until_ready(&lines).with_context(|| tail(&log))?;
        daemon.portal = address(&ready, "portal").with_context(|| format!("ochod's line `{ready}` names no portal"))?;
        say::note(ready);
        Ok(daemon)
    }

    fn wait_until_ready(&mut self, lines: &Receiver<String>) -> anyhow::Result<String> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with("ready ") => return Ok(line),
                Ok(line) => say::note(line),
                Err(RecvTimeoutError::Timeout) => bail!("ochod was not ready within {READY_WITHIN:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("ochod ended before it was ready: {}", self.child.wait()?),
            }
        }
    }

    /// Asks it to stop, waits, and looks whether everything that it started is gone.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.stopped = true;
        self.terminate()?;
        let status = self.child.wait().context("cannot wait for ochod")?;
        let left = leftovers(&self.data);
        if !left.is_empty() {
            let left: Vec<_> = left.iter().map(ToString::to_string).collect();
            bail!("ochod left behind:\n{}", left.join("\n"));
        }
        if !status.success() {
            bail!("ochod ended with {status}");
        }
        Ok(())
    }

    fn terminate(&mut self) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().try_into().context("no process id")?);
        if self.child.try_wait()?.is_none() {
            kill(pid, Signal::SIGTERM).context("cannot stop ochod")?;
        }
        let until = Instant::now() + STOPPED_WITHIN;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                self.child.kill().context("cannot kill ochod")?;
                bail!("ochod did not stop within {STOPPED_WITHIN:?} and was killed");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.stopped
            && let Err(problem) = self.terminate()
        {
            eprintln!("{problem:#}");
        }
    }
}

fn command(workspace: &Workspace, profile: Profile, data: &Path) -> anyhow::Result<Command> {
    let programs = workspace.programs(profile);
    let mut ochod = Command::new(programs.join("ochod"));
    ochod.arg("up").arg("--data").arg(data).arg("--images").arg(workspace.root.join("examples/images"));
    for (face, port) in FACES {
        ochod.arg(format!("--{face}")).arg(format!("127.0.0.1:{}", usual_or_free(face, port)));
    }
    // A group of its own: Ctrl-C at the prompt is for the prompt.
    ochod.env("PATH", path(programs)?).process_group(0).stdin(Stdio::null());
    Ok(ochod)
}

/// The PATH with our programs in front: the entry points of the images start `ochopod` by name.
fn path(programs: PathBuf) -> anyhow::Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(programs).chain(env::split_paths(&path)))
        .context("the target folder's name does not fit into a PATH")
}

/// The usual port, or 0, which picks a free one, where somebody else has it.
fn usual_or_free(face: &str, port: u16) -> u16 {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
        return port;
    }
    say::note(format_args!("port {port} is in use: {face} takes a free one"));
    0
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty `{}`", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))
}

/// Reads lines until the end, also those that nobody waits for any more: a full pipe would stop the writer.
fn follow(stdout: ChildStdout) -> Receiver<String> {
    let (lines, received) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    received
}

/// The value of `name=` in ochod's ready line.
fn address(ready: &str, name: &str) -> Option<String> {
    ready.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(20)..].join("\n");
    let _ = std::io::stderr().flush();
    format!("ochod did not start; the end of its log:\n{last}")
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn reads_the_ready_line() {
        let line = "ready portal=127.0.0.1:9000 servo=127.0.0.1:5000 marathon=127.0.0.1:8080 zookeeper=127.0.0.1:2181";
        assert_eq!(address(line, "portal").as_deref(), Some("127.0.0.1:9000"));
        assert_eq!(address(line, "zookeeper").as_deref(), Some("127.0.0.1:2181"));
        assert_eq!(address(line, "port"), None);
        assert_eq!(address("ready", "portal"), None);
    }
}
