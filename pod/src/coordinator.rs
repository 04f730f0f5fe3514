//! The pod's place in the registry: a session, a registration, the queue for the lead; all of it anew when the session ends.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zookeeper_client::{Client, Error};

use crate::leader::Leader;
use crate::leader::topology::DEAD_MARK;
use crate::registry::ClusterPaths;
use crate::registry::election::Lead;
use crate::registry::membership::{Membership, Registered};
use crate::registry::session;
use crate::zookeeper_hosts::ZookeeperHosts;

/// Pause after something in the registry went wrong, so that it is not repeated without end.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the pod registered, and lets it lead when it is its turn.
pub(crate) struct Coordinator {
    pub(crate) zookeeper: ZookeeperHosts,
    pub(crate) membership: Membership,
    pub(crate) leader: Leader,
    /// Requests to start anew with a fresh session.
    pub(crate) resets: mpsc::Receiver<()>,
    /// Told where the pod is registered.
    pub(crate) registrations: watch::Sender<Option<Registered>>,
}

/// Why a session is not used any more.
enum End {
    Stopped,
    Reset,
    Lost,
    Broken(Error),
}

impl Coordinator {
    /// Runs until stopped. The registration is gone afterwards.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let client = tokio::select! {
                () = stop.cancelled() => return,
                client = session::open(&self.zookeeper) => client,
            };
            let end = self.use_session(&client, &stop).await;
            session::close(client).await;
            match end {
                End::Stopped => return,
                End::Reset => info!("starting anew with another session"),
                End::Lost => warn!("the session is lost, registering again"),
                End::Broken(error) => {
                    warn!(%error, "trouble with the registry, registering again");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    async fn use_session(&mut self, client: &Client, stop: &CancellationToken) -> End {
        let Self { membership, leader, resets, registrations, .. } = self;
        tokio::select! {
            () = stop.cancelled() => End::Stopped,
            Some(()) = resets.recv() => End::Reset,
            () = session::ended(client) => End::Lost,
            end = take_part(membership, leader, registrations, client) => match end {
                Err(Error::SessionExpired | Error::ClientClosed | Error::SessionMoved) => End::Lost,
                Err(error) => End::Broken(error),
            },
        }
    }
}

async fn take_part(
    membership: &mut Membership,
    leader: &Leader,
    registrations: &watch::Sender<Option<Registered>>,
    client: &Client,
) -> Result<Infallible, Error> {
    let registered = membership.register(client).await?;
    registrations.send_replace(Some(registered.clone()));
    if !leader.face.is_dead() {
        tokio::select! {
            end = stand(leader, client) => return end,
            () = leader.face.died() => {}
        }
    }
    bury(membership, leader, client, &registered).await
}

/// Queues for the lead, leads, and queues again when the lead alone is lost.
async fn stand(leader: &Leader, client: &Client) -> Result<Infallible, Error> {
    let paths = ClusterPaths::new(&leader.cluster);
    loop {
        let ended = async {
            let lead = Lead::win(client, &paths).await?;
            leader.lead(client, &lead).await
        };
        match ended.await {
            Err(Error::RuntimeInconsistent) => warn!("the lead was taken away"),
            Err(error) => return Err(error),
        }
        sleep(PAUSE).await;
    }
}

/// A dead pod stays registered, since tools look for it there, but says that it is dead and never leads.
async fn bury(
    membership: &mut Membership,
    leader: &Leader,
    client: &Client,
    registered: &Registered,
) -> Result<Infallible, Error> {
    membership.mark(DEAD_MARK, true.into());
    membership.write_again(client, registered).await?;
    let snapshot = ClusterPaths::new(&leader.cluster).snapshot();
    let stat = session::steady(client, || client.check_stat(&snapshot)).await?;
    // Ours would stand there for as long as this session.
    if stat.is_some_and(|stat| stat.ephemeral_owner == client.session_id().0) {
        match session::steady(client, || client.delete(&snapshot, None)).await {
            Ok(()) | Err(Error::NoNode) => {}
            Err(error) => return Err(error),
        }
    }
    std::future::pending().await
}
