//! A run from command line to outcome: find the tool, wait for a place, fence it, gather or stream what it prints, record it.

mod subject;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ocho_core::{command_line, masking};
use ocho_runtime::host::{Caller, Marathon, Outgoing, Pods, Problem, Registry, Shell, ShellError, ShellOutcome, Upload, World};
use ocho_runtime::{Channel, Ended, FolderError, Output, Reason, RunRequest, WorkFolder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use ulid::Ulid;

use crate::journal::{Journal, RunRecord};
use crate::tools::{NoTool, ToolStore};

pub use subject::{JobStep, Subject};

/// Runs that start runs go this deep: 0 is a person's, 4 the last.
pub const DEPTH_MAX: u32 = 4;

/// Runs that wait for a place, for each that may run.
const WAITING_PER_PLACE: u32 = 4;

/// Runs tools. Cheap to clone.
#[derive(Clone)]
pub struct Runs(Arc<Inner>);

struct Inner {
    tools: ToolStore,
    registry: Arc<dyn Registry>,
    pods: Arc<dyn Pods>,
    marathon: Arc<dyn Marathon>,
    /// One gate for each depth: a run started by a run waits only for its own depth, so nothing deadlocks.
    gates: Vec<Gate>,
    journal: Journal,
    under_way: Mutex<BTreeMap<Ulid, UnderWay>>,
}

/// A run that others than its caller can follow and cancel.
#[derive(Clone)]
pub struct UnderWay {
    /// What runs.
    pub subject: Subject,
    /// Its command line, secrets masked.
    pub line: String,
    /// When it started.
    pub started: Instant,
    /// What it prints.
    pub output: Output,
    task: tokio::task::AbortHandle,
}

struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicU32,
    waiting_max: u32,
}

/// What to run.
#[derive(Debug)]
pub struct Order {
    /// Words of the command line; the first names the tool.
    pub argv: Vec<String>,
    /// Uploaded files.
    pub folder: Option<WorkFolder>,
    /// The run that asks, if a run does.
    pub caller: Option<Caller>,
}

/// A job of a bundle, to be run. The place that it takes is its bundle's.
pub struct JobOrder {
    /// The job as a whole, of which this is a part.
    pub parent: Ulid,
    /// What to run.
    pub step: Arc<JobStep>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// The bundle, unpacked.
    pub folder: WorkFolder,
    /// What its `wasi:http` may reach.
    pub outgoing: Arc<dyn Outgoing>,
}

/// What a run starts with.
struct Start {
    subject: Subject,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    folder: Option<WorkFolder>,
    parent: Option<String>,
    depth: u32,
    outgoing: Option<Arc<dyn Outgoing>>,
    place: Option<OwnedSemaphorePermit>,
}

