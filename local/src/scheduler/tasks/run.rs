//! Watching over one task: starting its shim, passing on orders, telling what became of it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::sleep;

use super::container;
use super::docker::Docker;
use super::env::{Place, of_task};
use super::fetch::FetchLimits;
use super::handle::Shim;
use super::image::{self, LocalImage};
use super::memory::{self, Watched};
use super::procs;
use super::spec::{ContainerSpec, How, TaskDir, TaskSpec};
use crate::scheduler::engine::{Engine, Urgency};
use crate::scheduler::health;
use crate::scheduler::model::app::VolumeKind;
use crate::scheduler::model::task::{Task, TaskState};
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::state::Ending;

/// How much longer than its grace period a shim may take before it is pushed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a task is to be started. Its folder cannot tell: a shim that is to be adopted may end at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    Launch,
    Adopt,
}

/// Runs a new task, or goes on with one whose shim lives, until it is over.
pub(crate) async fn supervise(engine: Arc<Engine>, task: Task, begin: Begin, orders: watch::Receiver<Urgency>) {
    let dir = TaskDir::new(&engine.tasks_folder(), &task.id);
    let shim = match begin {
        Begin::Launch => start(&engine, &task, &dir, &orders).await,
        Begin::Adopt => Ok(Shim::adopt(&dir).await),
    };
    let ending = match shim {
        Ok(mut shim) => {
            let spec = dir.read_spec();
            let grace = Duration::from_millis(spec.as_ref().map_or(0, |spec| spec.grace_ms));
            let pid = shim.pid();
            // A shim that is gone again already has no number, and nothing to be watched.
            if let (Ok(TaskSpec { cgroup: None, container: None, .. }), Some(limit), 1..) =
                (&spec, memory::limit_of(&task.app.spec), pid)
            {
                engine.watch_memory(Watched { task: task.id.clone(), shim: pid, limit });
            }
            tokio::select! {
                () = live(&engine, &task, &dir, &mut shim) => {}
                never = obey(orders, pid, grace) => match never {},
            }
            judge(&task, &dir).await
        }
        Err(ending) => ending,
    };
    engine.task_over(&task.id, ending);
}

fn failed(message: impl Into<String>) -> Ending {
    Ending { state: TaskState::Failed, message: message.into() }
}

async fn start(engine: &Arc<Engine>, task: &Task, dir: &TaskDir, orders: &watch::Receiver<Urgency>) -> Result<Shim, Ending> {
    let _permit = engine.launch_permits.acquire().await.map_err(|_| failed("the scheduler stops"))?;
    if *orders.borrow() != Urgency::None {
        return Err(Ending { state: TaskState::Killed, message: "the task was killed before it started".into() });
    }
    let spec = spec_of(engine, task, dir).await.map_err(failed)?;
    make_volumes(dir, task).map_err(|cause| failed(format!("cannot make the task's volumes: {cause}")))?;
    spawn(engine, dir, &spec).map_err(|cause| failed(format!("cannot start the task: {cause}")))
}

