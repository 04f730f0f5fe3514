//! The task that owns the session: it answers questions in batches and follows the watches in between.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use ocho_core::ClusterGlob;
use ocho_runtime::host::{Pod, Problem, RegistryError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::ZooKeeperConfig;
use super::connect::{self, Servers};
use super::session::{Failed, News, Session};

/// Pauses between attempts to reach a server: short for one that restarts, longer for one that is down.
const PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(1);
/// Questions that one `sync` answers at most.
const BATCH: usize = 1024;

/// One `find` on its way.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) glob: ClusterGlob,
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<Result<Vec<Arc<Pod>>, RegistryError>>,
}

/// What questioners and the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) servers: Servers,
    pub(super) config: ZooKeeperConfig,
    /// What went wrong last, for the text of a question that ran out of time.
    pub(super) last_trouble: Mutex<String>,
}

impl Shared {
    /// The error of a question that waited in vain.
    pub(super) fn unreachable(&self) -> RegistryError {
        let trouble = self.last_trouble.lock().map(|text| text.clone()).unwrap_or_default();
        let because = if trouble.is_empty() { String::new() } else { format!(": {trouble}") };
        let waited = self.config.find_timeout.as_secs_f64();
        RegistryError::Unreachable(format!("no answer from ZooKeeper at `{}` within {waited} s{because}", self.servers.listed()))
    }

    /// The error of a question that came when the registry had been away for a while.
    fn away_for(&self, away: Duration) -> RegistryError {
        let trouble = self.last_trouble.lock().map(|text| text.clone()).unwrap_or_default();
        let because = if trouble.is_empty() { String::new() } else { format!(": {trouble}") };
        let since = away.as_secs();
        RegistryError::Unreachable(format!("no answer from ZooKeeper at `{}` for {since} s{because}", self.servers.listed()))
    }

    fn note(&self, trouble: String) {
        if let Ok(mut last) = self.last_trouble.lock() {
            *last = trouble;
        }
    }
}

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) changes: Arc<watch::Sender<u64>>,
    session: Option<Session>,
    preferred: Option<String>,
    /// When the first attempt failed since one worked.
    away_since: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, questions: mpsc::Receiver<Question>, changes: Arc<watch::Sender<u64>>) -> Self {
        Self { shared, questions, changes, session: None, preferred: None, away_since: None }
    }

    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            self.answer(batch).await;
        }
    }

    /// Waits for questions and follows the session meanwhile. What came while the last batch was under way makes one batch.
    async fn next_batch(&mut self) -> Option<Vec<Question>> {
        let first = loop {
            let Some(session) = &mut self.session else { break self.questions.recv().await? };
            tokio::select! {
                question = self.questions.recv() => break question?,
                news = session.news() => if news == News::Lost {
                    debug!("connection to the registry lost");
                    self.give_up_session("connection lost".to_owned());
                }
            }
        };
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = self.questions.try_recv()
        {
            batch.push(next);
        }
        Some(batch)
    }

    async fn answer(&mut self, batch: Vec<Question>) {
        let globs: Vec<ClusterGlob> = batch.iter().map(|question| question.glob.clone()).collect();
        let deadline = batch.iter().map(|question| question.deadline).max().unwrap_or_else(Instant::now);
        // The client library asserts what a server may send; one that talks nonsense must not end this task.
        let work = AssertUnwindSafe(self.bring_up_to_date(&globs)).catch_unwind();
        let outcome = match timeout_at(deadline, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => {
                warn!("the ZooKeeper client failed on what a server sent");
                self.give_up_session("a server sent what ZooKeeper does not send".to_owned());
                Err(self.shared.unreachable())
            }
            Err(_elapsed) => {
                self.give_up_session(self.last_trouble_or("no reply in time"));
                Err(self.shared.unreachable())
            }
        };
        for question in batch {
            let answer = match (&outcome, &self.session) {
                (Ok(()), Some(session)) => Ok(session.cache().pods(&question.glob)),
                (Ok(()), None) => Err(self.shared.unreachable()),
                (Err(error), _) => Err(error.clone()),
            };
            // Whoever asked may have gone.
            let _ = question.answer.send(answer);
        }
    }

    /// Connects where needed and refreshes, again and again until it worked. Bounded by its caller.
    async fn bring_up_to_date(&mut self, globs: &[ClusterGlob]) -> Result<(), RegistryError> {
        let mut pause = *PAUSE.start();
        loop {
            let trouble = match self.refresh(globs).await {
                Ok(()) => {
                    self.shared.note(String::new());
                    self.away_since = None;
                    return Ok(());
                }
                Err(Failed::TooMany) => {
                    self.give_up_session(String::new());
                    return Err(too_many(self.shared.config.pods_limit));
                }
                Err(Failed::Lost(trouble)) => trouble,
            };
            debug!(error = trouble, "no answer from the registry, trying again");
            self.give_up_session(trouble);
            let away = self.away_since.get_or_insert_with(Instant::now).elapsed();
            if away >= self.shared.config.patience {
                return Err(self.shared.away_for(away));
            }
            sleep(pause).await;
            pause = (pause * 2).min(*PAUSE.end());
        }
    }

    async fn refresh(&mut self, globs: &[ClusterGlob]) -> Result<(), Failed> {
        if self.session.as_ref().is_some_and(|session| !session.is_live()) {
            self.give_up_session("connection lost".to_owned());
        }
        if self.session.is_none() {
            self.session = Some(self.connect().await?);
        }
        let Some(session) = &mut self.session else { return Err(Failed::Lost("no session".to_owned())) };
        session.refresh(globs).await.map_err(|failed| match (failed, &self.preferred) {
            (Failed::Lost(reason), Some(server)) => Failed::Lost(format!("{server}: {reason}")),
            (failed, _) => failed,
        })
    }

    async fn connect(&mut self) -> Result<Session, Failed> {
        let Shared { servers, config, .. } = &*self.shared;
        let opened = connect::open(servers, self.preferred.as_deref(), config).await;
        let (client, server) = opened.map_err(Failed::Lost)?;
        info!(server, "connected to the registry");
        self.preferred = Some(server);
        Ok(Session::new(client, config.pods_limit, Arc::clone(&self.changes)))
    }

    /// Ends the session. Followers of changes have to look again.
    fn give_up_session(&mut self, trouble: String) {
        if !trouble.is_empty() {
            self.shared.note(trouble);
        }
        if self.session.take().is_some() {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn last_trouble_or(&self, otherwise: &str) -> String {
        let last = self.shared.last_trouble.lock().map(|text| text.clone()).unwrap_or_default();
        if last.is_empty() { otherwise.to_owned() } else { last }
    }
}

fn too_many(limit: usize) -> RegistryError {
    Problem::new("too-large", format!("the registry holds more than {limit} clusters or pods, and the host keeps no more")).into()
}