/// Why nothing ran.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No words.
    #[error("the command line is empty")]
    Empty,
    /// No such tool, or none that can run.
    #[error(transparent)]
    NoTool(#[from] NoTool),
    /// Too many wait already.
    #[error("the host runs as many tools as it may, and as many wait; try again later")]
    Busy,
    /// Runs that start runs go only so deep.
    #[error("runs that start runs go only {DEPTH_MAX} deep")]
    TooDeep,
    /// No working folder could be made.
    #[error("no working folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// A run under way. Dropping it ends it.
pub struct Run {
    /// Its id.
    pub id: Ulid,
    /// What runs.
    pub subject: Subject,
    /// What it prints.
    pub output: Output,
    ending: AbortOnDropHandle<Ended>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// What it chose, or 137 where the host ended it.
    pub exit_code: u8,
    /// A sentence where the host ended it.
    pub note: Option<String>,
    /// From start to end.
    pub elapsed: Duration,
    /// Whether the output limit cut it.
    pub truncated: bool,
}

/// A run that is over, with what it printed. What is not UTF-8 is replaced.
#[derive(Debug)]
pub struct Outcome {
    /// Its id.
    pub id: Ulid,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// How it ended.
    pub ending: Ending,
}

impl Runs {
    /// Runs tools of this store, `at_once` at each depth, against these systems.
    #[must_use]
    pub fn new(
        tools: ToolStore,
        journal: Journal,
        at_once: u32,
        registry: Arc<dyn Registry>,
        pods: Arc<dyn Pods>,
        marathon: Arc<dyn Marathon>,
    ) -> Self {
        let gate = |_| Gate {
            places: Arc::new(Semaphore::new(at_once as usize)),
            waiting: AtomicU32::new(0),
            waiting_max: at_once.saturating_mul(WAITING_PER_PLACE),
        };
        let gates = (0..=DEPTH_MAX).map(gate).collect();
        Self(Arc::new(Inner { tools, registry, pods, marathon, gates, journal, under_way: Mutex::default() }))
    }

    /// The tools that can be run.
    #[must_use]
    pub fn tools(&self) -> &ToolStore {
        &self.0.tools
    }

    /// Starts a run, after waiting for a place if need be.
    ///
    /// # Errors
    /// Where nothing can run.
    pub async fn start(&self, order: Order) -> Result<Run, Refused> {
        let depth = order.caller.as_ref().map_or(0, |caller| caller.depth + 1);
        let gate = self.0.gates.get(depth as usize).ok_or(Refused::TooDeep)?;
        let revision = self.0.tools.get(order.argv.first().ok_or(Refused::Empty)?)?;
        let place = gate.enter().await?;
        let folder = match order.folder {
            None if revision.plugin.uses_folder() => Some(WorkFolder::new(None)?),
            given => given,
        };
        Ok(self.spawn(Start {
            subject: Subject::Tool(revision),
            argv: order.argv,
            env: Vec::new(),
            folder,
            parent: order.caller.map(|caller| caller.run),
            depth,
            outgoing: None,
            place: Some(place),
        }))
    }

    /// Starts a job of a bundle at once.
    #[must_use]
    pub fn start_job(&self, order: JobOrder) -> Run {
        self.spawn(Start {
            argv: vec![order.step.name.clone()],
            subject: Subject::Job(order.step),
            env: order.env,
            folder: Some(order.folder),
            parent: Some(order.parent.to_string()),
            depth: 0,
            outgoing: Some(order.outgoing),
            place: None,
        })
    }

    fn spawn(&self, start: Start) -> Run {
        let Start { subject, argv, mut env, folder, parent, depth, outgoing, place } = start;
        let id = Ulid::generate();
        let output = Output::new(subject.limits().output_bytes);
        let line = command_line::join(&masking::mask_words(&argv));
        env.push(("OCHO_RUN".to_owned(), id.to_string()));
        let request = RunRequest {
            caller: Caller { run: id.to_string(), tool: subject.caller(), depth },
            argv,
            env,
            folder,
            limits: subject.limits().clone(),
            world: self.world(),
            outgoing,
            output: output.clone(),
        };
        let started = Instant::now();
        let record = Record {
            runs: self.clone(),
            id,
            subject: subject.clone(),
            line: line.clone(),
            parent,
            started,
            output: output.clone(),
            recorded: false,
            _place: place,
        };
        // Under the lock: the run takes itself off the list at its end, so it has to be on it by then.
        let mut under_way = self.under_way();
        let ending = AbortOnDropHandle::new(tokio::spawn(record.follow(request)));
        let task = ending.abort_handle();
        under_way.insert(id, UnderWay { subject: subject.clone(), line, started, output: output.clone(), task });
        drop(under_way);
        Run { id, subject, output, ending }
    }

    /// The runs under way, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<(Ulid, UnderWay)> {
        self.under_way().iter().map(|(id, run)| (*id, run.clone())).collect()
    }

    /// A run that is under way.
    #[must_use]
    pub fn find(&self, id: Ulid) -> Option<UnderWay> {
        self.under_way().get(&id).cloned()
    }

    /// Ends a run; whether there was one.
    #[must_use]
    pub fn cancel(&self, id: Ulid) -> bool {
        self.find(id).map(|run| run.task.abort()).is_some()
    }

    /// Where runs that ended are found again.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<Ulid, UnderWay>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn world(&self) -> World {
        World {
            registry: self.0.registry.clone(),
            pods: self.0.pods.clone(),
            marathon: self.0.marathon.clone(),
            shell: Arc::new(self.clone()),
        }
    }
}

impl Gate {
    async fn enter(&self) -> Result<OwnedSemaphorePermit, Refused> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::new(&self.waiting, self.waiting_max).ok_or(Refused::Busy)?;
        Ok(self.places.clone().acquire_owned().await.expect("the gate is never closed"))
    }
}

/// Counts a run that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32, max: u32) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::SeqCst);
        let counted = Self(count);
        (before < max).then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Follows a run to its end and records it, also where its caller went away in the middle.
struct Record {
    runs: Runs,
    id: Ulid,
    subject: Subject,
    line: String,
    parent: Option<String>,
    started: Instant,
    output: Output,
    recorded: bool,
    _place: Option<OwnedSemaphorePermit>,
}

/// What the journal keeps of a run's output, on each channel.
const JOURNAL_BYTES: usize = 64 * 1024;

impl Record {
    async fn follow(mut self, request: RunRequest) -> Ended {
        let ended = self.subject.plugin().clone().run(request).await;
        self.ended(&ended);
        ended
    }

    fn ended(&mut self, ended: &Ended) {
        let (tool, revision, run) = (self.subject.name(), self.subject.revision(), self.id);
        let (elapsed_ms, cpu_ms) = (ended.elapsed.as_millis(), ended.cpu.as_millis());
        match &ended.reason {
            Reason::Exited(exit_code) => tracing::debug!(%tool, revision, %run, exit_code, elapsed_ms, cpu_ms, "run ended"),
            reason => tracing::warn!(%tool, revision, %run, %reason, elapsed_ms, cpu_ms, "run was ended"),
        }
        let backtrace = match &ended.reason {
            Reason::Trapped { backtrace, .. } => Some(backtrace.clone()),
            _ => None,
        };
        let reason = self.subject.note(&ended.reason, self.id);
        self.write(ended.elapsed, ended.cpu, ended.reason.exit_code(), reason, backtrace);
    }

