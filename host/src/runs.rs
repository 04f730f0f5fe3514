//! A run from command line to outcome: find the tool, wait for a place, fence it, gather or stream what it prints, record it.

mod subject;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use ocho_core::{ToolName, command_line, masking};
use ocho_runtime::host::{Caller, Marathon, Outgoing, Pods, Problem, Registry, Shell, ShellError, ShellOutcome, Upload, World};
use ocho_runtime::{Channel, Ended, FolderError, Output, Reason, RunRequest, WorkFolder};
use std::panic::AssertUnwindSafe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use ulid::Ulid;

use crate::journal::{Journal, RunRecord};
use crate::masks::Masks;
use crate::places::Place;
use crate::tools::{Full, NoTool, Seat, ToolStore};

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
    folders: Place,
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
    /// What nobody may read in what it prints.
    pub masks: Masks,
    stop: AbortHandle,
    /// Why it is ended, where an operator says why.
    why: Arc<OnceLock<String>>,
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
    /// Its secrets.
    pub masks: Masks,
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
    masks: Masks,
    seat: Option<Seat>,
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
    /// As many runs of this tool as its own limit allows are under way.
    #[error("tool '{tool}' runs {most} times at once already, which is its limit; try again later")]
    ToolBusy {
        /// Its name.
        tool: ToolName,
        /// Its limit.
        most: u32,
    },
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
    /// What nobody may read in what it prints.
    pub masks: Masks,
    ending: AbortOnDropHandle<Ended>,
}

/// A run that goes on only while its end is waited for. Dropping it ends it.
struct Prepared {
    id: Ulid,
    subject: Subject,
    output: Output,
    masks: Masks,
    run: BoxFuture<'static, Ended>,
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
    /// Whether what it printed may be written down.
    pub is_kept: bool,
    /// How it ended.
    pub ending: Ending,
}

impl Runs {
    /// Runs tools of this store, `at_once` at each depth, against these systems.
    ///
    /// # Errors
    /// Where there is no place for working folders.
    pub fn new(
        tools: ToolStore,
        journal: Journal,
        at_once: u32,
        registry: Arc<dyn Registry>,
        pods: Arc<dyn Pods>,
        marathon: Arc<dyn Marathon>,
    ) -> std::io::Result<Self> {
        let gate = |_| Gate {
            places: Arc::new(Semaphore::new(at_once as usize)),
            waiting: AtomicU32::new(0),
            waiting_max: at_once.saturating_mul(WAITING_PER_PLACE),
        };
        let gates = (0..=DEPTH_MAX).map(gate).collect();
        let folders = Place::open("ocho-runs-", None)?;
        Ok(Self(Arc::new(Inner { tools, registry, pods, marathon, gates, journal, folders, under_way: Mutex::default() })))
    }

    /// The tools that can be run.
    #[must_use]
    pub fn tools(&self) -> &ToolStore {
        &self.0.tools
    }

