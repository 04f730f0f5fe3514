//! One question to one task.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User};
use reqwest::redirect::Policy;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::scheduler::engine::Engine;
use crate::scheduler::model::app::{HealthCheck, HealthProtocol};
use crate::scheduler::model::task::Task;
use crate::scheduler::tasks::docker::Docker;
use crate::scheduler::tasks::spec::TaskDir;

/// Questions under way at once; the others wait for a place, and their time runs from there.
const AT_ONCE: usize = 64;

/// What questions need.
pub(crate) struct Probes {
    client: Result<reqwest::Client, String>,
    places: Semaphore,
}

impl Probes {
    pub(crate) fn new() -> Self {
        // The library leaves the choice of cryptography to the program. An error says that the program has chosen.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // A redirect is an answer, and certificates of tasks are not signed by anybody we know.
            .redirect(Policy::none())
            .danger_accept_invalid_certs(true)
            .no_proxy()
            // A fresh connection each time: whether the task accepts one is part of the question.
            .pool_max_idle_per_host(0)
            .user_agent("ocho-health")
            .build()
            .map_err(|error| format!("no HTTP client: {error}"));
        Self { client, places: Semaphore::new(AT_ONCE) }
    }

    /// Asks a task. The error is the cause that clients read.
    pub(crate) async fn ask(&self, engine: &Engine, task: &Task, check: &HealthCheck) -> Result<(), String> {
        let _place = self.places.acquire().await.map_err(|closed| closed.to_string())?;
        let limit = Duration::from_secs(check.timeout_seconds.max(1).into());
        let question = async {
            match check.protocol {
                HealthProtocol::Tcp | HealthProtocol::MesosTcp => connect(check, task).await,
                HealthProtocol::Command => command(engine, task, check).await,
                _ => self.get(check, task).await,
            }
        };
        timeout(limit, question).await.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())))
    }

    async fn get(&self, check: &HealthCheck, task: &Task) -> Result<(), String> {
        let scheme = if check.protocol.is_tls() { "https" } else { "http" };
        let path = check.path.as_deref().unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("{scheme}://{}{slash}{path}", address(check, task)?);
        let status = self.status(&url).await?.status();
        // Codes below 200 never arrive here: the client waits for the one that follows.
        if (200..400).contains(&status.as_u16()) { Ok(()) } else { Err(status.to_string()) }
    }

    /// The answer to a GET.
    pub(super) async fn status(&self, url: &str) -> Result<reqwest::Response, String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        client.get(url).send().await.map_err(|error| innermost(&error))
    }
}

/// The cause at the end of the chain: `connection refused` rather than `error sending request`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

fn address(check: &HealthCheck, task: &Task) -> Result<String, String> {
    let host = if check.ip_protocol.as_deref() == Some("IPv6") { "[::1]" } else { "127.0.0.1" };
    let index = check.port_index.unwrap_or(0) as usize;
    let port = check.port.or_else(|| task.ports.get(index).copied());
    port.map(|port| format!("{host}:{port}")).ok_or_else(|| format!("the task has no port of index {index}"))
}

async fn connect(check: &HealthCheck, task: &Task) -> Result<(), String> {
    TcpStream::connect(address(check, task)?).await.map(drop).map_err(|error| error.to_string())
}

/// Runs a line where the task runs: its folder, its environment, its user.
async fn command(engine: &Engine, task: &Task, check: &HealthCheck) -> Result<(), String> {
    let line = check.command.as_ref().map_or("true", |command| command.value.as_str());
    let dir = TaskDir::new(&engine.tasks_folder(), &task.id);
    let spec = dir.read_spec().map_err(|error| format!("the task's folder: {error}"))?;
    if let Some(container) = &spec.container {
        let code = Docker::at(&container.socket).exec(&container.name, line).await.map_err(|error| error.to_string())?;
        return if code == 0 { Ok(()) } else { Err(format!("Command exited with status {code}")) };
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).env_clear().envs(&spec.env).current_dir(dir.sandbox());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    if let Some(user) = spec.user.as_deref().and_then(|name| User::from_name(name).ok().flatten())
        && user.uid != nix::unistd::geteuid()
    {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let mut child = command.spawn().map_err(|error| format!("cannot run the command: {error}"))?;
    // Dropped when time is over: what the line started ends with it.
    let _group = child.id().map(|pid| Group(Pid::from_raw(pid.cast_signed())));
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("Command failed: {status}")) }
}

/// Kills a process group when it goes.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}
