//! Jobs: waiting for a place, under way, over. A job belongs to nobody: it goes on when its caller goes away, and is found
//! again by its id.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ocho_core::signature::Token;
use ocho_runtime::host::{Outgoing, Registry};
use ocho_runtime::{Engine, Limits};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use super::authorities::{Authorities, NoCertificates};
use super::bundle::BundleLimits;
use super::callback::Callback;
use super::code::JobCode;
use super::config::JobSettings;
use super::folders::JobFolders;
use super::log::JobLog;
use super::reach::JobReach;
use super::upload::Upload;
use super::variables::Variables;
use crate::journal::{JobRecord, Journal};
use crate::masks::Masks;
use crate::runs::Runs;

/// Jobs that wait for a place, for each that may run.
const WAITING_PER_PLACE: u32 = 4;

/// Names in one request.
pub(super) const NAMES: usize = 100;

/// What the journal keeps of a job's log.
const JOURNAL_BYTES: usize = 256 * 1024;

/// Jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) runs: Runs,
    pub(super) code: JobCode,
    pub(super) folders: JobFolders,
    pub(super) token: Token,
    pub(super) limits: Limits,
    pub(super) bundle_limits: BundleLimits,
    pub(super) outgoing: Arc<dyn Outgoing>,
    callback_base: String,
    places: Arc<Semaphore>,
    waiting: AtomicU32,
    waiting_max: u32,
    live: Mutex<BTreeMap<Ulid, Arc<Job>>>,
    tasks: TaskTracker,
}

/// What jobs need of the host.
pub struct JobsConfig<'a> {
    /// Runs their components.
    pub runs: Runs,
    /// Compiles them.
    pub engine: Engine,
    /// Who is there.
    pub registry: Arc<dyn Registry>,
    /// The secret that signs bundles and decrypts their files.
    pub token: Token,
    /// What the operator set.
    pub settings: &'a JobSettings,
    /// The most memory of a run.
    pub memory_bytes: usize,
    /// `http://<address>:<port>` of the servo as pods reach it.
    pub callback_base: String,
    /// Folder of state that survives.
    pub data: Option<&'a Path>,
}

/// Why no jobs can be run at all.
#[derive(Debug, thiserror::Error)]
pub enum NoJobs {
    /// The disk refuses.
    #[error("no place to unpack bundles: {0}")]
    NoPlace(#[from] std::io::Error),
    /// The operator's file is none.
    #[error(transparent)]
    NoCertificates(#[from] NoCertificates),
}

/// What to run.
pub struct JobOrder {
    /// Names of the jobs, in order.
    pub names: Vec<String>,
    /// What they find in their environment.
    pub variables: Variables,
    /// What they come in.
    pub(super) upload: Upload,
}

/// Why a job does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// Too many wait already.
    #[error("the host runs as many jobs as it may, and as many wait; try again later")]
    Busy,
    /// One name is empty, or there are too many.
    #[error("the names of the jobs read as `a+b`: up to {NAMES} names, none of them empty")]
    Names,
    /// The host is about to stop.
    #[error("the host is stopping")]
    Stopping,
}

/// A job that waits or runs, or has just ended.
pub struct Job {
    /// Its id.
    pub id: Ulid,
    /// Names of its parts, in order.
    pub names: Vec<String>,
    /// When it came.
    pub came: Instant,
    /// Its log.
    pub log: JobLog,
    pub(super) variables: Variables,
    pub(super) callback: Callback,
    pub(super) cancel: CancellationToken,
    digest: String,
    state: watch::Sender<State>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for a place.
    Queued,
    /// It runs.
    Running,
    /// All its parts ended well.
    Succeeded,
    /// One did not, or none could be started.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl State {
    /// As `/v1` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl Jobs {
    /// Runs jobs against this host.
    ///
    /// # Errors
    /// Where there is no place to unpack bundles, or the file of authorities cannot be read.
    pub fn new(config: JobsConfig<'_>) -> Result<Self, NoJobs> {
        let JobSettings { at_once, cpu, wall, grants, allowed, ca } = config.settings.clone();
        let authorities = Authorities::with(ca.as_deref())?;
        let bundle_limits = BundleLimits::default();
        let job = Limits::job();
        let limits = Limits {
            cpu,
            wall,
            memory_bytes: config.memory_bytes,
            // What came with the bundle is not the job's doing.
            folder_bytes: job.folder_bytes + bundle_limits.bytes,
            folder_entries: job.folder_entries + bundle_limits.entries,
            ..job
        };
        Ok(Self(Arc::new(Inner {
            runs: config.runs,
            code: JobCode::new(config.engine, grants),
            folders: JobFolders::open(config.data)?,
            token: config.token,
            limits,
            bundle_limits,
            outgoing: Arc::new(JobReach { registry: config.registry, allowed, authorities }),
            callback_base: config.callback_base,
            places: Arc::new(Semaphore::new(at_once as usize)),
            waiting: AtomicU32::new(0),
            waiting_max: at_once.saturating_mul(WAITING_PER_PLACE),
            live: Mutex::default(),
            tasks: TaskTracker::new(),
        })))
    }