    /// A working folder for a run, empty.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn folder(&self) -> std::io::Result<WorkFolder> {
        WorkFolder::new(Some(self.0.folders.path()))
    }

    /// Starts a run that goes on by itself, after waiting for a place if need be.
    ///
    /// # Errors
    /// Where nothing can run.
    pub async fn start(&self, order: Order) -> Result<Run, Refused> {
        Ok(self.admit(order).await?.spawn())
    }

    /// Runs to the end and gathers what was printed, in the caller's own task: handing a small run to another one costs a good
    /// part of what it costs.
    ///
    /// # Errors
    /// Where nothing can run.
    pub async fn run_to_end(&self, order: Order) -> Result<Outcome, Refused> {
        Ok(self.admit(order).await?.outcome().await)
    }

    async fn admit(&self, order: Order) -> Result<Prepared, Refused> {
        let depth = order.caller.as_ref().map_or(0, |caller| caller.depth + 1);
        let gate = self.0.gates.get(depth as usize).ok_or(Refused::TooDeep)?;
        let revision = self.0.tools.get(order.argv.first().ok_or(Refused::Empty)?)?;
        let place = gate.enter().await?;
        // While this run waited, its tool may have been replaced, or lost what it was granted.
        let revision = self.0.tools.get(revision.tool.as_str())?;
        let seat = revision.enter().map_err(|Full(most)| Refused::ToolBusy { tool: revision.tool.clone(), most })?;
        let folder = match order.folder {
            None if revision.plugin.uses_folder() => Some(self.folder()?),
            given => given,
        };
        // What a job keeps secret stays so in the runs that it starts.
        let caller = order.caller.as_ref().and_then(|caller| self.find(caller.run.parse().ok()?));
        Ok(self.prepare(Start {
            masks: caller.map_or_else(Masks::default, |caller| caller.masks),
            subject: Subject::Tool(revision),
            argv: order.argv,
            env: Vec::new(),
            folder,
            parent: order.caller.map(|caller| caller.run),
            depth,
            outgoing: None,
            place: Some(place),
            seat: Some(seat),
        }))
    }

    /// Starts a job of a bundle at once.
    #[must_use]
    pub fn start_job(&self, order: JobOrder) -> Run {
        let start = Start {
            masks: order.masks,
            argv: vec![order.step.name.clone()],
            subject: Subject::Job(order.step),
            env: order.env,
            folder: Some(order.folder),
            parent: Some(order.parent.to_string()),
            depth: 0,
            outgoing: Some(order.outgoing),
            place: None,
            seat: None,
        };
        self.prepare(start).spawn()
    }

    fn prepare(&self, start: Start) -> Prepared {
        let Start { subject, argv, mut env, folder, parent, depth, outgoing, place, masks, seat } = start;
        let id = Ulid::generate();
        let output = Output::new(subject.limits().output_bytes);
        let line = masks.hide(command_line::join(&masking::mask_words(&argv)));
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
        let why = Arc::new(OnceLock::new());
        let record = Record {
            runs: self.clone(),
            id,
            subject: subject.clone(),
            line: line.clone(),
            parent,
            started,
            output: output.clone(),
            recorded: false,
            masks: masks.clone(),
            why: why.clone(),
            _place: place,
            _seat: seat,
        };
        let (stop, stopped) = AbortHandle::new_pair();
        let (shown, printed) = (subject.clone(), output.clone());
        let under_way = UnderWay { subject: shown, line, started, output: printed, masks: masks.clone(), stop, why: why.clone() };
        // On the list before this is asked: whoever takes a grant away at once marks the revision, then goes through the list.
        self.under_way().insert(id, under_way.clone());
        if subject.is_revoked() {
            under_way.end("a grant was revoked");
        }
        // A panic is this run's alone, whoever polls it.
        let run = Abortable::new(AssertUnwindSafe(record.follow(request)).catch_unwind(), stopped);
        let run = run.map(move |ended| match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(_panic)) => never_ended("the host failed"),
            Err(Aborted) => match why.get() {
                Some(why) => Ended { reason: Reason::Stopped(why.clone()), ..never_ended("") },
                None => never_ended("was cancelled"),
            },
        });
        Prepared { id, subject, output, masks, run: run.boxed() }
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
        self.find(id).map(|run| run.stop.abort()).is_some()
    }

    /// Ends the runs of a tool that are under way and says why; gives their number.
    #[must_use]
    pub fn end_tool(&self, tool: &ToolName, why: &str) -> u32 {
        let runs = self.list().into_iter().filter(|(_, run)| matches!(&run.subject, Subject::Tool(one) if one.tool == *tool));
        runs.map(|(_, run)| run.end(why)).count().try_into().unwrap_or(u32::MAX)
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

impl UnderWay {
    fn end(&self, why: &str) {
        // The first reason counts.
        let _ = self.why.set(why.to_owned());
        self.stop.abort();
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
    masks: Masks,
    why: Arc<OnceLock<String>>,
    _place: Option<OwnedSemaphorePermit>,
    _seat: Option<Seat>,
}

/// What the journal keeps of a run's output, on each channel.
const JOURNAL_BYTES: usize = 64 * 1024;

/// What the words of a command may have together where a plugin gives it: a caller from outside has one header for them.
const ARGV_BYTES: usize = 64 * 1024;

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
        let reason =
            self.why.get().map_or_else(|| "cancelled, or its caller went away".to_owned(), |why| format!("was ended: {why}"));
        tracing::info!(%tool, revision, %run, elapsed_ms, reason, "run cancelled");
        self.write(elapsed, Duration::ZERO, 137, Some(reason), None);
    }

    fn write(&mut self, elapsed: Duration, cpu: Duration, exit_code: u8, reason: Option<String>, backtrace: Option<String>) {
        self.recorded = true;
        let is_kept = self.subject.is_kept();
        let kept = |channel| if is_kept { self.masks.hide(text(&self.output, channel, JOURNAL_BYTES)) } else { String::new() };
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
            reason: reason.map(|reason| self.masks.hide(reason)),
            backtrace: backtrace.map(|frames| self.masks.hide(frames)),
            out: kept(Channel::Out),
            err: kept(Channel::Err),
        });
        // One that was ended before its first step has nobody else to say that nothing more comes.
        self.output.close();
        // Last: at every moment whoever asks for the run finds it here or in the journal.
        self.runs.under_way().remove(&self.id);
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

