//! The snapshot: the pods that were configured, for dependants to read.

use zookeeper_client::{Client, Error};

use crate::cluster::Pods;
use crate::registry::election::Lead;
use crate::registry::session::{EPHEMERAL, steady};

/// Publishes these pods.
///
/// The node is ephemeral, so that pods of the original that depend on this cluster see it go with its leader. One that belongs
/// to another session is replaced: it would go when that session ends.
pub(crate) async fn publish(client: &Client, lead: &Lead<'_>, path: &str, pods: &Pods) -> Result<(), Error> {
    let content = ocho_core::json::to_line(pods).into_bytes();
    loop {
        let stat = steady(client, || client.check_stat(path)).await?;
        let done = match stat {
            None => steady(client, || client.create(path, &content, &EPHEMERAL)).await.map(drop),
            Some(stat) if stat.ephemeral_owner == client.session_id().0 => {
                return steady(client, || lead.lock().set_data(path, &content, None)).await.map(drop);
            }
            Some(_) => match steady(client, || lead.lock().delete(path, None)).await {
                Ok(()) => continue,
                refused => refused,
            },
        };
        match done {
            // Somebody else was quicker, or the answer to our own request was lost.
            Err(Error::NodeExists | Error::NoNode) => {}
            done => return done,
        }
    }
}
