//! The journal: what ran and how it ended. SQLite, in the data folder or in memory; written behind, in batches.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use tokio::sync::oneshot;

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRecord {
    /// Its id, a ULID: sorts by the time of the start.
    pub run: String,
    /// The run that started it, if a run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its tool.
    pub tool: String,
    /// The tool's revision.
    pub revision: u32,
    /// SHA-256 of the component.
    pub digest: String,
    /// Its command line, secrets masked.
    pub line: String,
    /// When it started, milliseconds since 1970.
    pub started_ms: u64,
    /// From start to end.
    pub elapsed_ms: u64,
    /// Processor time of the guest.
    pub cpu_ms: u64,
    /// What it chose, or 137.
    pub exit_code: u8,
    /// Why the host ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The guest's frames, where it trapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
    /// The first part of its standard output; nothing where the tool may see secrets.
    pub out: String,
    /// The first part of its standard error, likewise.
    pub err: String,
}

/// A job: a bundle with its parts, waiting, under way or over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRecord {
    /// Its id, a ULID: sorts by the time when it came.
    pub job: String,
    /// Names of its parts, joined by `+`.
    pub names: String,
    /// SHA-256 of the archive.
    pub digest: String,
    /// `queued` until it is over; then `succeeded`, `failed` or `cancelled`; `lost` where the host ended first.
    pub state: String,
    /// When it came, milliseconds since 1970.
    pub started_ms: u64,
    /// From then to its end.
    pub elapsed_ms: u64,
    /// The first part of its log, secrets masked.
    pub log: String,
}

/// Records runs. Cheap to clone; the last clone waits until all is written.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Order {
    Write(Record),
    Ask(Question),
}

enum Record {
    Run(Box<RunRecord>),
    Job(Box<JobRecord>),
}

enum Question {
    ListJobs { limit: u32, reply: oneshot::Sender<Vec<JobRecord>> },
    GetJob { job: String, reply: oneshot::Sender<Option<JobRecord>> },
    List { limit: u32, reply: oneshot::Sender<Vec<RunRecord>> },
    Get { run: String, reply: oneshot::Sender<Option<RunRecord>> },
}

impl Order {
    /// Whether somebody waits for it, or would miss it after a crash. Records of runs can wait for each other.
    fn is_urgent(&self) -> bool {
        !matches!(self, Self::Write(Record::Run(_)))
    }
}

/// Orders that wait for the thread. A record that finds it full is dropped, and told.
const WAITING: usize = 4096;

/// So long records of runs wait for more of them: a transaction costs more than a small run.
const GATHERING: Duration = Duration::from_millis(100);

/// So many are written without waiting for more.
const BATCH: usize = 1024;

/// Jobs that are kept; a log has up to 256 KiB.
const JOBS_KEPT: u32 = 500;

/// Runs that are kept: with a data folder, and without.
const KEPT: (u32, u32) = (10_000, 500);

/// What waits for the thread that writes. It is woken for the first of a batch, for what is urgent, and for a full batch; not
/// for each record, since that costs both threads more than the record does.
#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    orders: Vec<Order>,
    urgent: bool,
    closed: bool,
}

impl Queue {
    /// Whether there was room.
    fn push(&self, order: Order) -> bool {
        let mut state = self.lock();
        if state.orders.len() >= WAITING {
            return false;
        }
        state.urgent |= order.is_urgent();
        state.orders.push(order);
        let wakes = state.urgent || state.orders.len() == 1 || state.orders.len() == BATCH;
        drop(state);
        if wakes {
            self.news.notify_one();
        }
        true
    }

    fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// The next batch, once it is worth a transaction; nothing once the queue is closed and empty.
    fn next_batch(&self) -> Option<Vec<Order>> {
        let waits = |state: &mut Waiting| state.orders.is_empty() && !state.closed;
        let state = self.news.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let gathers = |state: &mut Waiting| !state.urgent && !state.closed && state.orders.len() < BATCH;
        let (mut state, _) = self.news.wait_timeout_while(state, GATHERING, gathers).unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        let batch = std::mem::take(&mut state.orders);
        (!batch.is_empty()).then_some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS runs (
        run TEXT PRIMARY KEY, parent TEXT, tool TEXT NOT NULL, revision INTEGER NOT NULL, digest TEXT NOT NULL, line TEXT NOT NULL,
        started_ms INTEGER NOT NULL, elapsed_ms INTEGER NOT NULL, cpu_ms INTEGER NOT NULL, exit_code INTEGER NOT NULL,
        reason TEXT, backtrace TEXT, out TEXT NOT NULL, err TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS jobs (
        job TEXT PRIMARY KEY, names TEXT NOT NULL, digest TEXT NOT NULL, state TEXT NOT NULL,
        started_ms INTEGER NOT NULL, elapsed_ms INTEGER NOT NULL, log TEXT NOT NULL
    ) WITHOUT ROWID;
    UPDATE jobs SET state = 'lost' WHERE state = 'queued'";

impl Journal {
    /// Opens the journal of a data folder, or one in memory.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no journal.
    pub fn open(folder: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match folder {
            Some(folder) => Connection::open(private(folder.join("journal.sqlite")))?,
            None => Connection::open_in_memory()?,
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(SCHEMA)?;
        let kept = if folder.is_some() { KEPT.0 } else { KEPT.1 };
        let queue = Arc::new(Queue::default());
        let theirs = queue.clone();
        let write = move || Writer { connection, kept, not_counted: 0 }.run(&theirs);
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(write).expect("a thread can be started");
        Ok(Self(Arc::new(Inner { queue, thread: Mutex::new(Some(thread)) })))
    }

    /// Records a run. Never waits: where the disk is too slow, the record is lost and the log says so.
    pub fn record(&self, record: RunRecord) {
        if !self.0.queue.push(Order::Write(Record::Run(Box::new(record)))) {
            tracing::warn!(waiting = WAITING, "journal is too slow, a run is not recorded");
        }
    }

    /// Records where a job stands.
    pub fn record_job(&self, record: JobRecord) {
        if !self.0.queue.push(Order::Write(Record::Job(Box::new(record)))) {
            tracing::warn!(waiting = WAITING, "journal is too slow, a job is not recorded");
        }
    }

    /// The newest jobs, newest first, without their logs.
    pub async fn list_jobs(&self, limit: u32) -> Vec<JobRecord> {
        self.ask(|reply| Question::ListJobs { limit, reply }).await.unwrap_or_default()
    }

    /// One job.
    pub async fn get_job(&self, job: &str) -> Option<JobRecord> {
        self.ask(|reply| Question::GetJob { job: job.to_owned(), reply }).await.flatten()
    }

    /// The newest runs, newest first, without what they printed.
    pub async fn list(&self, limit: u32) -> Vec<RunRecord> {
        self.ask(|reply| Question::List { limit, reply }).await.unwrap_or_default()
    }

    /// One run.
    pub async fn get(&self, run: &str) -> Option<RunRecord> {
        self.ask(|reply| Question::Get { run: run.to_owned(), reply }).await.flatten()
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        // A full queue is a disk that does not keep up: whoever asks then learns nothing.
        if !self.0.queue.push(Order::Ask(question(reply))) {
            return None;
        }
        answer.await.ok()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// Makes the file before SQLite does, for the host's user alone: it holds what tools printed. What SQLite puts beside it is as private.
fn private(file: PathBuf) -> PathBuf {
    // Where this fails, SQLite says why.
    let _ = File::options().create(true).append(true).mode(0o600).open(&file);
    file
}

struct Writer {
    connection: Connection,
    kept: u32,
    /// Records written since the oldest ones were last removed.
    not_counted: u32,
}

impl Writer {
    fn run(mut self, queue: &Queue) {
        while let Some(batch) = queue.next_batch() {
            let (mut records, mut questions) = (Vec::new(), Vec::new());
            for order in batch {
                match order {
                    Order::Write(record) => records.push(record),
                    Order::Ask(question) => questions.push(question),
                }
            }
            // A full disk takes nothing more; what is on it can still be read.
            if let Err(error) = self.write(records) {
                tracing::error!(%error, "journal cannot be written");
            }
            // Asked after the records before it were written, so that a run that just ended is found.
            for question in questions {
                if let Err(error) = self.answer(question) {
                    tracing::error!(%error, "journal cannot be read");
                }
            }
        }
    }

    fn write(&mut self, records: Vec<Record>) -> rusqlite::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for record in records {
            match record {
                Record::Run(record) => {
                    insert(&transaction, &record)?;
                    self.not_counted += 1;
                }
                Record::Job(record) => {
                    insert_job(&transaction, &record)?;
                    remove_oldest(&transaction, "jobs", "job", JOBS_KEPT)?;
                }
            }
        }
        // Looking for the oldest reads through all that are kept, so not for each batch.
        if self.not_counted >= self.kept / 10 {
            remove_oldest(&transaction, "runs", "run", self.kept)?;
            self.not_counted = 0;
        }
        transaction.commit()
    }

    fn answer(&self, question: Question) -> rusqlite::Result<()> {
        match question {
            Question::List { limit, reply } => {
                // What they printed may be long, and a list does without.
                let listed = "SELECT run, parent, tool, revision, digest, line, started_ms, elapsed_ms, cpu_ms, exit_code, reason, \
                              NULL AS backtrace, '' AS out, '' AS err FROM runs ORDER BY run DESC LIMIT ?1";
                let mut statement = self.connection.prepare_cached(listed)?;
                let rows: Result<Vec<RunRecord>, _> = statement.query_map(params![limit.min(self.kept)], read)?.collect();
                let _ = reply.send(rows?);
            }
            Question::Get { run, reply } => {
                let mut statement = self.connection.prepare_cached("SELECT * FROM runs WHERE run = ?1")?;
                let _ = reply.send(statement.query_row(params![run], read).optional()?);
            }
            Question::ListJobs { limit, reply } => {
                let listed =
                    "SELECT job, names, digest, state, started_ms, elapsed_ms, '' AS log FROM jobs ORDER BY job DESC LIMIT ?1";
                let mut statement = self.connection.prepare_cached(listed)?;
                let rows: Result<Vec<JobRecord>, _> = statement.query_map(params![limit], read_job)?.collect();
                let _ = reply.send(rows?);
            }
            Question::GetJob { job, reply } => {
                let mut statement = self.connection.prepare_cached("SELECT * FROM jobs WHERE job = ?1")?;
                let _ = reply.send(statement.query_row(params![job], read_job).optional()?);
            }
        }
        Ok(())
    }
}

fn remove_oldest(connection: &Connection, table: &str, id: &str, kept: u32) -> rusqlite::Result<()> {
    let older = format!("DELETE FROM {table} WHERE {id} <= (SELECT {id} FROM {table} ORDER BY {id} DESC LIMIT 1 OFFSET ?1)");
    connection.prepare_cached(&older)?.execute(params![kept]).map(drop)
}

fn insert(connection: &Connection, record: &RunRecord) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")?;
    statement.execute(params![
        record.run,
        record.parent,
        record.tool,
        record.revision,
        record.digest,
        record.line,
        i64::try_from(record.started_ms).unwrap_or(i64::MAX),
        i64::try_from(record.elapsed_ms).unwrap_or(i64::MAX),
        i64::try_from(record.cpu_ms).unwrap_or(i64::MAX),
        record.exit_code,
        record.reason,
        record.backtrace,
        record.out,
        record.err,
    ])?;
    Ok(())
}

fn insert_job(connection: &Connection, record: &JobRecord) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO jobs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    statement.execute(params![
        record.job,
        record.names,
        record.digest,
        record.state,
        i64::try_from(record.started_ms).unwrap_or(i64::MAX),
        i64::try_from(record.elapsed_ms).unwrap_or(i64::MAX),
        record.log,
    ])?;
    Ok(())
}

fn read_job(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    let number = |name| row.get::<_, i64>(name).map(|number| u64::try_from(number).unwrap_or_default());
    Ok(JobRecord {
        job: row.get("job")?,
        names: row.get("names")?,
        digest: row.get("digest")?,
        state: row.get("state")?,
        started_ms: number("started_ms")?,
        elapsed_ms: number("elapsed_ms")?,
        log: row.get("log")?,
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let number = |name| row.get::<_, i64>(name).map(|number| u64::try_from(number).unwrap_or_default());
    Ok(RunRecord {
        run: row.get("run")?,
        parent: row.get("parent")?,
        tool: row.get("tool")?,
        revision: row.get("revision")?,
        digest: row.get("digest")?,
        line: row.get("line")?,
        started_ms: number("started_ms")?,
        elapsed_ms: number("elapsed_ms")?,
        cpu_ms: number("cpu_ms")?,
        exit_code: row.get("exit_code")?,
        reason: row.get("reason")?,
        backtrace: row.get("backtrace")?,
        out: row.get("out")?,
        err: row.get("err")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: &str) -> RunRecord {
        RunRecord {
            run: run.to_owned(),
            parent: None,
            tool: "ls".to_owned(),
            revision: 1,
            digest: "d".to_owned(),
            line: "ls -j".to_owned(),
            started_ms: 1,
            elapsed_ms: 2,
            cpu_ms: 3,
            exit_code: 0,
            reason: None,
            backtrace: Some("b".to_owned()),
            out: "o".to_owned(),
            err: String::new(),
        }
    }

    #[tokio::test]
    async fn what_was_recorded_is_found_newest_first() {
        let journal = Journal::open(None).unwrap();
        journal.record(record("01A"));
        journal.record(record("01B"));
        let short = |run: &str| RunRecord { backtrace: None, out: String::new(), ..record(run) };
        assert_eq!(journal.list(10).await, [short("01B"), short("01A")]);
        assert_eq!(journal.list(1).await, [short("01B")]);
        assert_eq!(journal.get("01A").await, Some(record("01A")));
        assert_eq!(journal.get("' OR 1=1 --").await, None);
    }

    #[tokio::test]
    async fn a_job_whose_host_ended_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let job = |job: &str, state: &str| JobRecord {
            job: job.to_owned(),
            names: "deploy+test".to_owned(),
            digest: "d".to_owned(),
            state: state.to_owned(),
            started_ms: 1,
            elapsed_ms: 2,
            log: "one\n".to_owned(),
        };
        let journal = Journal::open(Some(folder.path())).unwrap();
        journal.record_job(job("01A", "queued"));
        journal.record_job(job("01B", "queued"));
        journal.record_job(job("01B", "failed"));
        assert_eq!(journal.get_job("01B").await, Some(job("01B", "failed")));
        drop(journal);
        let journal = Journal::open(Some(folder.path())).unwrap();
        let listed: Vec<_> = journal.list_jobs(10).await.into_iter().map(|job| (job.job, job.state, job.log)).collect();
        let line = |job: &str, state: &str| (job.to_owned(), state.to_owned(), String::new());
        assert_eq!(listed, [line("01B", "failed"), line("01A", "lost")]);
    }

    #[tokio::test]
    async fn the_oldest_go() {
        let journal = Journal::open(None).unwrap();
        for n in 0..600 {
            journal.record(record(&format!("{n:04}")));
        }
        let left = journal.list(1000).await;
        assert_eq!((left.len(), left[0].run.as_str(), left[499].run.as_str()), (500, "0599", "0100"));
    }

    #[tokio::test]
    async fn more_than_a_batch_at_once() {
        let journal = Journal::open(None).unwrap();
        let many = BATCH as u32 + 10;
        (0..many).for_each(|n| journal.record(record(&format!("{n:04}"))));
        assert_eq!(journal.get(&format!("{:04}", many - 1)).await.map(|run| run.run), Some(format!("{:04}", many - 1)));
        drop(journal);
    }

    #[tokio::test]
    async fn a_closed_journal_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        Journal::open(Some(folder.path())).unwrap().record(record("01A"));
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(folder.path().join("journal.sqlite")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o077, 0, "it is the host's alone");
        assert_eq!(Journal::open(Some(folder.path())).unwrap().list(10).await.len(), 1);
        std::fs::write(folder.path().join("journal.sqlite"), [b'x'; 5000]).unwrap();
        assert!(Journal::open(Some(folder.path())).is_err());
    }
}
