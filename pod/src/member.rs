//! A pod without a sub-process: registered, and configured by being there. The host daemon is two of them.

use std::convert::Infallible;
use std::time::Duration;

use ocho_core::{ClusterName, PodSeq};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use zookeeper_client::{Client, Error};

use crate::identity::random_uuid;
use crate::leader::eyes::Roster;
use crate::leader::snapshot;
use crate::registry::ClusterPaths;
use crate::registry::election::Lead;
use crate::registry::membership::Membership;
use crate::registry::session;
use crate::zookeeper_hosts::ZookeeperHosts;

/// Pause after something in the registry went wrong.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of a member's place in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its number, from the first registration on. It stays the same for the life of the member.
    pub seq: Option<PodSeq>,
    /// Whether it is registered at present.
    pub registered: bool,
    /// Whether it leads its cluster: it then publishes who is there, for clusters that depend on this one.
    pub leads: bool,
}

/// A pod to be registered.
#[derive(Debug)]
pub struct Member {
    zookeeper: ZookeeperHosts,
    cluster: ClusterName,
    membership: Membership,
    standing: watch::Sender<Standing>,
}

impl Member {
    /// Prepares a member of `cluster`.
    ///
    /// `registration` is written as it is, plus `seq`; others need at least `ip` (a text), `port` (a text) and `ports` (texts to
    /// numbers) in it to reach the member, and `application` and `task` to find it. It must hold no secret: everybody can read it.
    #[must_use]
    pub fn new(zookeeper: ZookeeperHosts, cluster: ClusterName, registration: Map<String, Value>) -> Self {
        let membership = Membership::new(random_uuid(), ClusterPaths::new(&cluster), registration);
        Self { zookeeper, cluster, membership, standing: watch::Sender::new(Standing::default()) }
    }

    /// Follows the member's standing.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Keeps the member registered, over any number of sessions, until told to stop. The registration is gone afterwards.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let client = tokio::select! {
                () = stop.cancelled() => return,
                client = session::open(&self.zookeeper) => client,
            };
            let end = tokio::select! {
                () = stop.cancelled() => Ok(()),
                () = session::ended(&client) => Err(Error::SessionExpired),
                Err(error) = self.take_part(&client) => Err(error),
            };
            self.standing.send_modify(|standing| (standing.registered, standing.leads) = (false, false));
            session::close(client).await;
            match end {
                Ok(()) => return,
                Err(error) => warn!(cluster = %self.cluster, %error, "registering again"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn take_part(&mut self, client: &Client) -> Result<Infallible, Error> {
        let registered = self.membership.register(client).await?;
        self.standing.send_modify(|standing| (standing.seq, standing.registered) = (Some(registered.seq), true));
        let paths = ClusterPaths::new(&self.cluster);
        loop {
            let lead = Lead::win(client, &paths).await?;
            self.standing.send_modify(|standing| standing.leads = true);
            let ended = tokio::select! {
                end = publish(client, &lead, &self.cluster) => end,
                lost = lead.lost() => { lost?; Err(Error::RuntimeInconsistent) }
            };
            self.standing.send_modify(|standing| standing.leads = false);
            match ended {
                Err(Error::RuntimeInconsistent) => sleep(PAUSE).await,
                Err(error) => return Err(error),
                Ok(never) => match never {},
            }
        }
    }
}

/// Publishes everybody who is registered: members need no configuration.
async fn publish(client: &Client, lead: &Lead<'_>, cluster: &ClusterName) -> Result<Infallible, Error> {
    let paths = ClusterPaths::new(cluster);
    let mut roster = Roster::new(client.clone(), cluster);
    let mut published = None;
    while let Some(local) = roster.next().await {
        if published.as_ref() != Some(&local.pods) {
            snapshot::publish(client, lead, &paths.snapshot(), &local.pods).await?;
            published = Some(local.pods);
        }
    }
    Err(Error::SessionExpired)
}
