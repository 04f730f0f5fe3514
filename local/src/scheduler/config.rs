//! How a scheduler is set up.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// How a scheduler is set up. Start from [`SchedulerConfig::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct SchedulerConfig {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The folder of the database and of the tasks' folders.
    pub data: PathBuf,
    /// A folder with local images: `<name>/entrypoint`.
    pub images: Option<PathBuf>,
    /// Commands that stand for an image of a name. They find the scheduler in `MARATHON_MASTER`.
    pub builtin_images: BTreeMap<String, Vec<String>>,
    /// The registry that tasks are told about, `host:port`.
    pub zookeeper: String,
    /// A command that reaches [`super::task_shim_main`]; the task's folder is added to it.
    pub shim: Vec<OsString>,
    /// The name of this machine as tasks and clients see it.
    pub hostname: String,
    /// Attributes of this machine that constraints can ask for.
    pub attributes: BTreeMap<String, String>,
    /// Host ports for tasks that do not fix theirs. Below the ports that the system gives to outgoing connections.
    pub task_ports: RangeInclusive<u16>,
    /// Numbers for service ports that are not given.
    pub service_ports: RangeInclusive<u16>,
    /// `user:password` that every request has to show, if set.
    pub http_credentials: Option<String>,
    /// Names that a request may be addressed to besides those of the loopback interface.
    pub allowed_hosts: Vec<String>,
    /// Whether events of deployments carry both trees of groups, as before 2018. A reader can ask for either with
    /// `plan-format=heavy` or `plan-format=light`.
    pub heavy_events: bool,
    /// The socket of a Docker engine; tried for images that are not local.
    pub docker_socket: Option<PathBuf>,
    /// The time that a task has between SIGTERM and SIGKILL when its application does not say.
    pub kill_grace: Duration,
    /// The longest that stopping all tasks may take when the scheduler stops.
    pub stop_grace: Duration,
    /// The size at which captured output is put aside; two files are kept for each stream of a task.
    pub output_bytes: u64,
    /// What the files that an application names may take on disk, for one task, unpacked.
    pub fetch_bytes: u64,
    /// How long bringing them may take.
    pub fetch_within: Duration,
    /// How many folders of ended tasks are kept, altogether.
    pub sandboxes_kept: usize,
}

impl SchedulerConfig {
    /// Defaults around the three things that nobody can guess: where to listen, where to keep, what runs a task.
    pub fn new(listen: SocketAddr, data: PathBuf, shim: Vec<OsString>) -> Self {
        Self {
            listen,
            data,
            images: None,
            builtin_images: BTreeMap::new(),
            zookeeper: "127.0.0.1:2181".to_owned(),
            shim,
            hostname: "127.0.0.1".to_owned(),
            attributes: BTreeMap::new(),
            task_ports: 21_000..=32_767,
            service_ports: 10_000..=20_000,
            http_credentials: None,
            allowed_hosts: Vec::new(),
            heavy_events: false,
            docker_socket: Some(PathBuf::from("/var/run/docker.sock")),
            kill_grace: Duration::from_secs(3),
            stop_grace: Duration::from_secs(10),
            output_bytes: 4 << 20,
            fetch_bytes: 2 << 30,
            fetch_within: Duration::from_secs(600),
            sandboxes_kept: 100,
        }
    }
}
