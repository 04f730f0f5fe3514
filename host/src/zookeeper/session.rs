//! One session with one server, and the cache that its watches keep fresh.

use std::sync::Arc;

use futures::future::{Abortable, BoxFuture, FutureExt};
use futures::stream::{self, FuturesUnordered, StreamExt};
use ocho_core::ClusterGlob;
use ocho_core::registration::CLUSTERS_PATH;
use tokio::sync::watch;
use tracing::warn;
use zookeeper_client::{Client, Error, OneshotWatcher, SessionState, StateWatcher};

use super::cache::{Cache, Place, TooMany, Watch};

/// Lists and reads under way at once. A server stops reading from a client with many open requests anyway.
const LISTS_AT_ONCE: usize = 64;
const READS_AT_ONCE: usize = 256;

/// Why a session did not bring the cache up to date.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is of no use any more.
    Lost(String),
    /// The registry holds more than the daemon keeps.
    TooMany,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<TooMany> for Failed {
    fn from(_: TooMany) -> Self {
        Self::TooMany
    }
}

/// What a session has to tell while nobody asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Something was marked as changed.
    Changed,
    /// The connection is gone.
    Lost,
}

/// A session with the registry.
///
/// # Why a `find` sees what was there when it was asked
///
/// Everything goes over one connection, and a ZooKeeper server sends in order: the notice that something watched has
/// changed comes before any reply that shows the new state. [`Session::refresh`] first sends a `sync`, whose reply comes
/// after everything that the ensemble's leader had committed when it passed there. So when the reply is here, the notices
/// of all earlier changes are here too: the client library hands messages on in their order, to channels that
/// `watches` polls. `refresh` collects these notices, reads again what they name, and the cache is as new as the `sync`.
///
/// A connection that broke may have lost notices, so its session is given up with its cache. A new one costs little, since
/// nothing of ours lives in it.
pub(super) struct Session {
    client: Client,
    state: StateWatcher,
    watches: FuturesUnordered<BoxFuture<'static, Option<Place>>>,
    cache: Cache,
    /// Counted up whenever something changed.
    changes: Arc<watch::Sender<u64>>,
}

/// A list of children; empty where the parent does not exist (yet).
struct Listing {
    names: Vec<String>,
    watcher: OneshotWatcher,
}

/// A node's content, or nothing where it vanished.
type Content = Option<(i64, Vec<u8>, OneshotWatcher)>;

