//! A place for experiments: a ZooKeeper, pods as programs, and pods inside the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ocho_local::registry::RegistryConfig;
use ocho_tests::command::Background;
use ocho_tests::runtime::{Task, block_on, spawn};
use ocho_tests::server::nobody;
use ocho_tests::wait::{until, until_so};
use ocho_tests::{RealZooKeeper, skip};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zookeeper_client::Client;

use crate::http::{self, Answer};

/// What is waited for comes within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// How long a registry goes without a word from a pod before it ends its session. Pods ask for 5 s; with this, a machine that stands
/// still for as long does not change what a test sees.
pub(crate) const SESSION: Duration = Duration::from_secs(15);

/// For tests in which sessions are to end soon: what pods ask for.
pub(crate) const SHORT_SESSION: Duration = Duration::from_secs(5);

/// Sessions that outlive a restart of the registry, however busy the machine is.
pub(crate) const LONG_SESSION: Duration = Duration::from_secs(40);

/// A namespace of its own in a ZooKeeper that tests share.
pub(crate) struct Lab {
    registry: Registry,
    namespace: String,
    folder: TempDir,
}

enum Registry {
    Real(Arc<RealZooKeeper>),
    Embedded {
        address: SocketAddr,
        // Ends with the lab.
        _serving: Task,
    },
}

impl Lab {
    /// A lab with the registry that `ochod up` brings.
    pub(crate) fn embedded() -> Self {
        let mut config = RegistryConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.limits.session_timeout_min = SESSION;
        let registry = block_on(ocho_local::registry::Registry::bind(config)).expect("the loopback has a free port");
        let address = registry.local_addr();
        Self::with(Registry::Embedded { address, _serving: spawn(registry.serve(CancellationToken::new())) })
    }

    /// A lab for the test `name`; `None`, said aloud, where no ZooKeeper is installed.
    pub(crate) fn open(name: &str) -> Option<Self> {
        if !RealZooKeeper::is_installed() {
            skip(name, "no ZooKeeper: install Debian's package `zookeeper`");
            return None;
        }
        static SHARED: Mutex<Weak<RealZooKeeper>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let zookeeper = shared.upgrade().unwrap_or_else(|| Arc::new(RealZooKeeper::with_sessions_of(SESSION)));
        *shared = Arc::downgrade(&zookeeper);
        Some(Self::with(Registry::Real(zookeeper)))
    }

    /// A lab with a ZooKeeper of its own, that the test may stop; its sessions last for `session` at least.
    pub(crate) fn alone(name: &str, session: Duration) -> Option<Self> {
        if !RealZooKeeper::is_installed() {
            skip(name, "no ZooKeeper: install Debian's package `zookeeper`");
            return None;
        }
        Some(Self::with(Registry::Real(Arc::new(RealZooKeeper::with_sessions_of(session)))))
    }

    fn with(registry: Registry) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("lab{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { registry, namespace, folder: TempDir::with_prefix("ochopod-lab-").expect("a temporary folder can be made") }
    }

    pub(crate) fn zookeeper(&mut self) -> &mut RealZooKeeper {
        let Registry::Real(server) = &mut self.registry else { panic!("this lab has no ZooKeeper") };
        Arc::get_mut(server).expect("this lab has its own")
    }

    pub(crate) fn address(&self) -> String {
        match &self.registry {
            Registry::Real(server) => server.address(),
            Registry::Embedded { address, .. } => address.to_string(),
        }
    }