    /// Takes a job; it starts when there is a place.
    ///
    /// # Errors
    /// Where it never will.
    pub fn start(&self, order: JobOrder) -> Result<Arc<Job>, NotStarted> {
        if order.names.is_empty() || order.names.len() > NAMES || order.names.iter().any(String::is_empty) {
            return Err(NotStarted::Names);
        }
        if self.0.tasks.is_closed() {
            return Err(NotStarted::Stopping);
        }
        let place = self.0.places.clone().try_acquire_owned().ok();
        let waiting = match &place {
            Some(_) => None,
            None => Some(Waiting::new(self.0.clone()).ok_or(NotStarted::Busy)?),
        };
        let job = Arc::new(self.job(&order));
        self.live().insert(job.id, job.clone());
        self.journal().record_job(job.record(State::Queued));
        tracing::info!(job = %job.id, names = order.names.join("+"), "job came");
        let (jobs, theirs, archive) = (self.clone(), job.clone(), order.upload.archive);
        self.0.tasks.spawn(async move {
            let over = Over { jobs: jobs.clone(), job: theirs.clone() };
            let place = match place {
                Some(place) => place,
                None => tokio::select! {
                    place = jobs.0.places.clone().acquire_owned() => place.expect("never closed"),
                    () = theirs.cancel.cancelled() => return over.ended(State::Cancelled),
                },
            };
            drop(waiting);
            theirs.state.send_replace(State::Running);
            let state = super::sequence::carry_out(&jobs, &theirs, archive).await;
            over.ended(state);
            // Now, not before: whoever gets the place would be one job too many on the list.
            drop(place);
        });
        Ok(job)
    }

    /// What no job's log may show, whatever its tools print: the token that signs bundles.
    fn known_secrets(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.0.token.reveal().to_owned())
    }

    fn job(&self, order: &JobOrder) -> Job {
        Job {
            id: Ulid::generate(),
            names: order.names.clone(),
            came: Instant::now(),
            log: JobLog::new(Masks::of(self.known_secrets().chain(order.variables.secrets()))),
            variables: order.variables.clone(),
            callback: Callback::new(&self.0.callback_base),
            cancel: CancellationToken::new(),
            digest: order.upload.digest.clone(),
            state: watch::Sender::new(State::Queued),
        }
    }

    /// The jobs that wait or run, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Job>> {
        self.live().values().cloned().collect()
    }

    /// A job that waits or runs.
    #[must_use]
    pub fn find(&self, id: Ulid) -> Option<Arc<Job>> {
        self.live().get(&id).cloned()
    }

    /// Ends a job; whether there was one.
    #[must_use]
    pub fn cancel(&self, id: Ulid) -> bool {
        self.find(id).map(|job| job.cancel.cancel()).is_some()
    }

    /// Where jobs that ended are found again.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        self.0.runs.journal()
    }

    /// Takes no more jobs and waits for those under way; what is left after the grace is cancelled.
    pub async fn stop(&self, grace: Duration) {
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            self.list().iter().for_each(|job| job.cancel.cancel());
            self.0.tasks.wait().await;
        }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<Ulid, Arc<Job>>> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Waits for its end.
    pub async fn ended(&self) -> State {
        let mut state = self.state.subscribe();
        let ended = state.wait_for(|state| state.is_over()).await;
        ended.map_or(State::Failed, |state| *state)
    }

    /// What the journal keeps.
    fn record(&self, state: State) -> JobRecord {
        let came = self.id.datetime().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        JobRecord {
            job: self.id.to_string(),
            names: self.names.join("+"),
            digest: self.digest.clone(),
            state: state.name().to_owned(),
            started_ms: u64::try_from(came.as_millis()).unwrap_or(u64::MAX),
            elapsed_ms: u64::try_from(self.came.elapsed().as_millis()).unwrap_or(u64::MAX),
            log: self.log.kept(JOURNAL_BYTES),
        }
    }
}

/// Brings a job to its end, whatever became of its task.
struct Over {
    jobs: Jobs,
    job: Arc<Job>,
}

impl Over {
    fn ended(mut self, state: State) {
        if state == State::Cancelled {
            self.job.log.note("failure (cancelled)");
        }
        self.finish(state);
    }

    /// Once the state says that it is over, the folder is gone and the journal knows.
    fn finish(&mut self, state: State) {
        let (jobs, job) = (&self.jobs, &self.job);
        drop(job.callback.take_folder());
        jobs.journal().record_job(job.record(state));
        jobs.live().remove(&job.id);
        job.state.send_replace(state);
        job.log.close();
        let elapsed_ms = job.came.elapsed().as_millis();
        tracing::info!(job = %job.id, state = state.name(), elapsed_ms, "job ended");
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        if !self.job.state().is_over() {
            self.job.log.note("unexpected failure (the host ended the job)");
            self.finish(State::Failed);
        }
    }
}

/// Counts a job that waits, for as long as it does.
struct Waiting(Arc<Inner>);

impl Waiting {
    fn new(inner: Arc<Inner>) -> Option<Self> {
        let (before, max) = (inner.waiting.fetch_add(1, Ordering::SeqCst), inner.waiting_max);
        let counted = Self(inner);
        (before < max).then_some(counted)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
