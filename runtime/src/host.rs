//! What a fenced run may ask of the world, as traits: the daemon is one implementation, an author's pretend cluster another.
//!
//! Methods take owned values and give boxed futures, so that a run can hand each question to a task of its own: the time
//! that the host takes for an answer must not count as the guest's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use ocho_core::{ClusterGlob, PodId, Registration, ToolName};

/// All that the granted interfaces of a run reach.
#[derive(Clone)]
pub struct World {
    /// Who is there.
    pub registry: Arc<dyn Registry>,
    /// Asking and steering pods.
    pub pods: Arc<dyn Pods>,
    /// What runs the containers.
    pub marathon: Arc<dyn Marathon>,
    /// The proxy itself: runs that start runs.
    pub shell: Arc<dyn Shell>,
}

/// A failure with a stable code for programs and a text for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Stable: `tls`, `too-large`, ...
    pub code: String,
    /// For people; may change.
    pub message: String,
}

impl Problem {
    /// A problem by its code and text.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// A registered pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Who it is.
    pub id: PodId,
    /// What it wrote about itself, secrets included: the runtime masks them before a guest sees them.
    pub registration: Registration,
}

/// Why a question to the registry has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No server of the registry answered; the text names the addresses and the time waited.
    #[error("{0}")]
    Unreachable(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Problem),
}

/// The registry of pods.
pub trait Registry: Send + Sync {
    /// Lists the pods of every cluster that matches, sorted by cluster, then seq. Nodes that are no registrations are left out.
    fn find(&self, clusters: ClusterGlob) -> BoxFuture<'_, Result<Vec<Pod>, RegistryError>>;

    /// Gives the same list at once and again whenever it changes. An error ends the stream.
    fn changes(&self, clusters: ClusterGlob) -> BoxStream<'static, Result<Vec<Pod>, RegistryError>>;
}

/// A question or an order to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// `POST /info`: state, process, ports, status, metrics.
    Info,
    /// `POST /log`: the pod's own log.
    Log,
    /// `POST /control/on/<seconds>`.
    On,
    /// `POST /control/off/<seconds>`.
    Off,
    /// `POST /control/kill/<seconds>`.
    Kill,
    /// `POST /control/signal/<seconds>` with a JSON body.
    Signal(String),
    /// `POST /reset`.
    Reregister,
    /// `POST /exec` with the line in `X-Shell` and files.
    Exec {
        /// The pod's tool and its arguments.
        command_line: String,
        /// Copies of files; each part is named as the file.
        files: Vec<Upload>,
    },
}

/// A file that is handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its name relative to the run's working folder.
    pub name: String,
    /// All of it.
    pub content: Bytes,
}

/// What came of asking one pod. A pod that stays silent is still in the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The pod that was asked.
    pub pod: PodId,
    /// What came of it.
    pub outcome: PodOutcome,
    /// How long it took.
    pub elapsed: Duration,
}

/// What one pod answered, or why it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodOutcome {
    /// An HTTP reply, whatever its status.
    Replied {
        /// HTTP status.
        status: u16,
        /// The body; bytes that are not UTF-8 are replaced.
        body: String,
    },
    /// No answer in time.
    TimedOut,
    /// No connection, with the reason.
    Unreachable(String),
    /// The pod registered no control port that can be reached.
    NoControlPort,
    /// The registry does not know this pod (any more).
    NotRegistered,
    /// Anything else.
    Other(Problem),
}

/// The pods' control ports.
pub trait Pods: Send + Sync {
    /// Asks every pod the same, some hundred at a time; answers come in the order of `pods`. A silent pod delays nobody else.
    fn ask(&self, pods: Vec<PodId>, verb: Verb, timeout: Duration) -> BoxFuture<'_, Vec<Answer>>;
}

/// Marathon's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Marathon's `message`, or a sentence of ours.
    pub message: String,
    /// The whole body.
    pub body: String,
}

/// Why a request to Marathon has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarathonError {
    /// No master answered; the text names the addresses and why each failed.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer from Marathon within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// No such app, version, task or deployment.
    #[error("{0}")]
    NotFound(String),
    /// Running deployments hold the app; their ids.
    #[error("locked by deployment {}", .0.join(", "))]
    Locked(Vec<String>),
    /// The definition or the change is not valid.
    #[error("{}", .0.message)]
    Invalid(Refusal),
    /// Forbidden, or an unknown caller.
    #[error("{}", .0.message)]
    Denied(Refusal),
    /// Any other refusal.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Problem),
}

impl MarathonError {
    /// What a refusal means, by its status and by the deployments that its body names.
    pub fn of(refusal: Refusal) -> Self {
        let answer: serde_json::Value = serde_json::from_str(&refusal.body).unwrap_or_default();
        let deployments = answer["deployments"].as_array().into_iter().flatten();
        let locks: Vec<String> = deployments.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
        match refusal.status {
            404 => Self::NotFound(refusal.message),
            409 if !locks.is_empty() => Self::Locked(locks),
            400 | 422 => Self::Invalid(refusal),
            401 | 403 => Self::Denied(refusal),
            _ => Self::Refused(refusal),
        }
    }
}