    /// `<namespace>.<cluster>`.
    pub(crate) fn name(&self, cluster: &str) -> String {
        format!("{}.{cluster}", self.namespace)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The variables of a pod that Marathon would start.
    pub(crate) fn variables(&self, cluster: &str, port: u16) -> BTreeMap<String, String> {
        [
            ("ochopod_cluster", cluster.to_owned()),
            ("ochopod_namespace", self.namespace.clone()),
            ("ochopod_zk", format!("zk://{}/mesos", self.address())),
            ("MARATHON_APP_ID", format!("/ochopod.{}.{cluster}", self.namespace)),
            ("MESOS_TASK_ID", format!("task.{port}")),
            ("HOST", "127.0.0.1".to_owned()),
            ("PORT_8080", port.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// A pod as a program that runs a command.
    pub(crate) fn pod(&self, cluster: &str, command: &[&str]) -> Pod {
        self.start(cluster, &[&["run", "--"], command].concat(), &[])
    }

    /// A pod as a program that follows a description.
    pub(crate) fn described(&self, cluster: &str, description: &str) -> Pod {
        self.described_with(cluster, description, &[])
    }

    /// The same with more variables.
    pub(crate) fn described_with(&self, cluster: &str, description: &str, variables: &[(&str, &str)]) -> Pod {
        let path = self.file(&format!("{cluster}.toml"), description);
        self.start(cluster, &["run", &path.display().to_string()], variables)
    }

    /// Writes a file into the lab's folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        // A pod may be reading the same text at this moment.
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            return path;
        }
        std::fs::write(&path, text).expect("the folder is ours");
        path
    }

    fn start(&self, cluster: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Pod {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.start_in(self.folder(), cluster, arguments, &variables)
    }

    /// A pod as a program, in a folder.
    pub(crate) fn start_in(&self, folder: &Path, cluster: &str, arguments: &[&str], variables: &[(String, String)]) -> Pod {
        self.start_program(Path::new(env!("CARGO_BIN_EXE_ochopod")), folder, cluster, arguments, variables)
    }

    /// The same with another program.
    pub(crate) fn start_program(
        &self,
        program: &Path,
        folder: &Path,
        cluster: &str,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Pod {
        let port = nobody().port();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables(cluster, port)).envs(variables.iter().cloned());
        Pod { process: Some(Background::start(&mut command)), port }
    }

    /// What stands in a node below the cluster's folder; `None` where there is none.
    pub(crate) fn node(&self, cluster: &str, path: &str) -> Option<Vec<u8>> {
        let path = format!("/ochopod/clusters/{}/{path}", self.name(cluster));
        block_on(async { self.client().await.get_data(&path).await.ok().map(|(content, _)| content) })
    }

    /// Names of the nodes below one.
    pub(crate) fn children(&self, cluster: &str, path: &str) -> Vec<String> {
        let path = format!("/ochopod/clusters/{}/{path}", self.name(cluster));
        let mut names =
            block_on(async { self.client().await.list_children(path.trim_end_matches('/')).await.unwrap_or_default() });
        names.sort();
        names
    }

    /// The snapshot's pods by key; nothing where there is none.
    pub(crate) fn snapshot(&self, cluster: &str) -> BTreeMap<String, Value> {
        self.node(cluster, "snapshot").and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default()
    }

    pub(crate) async fn client(&self) -> Client {
        // It is given up after a session's time.
        Client::connector().with_session_timeout(LONG_SESSION).connect(&self.address()).await.expect("ZooKeeper answers")
    }
}

/// A pod that runs as a program. Dropping it kills it.
pub(crate) struct Pod {
    process: Option<Background>,
    pub(crate) port: u16,
}

impl Pod {
    /// The answer to `POST path`.
    #[track_caller]
    pub(crate) fn post(&self, path: &str) -> Answer {
        http::post(self.port, path).unwrap_or_else(|| panic!("no answer to {path}\n{}", self.output()))
    }

    #[track_caller]
    pub(crate) fn code(&self, path: &str) -> u16 {
        self.post(path).code
    }

    /// `/info`, if the pod answers.
    pub(crate) fn try_info(&self) -> Option<Value> {
        http::post(self.port, "/info").map(|answer| answer.json())
    }

    #[track_caller]
    pub(crate) fn info(&self) -> Value {
        self.post("/info").json()
    }

    /// Waits until a member of `/info` has a value.
    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, value: &str) {
        let so = || self.try_info().is_some_and(|info| info[name] == value);
        let what = format!("{name} = {value}, but {:?}", self.try_info());
        until_so(&what, SOON, so);
    }

    /// Waits until its log has so many lines with a text.
    #[track_caller]
    pub(crate) fn wait_for_lines(&self, text: &str, count: usize) {
        until(&format!("{count} times `{text}` in\n{}", self.output()), SOON, || (self.count(text) >= count).then_some(()));
    }

    /// How many lines of its output have a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.output().lines().filter(|line| line.contains(text)).count()
    }

    /// How often it started its process.
    pub(crate) fn starts(&self) -> usize {
        self.count("INFO - started pid=")
    }

    /// How often it configured its cluster as a leader.
    pub(crate) fn configurations(&self) -> usize {
        self.count("INFO - the cluster is configured")
    }

    /// Its process id.
    #[track_caller]
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Its standard output, at least up to what its log says at this moment: a pipe takes its time.
    pub(crate) fn output(&self) -> String {
        let Some(process) = &self.process else { return String::new() };
        let log = http::post(self.port, "/log").map(|answer| answer.json());
        let last = log.as_ref().and_then(|log| log.as_array()?.last()?.as_str()?.split_once(" - "));
        if let Some((_time, line)) = last {
            // Counted in turns: the thread that reads the pipe stands still together with this one where the whole machine does.
            for _turn in 0..5_000 {
                if process.stdout().contains(line) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        process.stdout()
    }

    /// The id of its sub-process, as the log tells it last.
    #[track_caller]
    pub(crate) fn sub_process(&self) -> i32 {
        let output = self.output();
        last_started(&output).unwrap_or_else(|| panic!("nothing was started\n{output}"))
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Kills the pod with SIGKILL and waits until it is gone.
    pub(crate) fn kill_9(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        }
    }

    /// Stops it with SIGTERM; its exit code and all of its output.
    #[track_caller]
    pub(crate) fn stop(mut self) -> (i32, String) {
        let process = self.process.take().expect("it runs");
        process.signal(Signal::SIGTERM);
        let ended = process.wait(SOON);
        (ended.code, ended.stdout)
    }
}

/// Waits until these pods have configured their cluster `count` times in all and nothing is pending; more often is wrong.
///
/// The log tells of a configuration after the registry shows it, so whoever saw the snapshot cannot count yet.
#[track_caller]
pub(crate) fn wait_for_configurations(pods: &[&Pod], count: usize) {
    let so_far = || pods.iter().map(|pod| pod.configurations()).sum::<usize>();
    let quiet = |pod: &&Pod| pod.try_info().is_some_and(|info| matches!(info["state"].as_str(), Some("leader" | "follower")));
    until_so(&format!("{count} configurations, and quiet"), SOON, || so_far() >= count && pods.iter().all(quiet));
    assert_eq!(so_far(), count, "configurations");
}

impl Drop for Pod {
    /// Takes the sub-process along with all that it started: the kernel ends only the sub-process itself when its pod is killed.
    fn drop(&mut self) {
        let Some(process) = &self.process else { return };
        let Some(group) = last_started(&process.stdout()) else { return };
        if parent(group) == i32::try_from(process.id()).ok() {
            // A pod that stands still starts nothing in its place.
            process.signal(Signal::SIGSTOP);
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// The id in the last line that tells of a start.
fn last_started(output: &str) -> Option<i32> {
    output.lines().rev().find_map(|line| line.split_once("started pid=")?.1.parse().ok())
}

fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in brackets.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The one that leads, and the others.
#[track_caller]
pub(crate) fn leader_first(pods: Vec<Pod>) -> (Pod, Vec<Pod>) {
    let leads =
        |pod: &Pod| pod.try_info().is_some_and(|info| info["state"].as_str().is_some_and(|state| state.starts_with("leader")));
    until_so("a leader", SOON, || pods.iter().any(leads));
    let (mut leaders, others): (Vec<Pod>, Vec<Pod>) = pods.into_iter().partition(leads);
    assert_eq!(leaders.len(), 1, "one pod leads");
    (leaders.remove(0), others)
}
