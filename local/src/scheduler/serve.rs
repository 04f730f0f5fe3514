//! Starting and stopping.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::config::SchedulerConfig;
use super::engine::Engine;
use super::http;
use super::model::time::Timestamp;
use super::store::{Store, StoreError};

/// How long requests may take to finish once the scheduler stops.
const DRAIN: Duration = Duration::from_secs(2);

/// How long the folder may still be held by a scheduler that is on its way out: one that was killed while it started a task
/// leaves its lock to that process for a moment.
const LET_GO_WITHIN: Duration = Duration::from_secs(5);

/// How often to look whether it was let go.
const LOOK: Duration = Duration::from_millis(20);

/// Why a scheduler does not start.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// Somebody else has the port, or the address is not of this machine.
    #[error("cannot listen on `{address}` for the scheduler")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The data folder cannot be made or written.
    #[error("cannot use the folder `{folder}` for the scheduler")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The database cannot be opened or read.
    #[error("cannot use the scheduler's database `{path}`: {cause}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: String,
    },
    /// Another scheduler works in the data folder.
    #[error("another scheduler works in `{folder}`; stop it, or choose another folder")]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
}

/// A scheduler that listens but does not answer yet.
pub struct Scheduler {
    engine: Arc<Engine>,
    listener: TcpListener,
    /// Held as long as the scheduler lives.
    _lock: File,
}

impl Scheduler {
    /// Opens the database and the port. Nothing runs and nobody is answered before [`Scheduler::serve`].
    pub async fn bind(config: SchedulerConfig) -> Result<Self, SchedulerError> {
        let lock = claim(&config).await?;
        let path = config.data.join("scheduler.sqlite");
        let broken = |cause: StoreError| SchedulerError::Database { path: path.clone(), cause: cause.to_string() };
        let store = Store::open(&path).map_err(broken)?;
        let state = store.load(config.hostname.clone(), Timestamp::now()).map_err(broken)?;
        let wrong = |cause| SchedulerError::Listen { address: config.listen, cause };
        let listener = TcpListener::bind(config.listen).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let engine = Engine::new(config, address, state, store);
        Ok(Self { engine, listener, _lock: lock })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.engine.address
    }

    /// Works until `stop`, then ends all tasks and returns once they are gone, or after a bounded time.
    pub async fn serve(self, stop: CancellationToken) {
        let Self { engine, listener, _lock } = self;
        super::tasks::adopt::adopt(&engine).await;
        let mut work = JoinSet::new();
        let halt = engine.stop.clone();
        work.spawn(engine.clone().drive(halt.clone()));
        work.spawn(super::tasks::memory::watch(engine.clone(), halt.clone()));
        work.spawn(http::server::run(listener, http::router(engine.clone()), halt.clone()));
        stop.cancelled().await;
        halt.cancel();
        let drained = timeout(DRAIN, async { while work.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!("requests were cut off");
            work.shutdown().await;
        }
        engine.stop_tasks().await;
    }
}

/// Makes the folders, and makes sure that nobody else works in them.
async fn claim(config: &SchedulerConfig) -> Result<File, SchedulerError> {
    let wrong = |cause| SchedulerError::Folder { folder: config.data.clone(), cause };
    std::fs::create_dir_all(config.data.join("tasks")).map_err(wrong)?;
    let lock = File::create(config.data.join("scheduler.lock")).map_err(wrong)?;
    let give_up = Instant::now() + LET_GO_WITHIN;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => sleep(LOOK).await,
            Err(TryLockError::WouldBlock) => return Err(SchedulerError::InUse { folder: config.data.clone() }),
            Err(TryLockError::Error(cause)) => return Err(wrong(cause)),
        }
    }
}