/// A change that Marathon accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its id.
    pub id: String,
    /// The app version that it makes, ISO 8601.
    pub version: String,
}

/// One message of Marathon's event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarathonEvent {
    /// `deployment_success`, `status_update_event`, ...
    pub kind: String,
    /// JSON text.
    pub data: String,
}

/// What a request to Marathon gives: text, JSON as a rule.
pub type MarathonResult<T> = Result<T, MarathonError>;

/// A running Marathon. App ids come with or without the leading slash; definitions are JSON text in Marathon's own format.
pub trait Marathon: Send + Sync {
    /// `GET /v2/apps` with these parameters, not yet encoded.
    fn apps(&self, query: Vec<(String, String)>) -> BoxFuture<'_, MarathonResult<String>>;
    /// `GET /v2/apps/{id}`.
    fn app(&self, id: String) -> BoxFuture<'_, MarathonResult<String>>;
    /// `GET /v2/apps/{id}/versions`, newest first.
    fn versions(&self, id: String) -> BoxFuture<'_, MarathonResult<Vec<String>>>;
    /// `GET /v2/apps/{id}/versions/{version}`.
    fn version(&self, id: String, version: String) -> BoxFuture<'_, MarathonResult<String>>;
    /// `GET /v2/apps/{id}/tasks`, or `GET /v2/tasks`.
    fn tasks(&self, id: Option<String>) -> BoxFuture<'_, MarathonResult<String>>;
    /// `GET /v2/deployments`.
    fn deployments(&self) -> BoxFuture<'_, MarathonResult<String>>;
    /// `GET /v2/queue`.
    fn queue(&self) -> BoxFuture<'_, MarathonResult<String>>;
    /// `GET /v2/events`, only these kinds (all, where empty). An error ends the stream.
    fn events(&self, kinds: Vec<String>) -> BoxStream<'static, MarathonResult<MarathonEvent>>;
    /// `POST /v2/apps`. Gives the app as Marathon completed it.
    fn create_app(&self, definition: String) -> BoxFuture<'_, MarathonResult<String>>;
    /// `PUT /v2/apps/{id}`.
    fn update_app(&self, id: String, change: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>>;
    /// `POST /v2/apps/{id}/restart`.
    fn restart_app(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>>;
    /// `DELETE /v2/apps/{id}`.
    fn delete_app(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<Deployment>>;
    /// `POST /v2/tasks/delete`.
    fn kill_tasks(&self, ids: Vec<String>, scale: bool, wipe: bool) -> BoxFuture<'_, MarathonResult<String>>;
    /// `DELETE /v2/deployments/{id}`.
    fn cancel_deployment(&self, id: String, force: bool) -> BoxFuture<'_, MarathonResult<()>>;
}

/// The run that asks for another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its id.
    pub run: String,
    /// Its tool.
    pub tool: ToolName,
    /// How many runs stand above it: 0 where a person asked for it.
    pub depth: u32,
}

/// How a run that a run started ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellOutcome {
    /// What it chose, or 137 where the host ended it.
    pub exit_code: u8,
    /// Its id.
    pub run: String,
    /// From start to end.
    pub elapsed: Duration,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// Whether one of them was cut.
    pub truncated: bool,
}

/// Why nothing ran.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// No tool has this name.
    #[error("no tool `{0}`")]
    NoSuchTool(String),
    /// The caller may not run it.
    #[error("{0}")]
    Denied(String),
    /// As many runs as may be at this depth.
    #[error("the host runs as many tools as it may; try again later")]
    Busy,
    /// Runs that start runs go only this deep.
    #[error("runs that start runs go only {0} deep")]
    TooDeep(u32),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Problem),
}

/// The proxy, as runs see it.
pub trait Shell: Send + Sync {
    /// Runs the tool `argv[0]` with these files in its working folder, and waits for its end.
    fn run(&self, caller: Caller, argv: Vec<String>, files: Vec<Upload>) -> BoxFuture<'_, Result<ShellOutcome, ShellError>>;
}

/// Which addresses a run may reach over HTTP.
pub trait Outgoing: Send + Sync {
    /// Whether a request to `host` may go to `address`, one of those that the name means now. Asked at every request.
    fn allows(&self, host: String, address: SocketAddr) -> BoxFuture<'_, bool>;

    /// How servers of `https` are known; without it such requests are refused.
    fn tls(&self) -> BoxFuture<'_, Option<Arc<rustls::ClientConfig>>> {
        Box::pin(async { None })
    }
}

/// Time as a run on a stage sees it.
pub trait Clock: Send + Sync {
    /// Since the clock's own start; never goes back.
    fn now(&self) -> Duration;
    /// Since 1970, in UTC.
    fn time_of_day(&self) -> Duration;
    /// Waits until `now` is this moment or later.
    fn wait_until(&self, moment: Duration) -> BoxFuture<'static, ()>;
}