/// What to run, by the definition and by what there is on this machine.
async fn spec_of(engine: &Arc<Engine>, task: &Task, dir: &TaskDir) -> Result<TaskSpec, String> {
    let config = &engine.config;
    let sandbox = dir.sandbox();
    let sandbox = sandbox.to_str().ok_or("the data folder's name is not UTF-8")?;
    let place = Place { host: &config.hostname, zookeeper: &config.zookeeper, sandbox, in_container: false };
    let plain = TaskSpec {
        task: task.id.clone(),
        argv: Vec::new(),
        env: of_task(task, &place),
        user: task.app.spec.user.clone(),
        grace_ms: match task.app.spec.task_kill_grace_period_seconds {
            Some(seconds) => u64::from(seconds) * 1000,
            None => millis(config.kill_grace),
        },
        output_bytes: config.output_bytes,
        fetch: task.app.spec.fetch.clone(),
        fetch_limits: FetchLimits { bytes: config.fetch_bytes, within_ms: millis(config.fetch_within) },
        cgroup: None,
        container: None,
    };
    let Some(image) = task.app.spec.image() else {
        return Ok(limited(engine, task, TaskSpec { argv: command_of(task), ..plain }));
    };
    if let Some(found) = image::find(image, config.images.as_deref(), &config.builtin_images) {
        let mut env = plain.env.clone();
        if matches!(found, LocalImage::BuiltIn(_)) {
            tell_where_we_are(engine, &mut env);
        }
        let argv = in_image(task, found, &mut env);
        return Ok(limited(engine, task, TaskSpec { argv, env, ..plain }));
    }
    match &config.docker_socket {
        Some(socket) if Docker::at(socket).answers().await => {
            let inside = Place { sandbox: container::SANDBOX, in_container: true, ..place };
            let env = of_task(task, &inside);
            let create = container::create(task, &env, sandbox)?;
            let docker = task.app.spec.container.as_ref().and_then(|container| container.docker.as_ref());
            let container = ContainerSpec {
                socket: socket.clone(),
                name: container::name_of(task),
                image: image.to_owned(),
                always_pull: docker.is_some_and(|docker| docker.force_pull_image),
                create,
            };
            Ok(TaskSpec { env, container: Some(container), ..plain })
        }
        socket => Err(image::missing(image, config.images.as_deref(), socket.as_deref())),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Puts a process into a control group, where there are any.
fn limited(engine: &Engine, task: &Task, spec: TaskSpec) -> TaskSpec {
    let limit = memory::limit_of(&task.app.spec);
    TaskSpec { cgroup: limit.and_then(|limit| engine.cgroups.as_ref()?.make(&task.id, limit)), ..spec }
}

fn command_of(task: &Task) -> Vec<String> {
    match &task.app.spec.cmd {
        Some(cmd) => ["/bin/sh", "-c", cmd].map(str::to_owned).to_vec(),
        None => task.app.spec.args.clone(),
    }
}

/// `cmd` runs instead of the entry point, `args` follow it, as with a real image.
fn in_image(task: &Task, image: LocalImage, env: &mut std::collections::BTreeMap<String, String>) -> Vec<String> {
    let mut argv = match image {
        LocalImage::Folder { folder, entrypoint } => {
            env.entry("OCHO_IMAGE".into()).or_insert_with(|| folder.display().to_string());
            vec![entrypoint.display().to_string()]
        }
        LocalImage::BuiltIn(argv) => argv,
    };
    if task.app.spec.cmd.is_some() {
        return command_of(task);
    }
    argv.extend(task.app.spec.args.iter().cloned());
    argv
}

/// A program that came with the scheduler may need it. What the application says wins.
fn tell_where_we_are(engine: &Engine, env: &mut std::collections::BTreeMap<String, String>) {
    env.entry("MARATHON_MASTER".into()).or_insert_with(|| format!("http://{}", engine.address));
    if let Some(credentials) = &engine.config.http_credentials {
        env.entry("OCHOD_MARATHON_CREDENTIALS".into()).or_insert_with(|| credentials.clone());
    }
}

/// Folders that the definition wants in the sandbox. What is in them goes with the task: nothing of a task outlives it here.
fn make_volumes(dir: &TaskDir, task: &Task) -> io::Result<()> {
    dir.create()?;
    let volumes = task.app.spec.container.iter().flat_map(|container| &container.volumes);
    for volume in volumes.filter(|volume| matches!(volume.kind, VolumeKind::Persistent { .. })) {
        std::fs::create_dir_all(dir.sandbox().join(&volume.container_path))?;
    }
    Ok(())
}

fn spawn(engine: &Engine, dir: &TaskDir, spec: &TaskSpec) -> io::Result<Shim> {
    dir.write_spec(spec)?;
    let (program, args) =
        engine.config.shim.split_first().ok_or_else(|| io::Error::other("no command for the shim is configured"))?;
    let mut child = Command::new(program)
        .args(args)
        .arg(dir.path())
        // Tokens in the scheduler's own environment are none of the shim's business.
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(dir.log())?)
        // A group of its own: an interrupt from the terminal is for the scheduler, which then ends tasks in order.
        .process_group(0)
        .spawn()
        .map_err(|cause| io::Error::new(cause.kind(), format!("`{}`: {cause}", Path::new(program).display())))?;
    let news = child.stdout.take().ok_or_else(|| io::Error::other("the shim has no output"))?;
    Ok(Shim::own(child, news))
}

/// The life of a task from its start to its end.
async fn live(engine: &Arc<Engine>, task: &Task, dir: &TaskDir, shim: &mut Shim) {
    if shim.has_started(dir).await {
        if task.started_at.is_none() {
            engine.change(|state| state.task_started(&task.id, Timestamp::now()));
        }
        tokio::select! {
            () = shim.is_gone(dir) => return,
            never = health::watch(engine, task) => match never {},
        }
    }
    shim.is_gone(dir).await;
}

/// Passes orders on to the shim, and pushes one that does not obey.
async fn obey(mut orders: watch::Receiver<Urgency>, pid: i32, grace: Duration) -> Infallible {
    let mut urgency = Urgency::None;
    loop {
        let patience = match urgency {
            Urgency::None => None,
            Urgency::Graceful => Some(grace + PATIENCE),
            Urgency::Now => Some(PATIENCE),
        };
        let next = tokio::select! {
            changed = orders.changed() => match changed {
                Ok(()) => *orders.borrow_and_update(),
                Err(_) => std::future::pending().await,
            },
            () = async { sleep(patience.unwrap_or_default()).await }, if patience.is_some() => match urgency {
                Urgency::Now => Urgency::None,
                _ => Urgency::Now,
            },
        };
        let signal = match next {
            Urgency::Graceful => Signal::SIGTERM,
            Urgency::Now => Signal::SIGUSR2,
            // Even that did not help: the shim itself hangs.
            Urgency::None => Signal::SIGKILL,
        };
        if pid > 0 {
            let _ = kill(Pid::from_raw(pid), signal);
        }
        urgency = next;
    }
}

/// Reads what became of the task, and ends what its shim could not.
async fn judge(task: &Task, dir: &TaskDir) -> Ending {
    if !dir.has_ended() {
        end_strays(BTreeSet::from([task.id.clone()])).await;
    }
    what_became_of(task, dir).await
}

/// Reads what became of a task whose processes are gone.
pub(crate) async fn what_became_of(task: &Task, dir: &TaskDir) -> Ending {
    let state = dir.read_state().unwrap_or_default();
    if let Some(ended) = state.ended {
        return ending_of(ended.how);
    }
    if let Ok(TaskSpec { container: Some(container), .. }) = dir.read_spec()
        && let Err(error) = Docker::at(&container.socket).remove(&container.name).await
    {
        tracing::warn!(%error, task = task.id, "cannot remove the container of a task without a shim");
    }
    match state.started_at {
        Some(_) => failed("the task's shim was killed, and the task with it"),
        None => failed(format!("the task's shim ended before it could start the task: {}", last_line(&dir.log()))),
    }
}

/// Kills what still belongs to tasks that have no shim any more.
pub(crate) async fn end_strays(tasks: BTreeSet<String>) {
    if tasks.is_empty() {
        return;
    }
    let killed = tokio::task::spawn_blocking(move || {
        let strays = procs::of_tasks(&tasks);
        for pid in &strays {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        strays.len()
    });
    if let Ok(processes @ 1..) = killed.await {
        tracing::warn!(processes, "killed what tasks without a shim had left");
    }
}

fn ending_of(how: How) -> Ending {
    match how {
        How::Exited(0) => Ending { state: TaskState::Finished, message: "Command exited with status 0".into() },
        How::Exited(code) => failed(format!("Command exited with status {code}")),
        How::Signaled(signal) => {
            let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string());
            failed(format!("Command terminated with signal {name}"))
        }
        How::OutOfMemory => failed("Memory limit exceeded"),
        How::Failed(message) => failed(message),
    }
}

/// The end of the shim's own log, for a message.
fn last_line(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}