fn never_ended(why: &str) -> Ended {
    Ended { reason: Reason::Failed(why.to_owned()), cpu: Duration::ZERO, elapsed: Duration::ZERO }
}

impl Prepared {
    fn spawn(self) -> Run {
        let Self { id, subject, output, masks, run } = self;
        Run { id, subject, output, masks, ending: AbortOnDropHandle::new(tokio::spawn(run)) }
    }

    async fn outcome(self) -> Outcome {
        let ended = self.run.await;
        let (out, err) = texts(&self.output).await;
        let ending = Ending::of(&ended, &self.subject, self.id, &self.output);
        Outcome { id: self.id, out, err, is_kept: self.subject.is_kept(), ending }
    }
}

impl Run {
    /// Waits for the end; what was printed stays in `output`.
    pub async fn ended(&mut self) -> Ending {
        let ended = (&mut self.ending).await.unwrap_or_else(|error| never_ended(&error.to_string()));
        Ending::of(&ended, &self.subject, self.id, &self.output)
    }
}

impl Ending {
    fn of(ended: &Ended, subject: &Subject, run: Ulid, output: &Output) -> Self {
        let (exit_code, note) = (ended.reason.exit_code(), subject.note(&ended.reason, run));
        Self { exit_code, note, elapsed: ended.elapsed, truncated: output.is_over() }
    }
}

/// Printed bytes that are gathered in the caller's own task; it takes less than handing them to another thread.
const GATHERED_BYTES: usize = 256 * 1024;

/// All that was printed, standard output first. More than a little is gathered where it stands in nobody's way.
async fn texts(output: &Output) -> (String, String) {
    let both = |output: &Output| (text(output, Channel::Out, usize::MAX), text(output, Channel::Err, usize::MAX));
    if output.printed_bytes() <= GATHERED_BYTES {
        return both(output);
    }
    let output = output.clone();
    // It fails only where the host is going down, and then nobody reads this.
    tokio::task::spawn_blocking(move || both(&output)).await.unwrap_or_default()
}

/// What was printed on a channel, at most so many bytes; what is not UTF-8 is replaced.
fn text(output: &Output, channel: Channel, limit_bytes: usize) -> String {
    let bytes = output.head(channel, limit_bytes);
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl Shell for Runs {
    fn run(&self, caller: Caller, argv: Vec<String>, files: Vec<Upload>) -> BoxFuture<'_, Result<ShellOutcome, ShellError>> {
        async move {
            let bytes: usize = argv.iter().map(String::len).sum();
            if bytes > ARGV_BYTES {
                let why =
                    format!("the words of the command have {bytes} bytes together, {ARGV_BYTES} are allowed; hand on a file");
                return Err(Problem::new("too-long", why).into());
            }
            let folder = self.folder_of(&files).map_err(|error| Problem::new("files", error.to_string()))?;
            let outcome = self.run_to_end(Order { argv, folder, caller: Some(caller) }).await?;
            let Outcome { id, out, err, ending, .. } = outcome;
            let err = ending.note.map_or_else(|| err.clone(), |note| format!("{err}{note}\n"));
            let (exit_code, elapsed, truncated) = (ending.exit_code, ending.elapsed, ending.truncated);
            Ok(ShellOutcome { exit_code, run: id.to_string(), elapsed, out, err, truncated })
        }
        .boxed()
    }
}

impl Runs {
    fn folder_of(&self, files: &[Upload]) -> Result<Option<WorkFolder>, FolderError> {
        if files.is_empty() {
            return Ok(None);
        }
        let folder = self.folder().map_err(|cause| FolderError::Io { name: ".".to_owned(), cause })?;
        files.iter().try_for_each(|file| folder.write(&file.name, &file.content))?;
        Ok(Some(folder))
    }
}

impl From<Refused> for ShellError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Empty => Self::Other(Problem::new("empty", "the command line is empty")),
            Refused::NoTool(NoTool::Unknown(name)) => Self::NoSuchTool(name),
            Refused::NoTool(broken) => Self::Other(Problem::new("broken", broken.to_string())),
            Refused::Busy | Refused::ToolBusy { .. } => Self::Busy,
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
