//! A session with ZooKeeper: opening it, outliving a short silence, knowing its end, closing it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error, SessionState};

use crate::zookeeper_hosts::ZookeeperHosts;

/// What the original asks for. The server may raise or lower it.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// Pause after a failed attempt; attempts never end.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Pause before a request is repeated that a broken connection swallowed.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long we wait for the server to confirm that a session is closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Nodes that stay: readable and writable for all, as the original makes them.
pub(crate) const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
/// Nodes that go with the session.
pub(crate) const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
/// The same, with a number from the server behind the name.
pub(crate) const NUMBERED: CreateOptions<'static> = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());

/// Opens a session, however long that takes. May be dropped midway.
pub(crate) async fn open(hosts: &ZookeeperHosts) -> Client {
    let mut told = false;
    loop {
        // An old server knows only the old request for creating a node, and a new one knows it too.
        let mut connector = Client::connector().with_session_timeout(SESSION_TIMEOUT).with_server_version(3, 4, 0);
        if let Some(credentials) = hosts.credentials() {
            connector = connector.with_auth("digest", credentials.as_bytes());
        }
        match timeout(CONNECT_LIMIT, connector.connect(&hosts.connect_string())).await {
            Ok(Ok(client)) => {
                info!(session = %client.session_id(), timeout_ms = client.session_timeout().as_millis() as u64, "connected to zookeeper");
                return client;
            }
            failed if !told => {
                let error = failed
                    .map_or_else(|_| "no answer".to_owned(), |failed| failed.err().map_or_else(String::new, |e| e.to_string()));
                warn!(zookeeper = %hosts, error, "cannot reach zookeeper, trying on");
                told = true;
            }
            _ => {}
        }
        sleep(RECONNECT_PAUSE).await;
    }
}

/// Waits until the session is over for good. A connection that comes back in time does not end it.
pub(crate) async fn ended(client: &Client) {
    let mut watcher = client.state_watcher();
    let mut state = watcher.state();
    while !state.is_terminated() {
        let next = watcher.changed().await;
        match (state, next) {
            (_, SessionState::Disconnected) => warn!("zookeeper is silent"),
            (SessionState::Disconnected, SessionState::SyncConnected) => info!("zookeeper is back"),
            _ => {}
        }
        state = next;
    }
}

/// Closes the session, so that everything ephemeral goes at once. Waits for the server, but not for long.
pub(crate) async fn close(client: Client) {
    let mut watcher = client.state_watcher();
    drop(client);
    let closed = async {
        while !watcher.state().is_terminated() {
            watcher.changed().await;
        }
    };
    if timeout(CLOSE_LIMIT, closed).await.is_err() {
        warn!("zookeeper does not confirm the end of the session, which will expire");
    }
}

/// Repeats a request for as long as only the connection is what fails. The request has to mean the same when done twice.
pub(crate) async fn steady<T, F>(client: &Client, request: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match request().await {
            Err(error) if is_passing(&error) && !client.state().is_terminated() => sleep(RETRY_PAUSE).await,
            done => return done,
        }
    }
}

/// Whether an error says nothing about the node and the same request may do later.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(error, Error::ConnectionLoss | Error::Timeout | Error::Throttled | Error::Custom(_))
}

/// Makes a folder and all above it.
pub(crate) async fn make_folder(client: &Client, path: &str) -> Result<(), Error> {
    steady(client, || client.mkdir(path, &PERSISTENT)).await
}
