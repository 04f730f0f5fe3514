//! The registry of pods, read by ZooKeeper's protocol.
//!
//! [`connect`] finds a server, [`session`] reads and watches, [`cache`] is what it knows, [`keeper`] is the task that owns
//! them and answers questions.

mod cache;
mod connect;
mod keeper;
mod session;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use ocho_core::ClusterGlob;
use ocho_runtime::host::{Pod, Registry, RegistryError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

pub use connect::HostsError;
use connect::Servers;
use keeper::{Keeper, Question, Shared};

/// Questions that wait for the keeper; more wait with their askers.
const QUEUE: usize = 256;

/// Where the registry is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct ZooKeeperConfig {
    /// The ensemble: `host:port,host:port`.
    pub hosts: String,
    /// How long one server may take to grant a session, and to give a sign of life afterwards. Default 3 s.
    pub connect_timeout: Duration,
    /// How long the server remembers us when we fall silent. Nothing depends on it but its own tidiness. Default 10 s.
    pub session_timeout: Duration,
    /// How long one [`Registry::find`] may wait in all. Default 10 s.
    pub find_timeout: Duration,
    /// How long the registry may be away before each [`Registry::find`] gives up after one more attempt. A server that restarts is
    /// back within that time, and questions wait for it. Default 3 s.
    pub patience: Duration,
    /// How long [`Registry::changes`] waits after a change for more of them. Default 50 ms.
    pub settle: Duration,
    /// How many clusters and how many nodes are kept at most. Default 100,000.
    pub pods_limit: usize,
}

impl ZooKeeperConfig {
    /// The defaults for this ensemble.
    pub fn new(hosts: impl Into<String>) -> Self {
        Self {
            hosts: hosts.into(),
            connect_timeout: Duration::from_secs(3),
            session_timeout: Duration::from_secs(10),
            find_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(3),
            settle: Duration::from_millis(50),
            pods_limit: 100_000,
        }
    }
}

/// The registry of pods in a ZooKeeper ensemble.
///
/// The first question opens a session; a lost one is replaced when somebody asks again. A question costs one `sync` while
/// nothing changes, and one `sync` answers all questions that came during the one before it. See [`session::Session`] for
/// why the answer is as new as the question.
#[derive(Debug)]
pub struct ZooKeeperRegistry {
    asking: Arc<Asking>,
}

#[derive(Debug)]
struct Asking {
    shared: Arc<Shared>,
    questions: mpsc::Sender<Question>,
    changes: watch::Receiver<u64>,
    /// Ends with the last one that can ask.
    _keeper: AbortOnDropHandle<()>,
}

impl ZooKeeperRegistry {
    /// A registry that connects with the first question. Has to be called inside a tokio runtime.
    ///
    /// # Errors
    /// Where `hosts` does not name servers.
    pub fn new(config: ZooKeeperConfig) -> Result<Self, HostsError> {
        let servers = Servers::parse(&config.hosts)?;
        let shared = Arc::new(Shared { servers, config, last_trouble: Mutex::default() });
        let (questions, queue) = mpsc::channel(QUEUE);
        let (changed, changes) = watch::channel(0);
        let keeper = Keeper::new(Arc::clone(&shared), queue, Arc::new(changed));
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run()));
        Ok(Self { asking: Arc::new(Asking { shared, questions, changes, _keeper: keeper }) })
    }

    /// The servers, as `host:port,host:port`.
    #[must_use]
    pub fn servers(&self) -> String {
        self.asking.shared.servers.listed()
    }
}

impl Asking {
    async fn find(&self, glob: ClusterGlob) -> Result<Vec<Arc<Pod>>, RegistryError> {
        let deadline = Instant::now() + self.shared.config.find_timeout;
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.questions.send(Question { glob, deadline, answer }).await.ok()?;
            answered.await.ok()
        };
        // The keeper answers at the deadline itself; this is for a question that it did not even get to.
        match timeout_at(deadline + Duration::from_millis(100), asked).await {
            Ok(Some(result)) => result,
            Ok(None) | Err(_) => Err(self.shared.unreachable()),
        }
    }
}

impl Registry for ZooKeeperRegistry {
    fn find(&self, clusters: ClusterGlob) -> BoxFuture<'_, Result<Vec<Pod>, RegistryError>> {
        async { Ok(copied(&self.asking.find(clusters).await?)) }.boxed()
    }

    fn changes(&self, clusters: ClusterGlob) -> BoxStream<'static, Result<Vec<Pod>, RegistryError>> {
        let follower = Follower { asking: Arc::clone(&self.asking), changes: self.asking.changes.clone(), clusters, last: None };
        stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(pods) => Some((Ok(copied(&pods)), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}

fn copied(pods: &[Arc<Pod>]) -> Vec<Pod> {
    pods.iter().map(|pod| Pod::clone(pod)).collect()
}

/// One stream of changes. It holds no queue: whoever reads slowly gets fewer lists.
struct Follower {
    asking: Arc<Asking>,
    changes: watch::Receiver<u64>,
    clusters: ClusterGlob,
    last: Option<Vec<Arc<Pod>>>,
}

impl Follower {
    /// The list at first, then each list that differs from the one before.
    async fn next(&mut self) -> Result<Vec<Arc<Pod>>, RegistryError> {
        loop {
            if self.last.is_some() {
                if self.changes.changed().await.is_err() {
                    return Err(self.asking.shared.unreachable());
                }
                sleep(self.asking.shared.config.settle).await;
            }
            // What changes from here on is noticed, even while we ask.
            self.changes.borrow_and_update();
            let pods = self.asking.find(self.clusters.clone()).await?;
            if self.last.as_ref() != Some(&pods) {
                self.last = Some(pods.clone());
                return Ok(pods);
            }
        }
    }
}