    fn cancelled(&mut self) {
        let elapsed = self.started.elapsed();
        let (tool, revision, run, elapsed_ms) = (self.subject.name(), self.subject.revision(), self.id, elapsed.as_millis());
        tracing::info!(%tool, revision, %run, elapsed_ms, "run cancelled");
        self.write(elapsed, Duration::ZERO, 137, Some("cancelled, or its caller went away".to_owned()), None);
    }

    fn write(&mut self, elapsed: Duration, cpu: Duration, exit_code: u8, reason: Option<String>, backtrace: Option<String>) {
        self.recorded = true;
        self.runs.under_way().remove(&self.id);
        let is_kept = self.subject.is_kept();
        let kept = |channel| if is_kept { text(&self.output, channel, JOURNAL_BYTES) } else { String::new() };
        self.runs.0.journal.record(RunRecord {
            run: self.id.to_string(),
            parent: self.parent.clone(),
            tool: self.subject.name().to_owned(),
            revision: self.subject.revision(),
            digest: self.subject.digest().to_owned(),
            line: self.line.clone(),
            started_ms: millis(self.id.datetime().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()),
            elapsed_ms: millis(elapsed),
            cpu_ms: millis(cpu),
            exit_code,
            reason,
            backtrace,
            out: kept(Channel::Out),
            err: kept(Channel::Err),
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.recorded {
            self.cancelled();
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Run {
    /// Waits for the end; what was printed stays in `output`.
    pub async fn ended(&mut self) -> Ending {
        let ended = (&mut self.ending).await.unwrap_or_else(|error| {
            let why = if error.is_cancelled() { "was cancelled".to_owned() } else { error.to_string() };
            Ended { reason: Reason::Failed(why), cpu: Duration::ZERO, elapsed: Duration::ZERO }
        });
        let (exit_code, note) = (ended.reason.exit_code(), self.subject.note(&ended.reason, self.id));
        Ending { exit_code, note, elapsed: ended.elapsed, truncated: self.output.is_over() }
    }

    /// Waits for the end and gathers what was printed.
    pub async fn outcome(mut self) -> Outcome {
        let ending = self.ended().await;
        let all = |channel| text(&self.output, channel, usize::MAX);
        Outcome { id: self.id, out: all(Channel::Out), err: all(Channel::Err), ending }
    }
}

/// What was printed on a channel; what is not UTF-8 is replaced.
fn text(output: &Output, channel: Channel, limit_bytes: usize) -> String {
    let mut bytes = output.bytes(channel);
    bytes.truncate(limit_bytes);
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl Shell for Runs {
    fn run(&self, caller: Caller, argv: Vec<String>, files: Vec<Upload>) -> BoxFuture<'_, Result<ShellOutcome, ShellError>> {
        async move {
            let folder = folder_of(&files).map_err(|error| Problem::new("files", error.to_string()))?;
            let outcome = self.start(Order { argv, folder, caller: Some(caller) }).await?.outcome().await;
            let Outcome { id, out, err, ending } = outcome;
            let err = ending.note.map_or_else(|| err.clone(), |note| format!("{err}{note}\n"));
            let (exit_code, elapsed, truncated) = (ending.exit_code, ending.elapsed, ending.truncated);
            Ok(ShellOutcome { exit_code, run: id.to_string(), elapsed, out, err, truncated })
        }
        .boxed()
    }
}

fn folder_of(files: &[Upload]) -> Result<Option<WorkFolder>, FolderError> {
    if files.is_empty() {
        return Ok(None);
    }
    let folder = WorkFolder::new(None).map_err(|cause| FolderError::Io { name: ".".to_owned(), cause })?;
    files.iter().try_for_each(|file| folder.write(&file.name, &file.content))?;
    Ok(Some(folder))
}

impl From<Refused> for ShellError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Empty => Self::Other(Problem::new("empty", "the command line is empty")),
            Refused::NoTool(NoTool::Unknown(name)) => Self::NoSuchTool(name),
            Refused::NoTool(broken) => Self::Other(Problem::new("broken", broken.to_string())),
            Refused::Busy => Self::Busy,
            Refused::TooDeep => Self::TooDeep(DEPTH_MAX),
            Refused::Folder(error) => Self::Other(Problem::new("folder", error.to_string())),
        }
    }
}

/// Cuts a line into words; a lone `--` is dropped, as the original does.
///
/// # Errors
/// Where a quote stays open.
pub fn words(line: &str) -> Result<Vec<String>, command_line::CommandLineError> {
    let mut words = command_line::split(line)?;
    if let Some(at) = words.iter().position(|word| word == "--") {
        words.remove(at);
    }
    Ok(words)
}