impl Session {
    pub(super) fn new(client: Client, pods_limit: usize, changes: Arc<watch::Sender<u64>>) -> Self {
        let state = client.state_watcher();
        Self { client, state, watches: FuturesUnordered::new(), cache: Cache::new(pods_limit), changes }
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(super) fn is_live(&self) -> bool {
        self.client.state() == SessionState::SyncConnected
    }

    /// Waits for news. May be dropped at any time.
    pub(super) async fn news(&mut self) -> News {
        tokio::select! {
            () = disconnected(&mut self.state) => News::Lost,
            place = fired(&mut self.watches) => {
                self.mark_changed(&place);
                News::Changed
            }
        }
    }

    /// Makes the cache as new as the moment of this call for the clusters that match one of `globs`.
    pub(super) async fn refresh(&mut self, globs: &[ClusterGlob]) -> Result<(), Failed> {
        let mut state = self.state.clone();
        tokio::select! {
            done = self.bring_up_to_date(globs) => done,
            () = disconnected(&mut state) => Err(Failed::Lost("connection lost".to_owned())),
        }
    }

    async fn bring_up_to_date(&mut self, globs: &[ClusterGlob]) -> Result<(), Failed> {
        self.client.sync(CLUSTERS_PATH).await?;
        // With a waker of its own `now_or_never` polls whatever was woken; the senders ran before the reply was sent.
        while let Some(Some(fired)) = self.watches.next().now_or_never() {
            if let Some(place) = fired {
                self.mark_changed(&place);
            }
        }
        if self.cache.needs_clusters() {
            let Listing { names, watcher } = list(&self.client, CLUSTERS_PATH).await?;
            let watch = self.arm(Place::Root, watcher);
            self.cache.set_clusters(names, Some(watch))?;
        }
        self.list_nodes(globs).await?;
        self.read_nodes(globs).await
    }

    async fn list_nodes(&mut self, globs: &[ClusterGlob]) -> Result<(), Failed> {
        let client = self.client.clone();
        let mut lists = stream::iter(self.cache.clusters_to_list(globs))
            .map(|cluster| {
                let client = client.clone();
                async move { (list(&client, &pods_path(&cluster)).await, cluster) }
            })
            .buffer_unordered(LISTS_AT_ONCE);
        while let Some((listing, cluster)) = lists.next().await {
            let Some(Listing { names, watcher }) = unless_refused(listing, &cluster, None)? else { continue };
            let watch = self.arm(Place::Cluster(cluster.clone()), watcher);
            self.cache.set_nodes(&cluster, names, Some(watch))?;
        }
        Ok(())
    }

    async fn read_nodes(&mut self, globs: &[ClusterGlob]) -> Result<(), Failed> {
        let client = self.client.clone();
        let mut reads = stream::iter(self.cache.nodes_to_read(globs))
            .map(|(cluster, node)| {
                let client = client.clone();
                async move { (read(&client, &format!("{}/{node}", pods_path(&cluster))).await, cluster, node) }
            })
            .buffer_unordered(READS_AT_ONCE);
        while let Some((content, cluster, node)) = reads.next().await {
            match unless_refused(content, &cluster, Some(&node))? {
                Some(Some((created, content, watcher))) => {
                    let watch = self.arm(Place::Node(cluster.clone(), node.clone()), watcher);
                    self.cache.set_content(&cluster, &node, created, &content, Some(watch));
                }
                Some(None) => self.cache.set_vanished(&cluster, &node),
                None => {}
            }
        }
        Ok(())
    }

    fn mark_changed(&mut self, place: &Place) {
        self.cache.mark_changed(place);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Polls the watch from now on, until it fires or is dropped.
    fn arm(&self, place: Place, watcher: OneshotWatcher) -> Watch {
        let (handle, registration) = futures::future::AbortHandle::new_pair();
        let fired = Abortable::new(watcher.changed(), registration);
        self.watches.push(async move { fired.await.ok().map(|_event| place) }.boxed());
        Watch(handle)
    }
}

/// Waits for the next watch that fires. One that was taken back gives nothing.
async fn fired(watches: &mut FuturesUnordered<BoxFuture<'static, Option<Place>>>) -> Place {
    loop {
        match watches.next().await {
            Some(Some(place)) => return place,
            Some(None) => {}
            None => return std::future::pending().await,
        }
    }
}

/// Ends when the connection is gone for a moment or for good.
async fn disconnected(state: &mut StateWatcher) {
    let mut now = state.peek_state();
    while now == SessionState::SyncConnected {
        now = state.changed().await;
    }
}

/// A cluster or node that we may not read is left out and asked for again next time; any other failure is the session's.
fn unless_refused<T>(result: Result<T, Error>, cluster: &str, node: Option<&str>) -> Result<Option<T>, Failed> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Error::NoAuth | Error::BadArguments(_))) => {
            warn!(cluster, node, %error, "left out what the registry does not show");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn pods_path(cluster: &str) -> String {
    format!("{CLUSTERS_PATH}/{cluster}/pods")
}

/// Lists the children of `path` and watches them; where it does not exist, watches for its creation.
async fn list(client: &Client, path: &str) -> Result<Listing, Error> {
    loop {
        match client.list_and_watch_children(path).await {
            Ok((names, watcher)) => return Ok(Listing { names, watcher }),
            Err(Error::NoNode) => {}
            Err(error) => return Err(error),
        }
        // Created since we looked: look again.
        if let (None, watcher) = client.check_and_watch_stat(path).await? {
            return Ok(Listing { names: Vec::new(), watcher });
        }
    }
}

async fn read(client: &Client, path: &str) -> Result<Content, Error> {
    match client.get_and_watch_data(path).await {
        Ok((content, stat, watcher)) => Ok(Some((stat.czxid, content, watcher))),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}
