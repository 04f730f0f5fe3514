//! The pod's own node: `/ochopod/clusters/<cluster>/pods/<uuid>.<number>`, ephemeral, with its registration as JSON.

use ocho_core::PodSeq;
use serde_json::{Map, Value};
use tracing::info;
use zookeeper_client::{Client, Error};

use crate::registry::ClusterPaths;
use crate::registry::session::{NUMBERED, is_passing, make_folder, steady};

/// A pod's place among the pods of its cluster. It outlives sessions: key and number stay.
#[derive(Debug)]
pub(crate) struct Membership {
    key: String,
    paths: ClusterPaths,
    registration: Map<String, Value>,
    seq: Option<PodSeq>,
    mistaken: Option<PodSeq>,
}

/// A node that stands in the registry.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    /// The pod's number.
    pub(crate) seq: PodSeq,
    /// The number that stood in its first node for a moment, where that was another one.
    pub(crate) mistaken: Option<PodSeq>,
    /// Transaction that created the node, or -1 where the server does not tell.
    pub(crate) zxid: i64,
    /// The node.
    pub(crate) path: String,
}

impl Membership {
    pub(crate) fn new(key: String, paths: ClusterPaths, registration: Map<String, Value>) -> Self {
        Self { key, paths, registration, seq: None, mistaken: None }
    }

    /// Adds a member to the registration that is written from now on.
    pub(crate) fn mark(&mut self, name: &str, value: Value) {
        self.registration.insert(name.to_owned(), value);
    }

    /// Registers in a new session.
    ///
    /// The number comes from the server with the node, and it stands inside the node as well. A node must never be seen
    /// half written, so it is created with the number that it will most likely get, and corrected if another pod came first.
    pub(crate) async fn register(&mut self, client: &Client) -> Result<Registered, Error> {
        let folder = self.paths.pods();
        make_folder(client, &folder).await?;
        make_folder(client, &self.paths.hash()).await?;
        let guess = match self.seq {
            Some(seq) => seq,
            None => next_number(client, &folder).await?,
        };
        let (path, number) = self.create(client, &folder, guess).await?;
        let seq = *self.seq.get_or_insert(number);
        if seq != guess {
            self.mistaken = Some(guess);
            let content = self.content(seq);
            steady(client, || client.set_data(&path, &content, None)).await?;
        }
        self.remove_leftovers(client, &folder, &path).await?;
        let stat = steady(client, || client.check_stat(&path)).await?;
        info!(seq = seq.0, node = path, "registered");
        Ok(Registered { seq, mistaken: self.mistaken, zxid: stat.map_or(-1, |stat| stat.czxid), path })
    }

    /// Writes the registration again, after [`Membership::mark`].
    pub(crate) async fn write_again(&self, client: &Client, registered: &Registered) -> Result<(), Error> {
        let content = self.content(registered.seq);
        steady(client, || client.set_data(&registered.path, &content, None)).await.map(drop)
    }

    async fn create(&self, client: &Client, folder: &str, seq: PodSeq) -> Result<(String, PodSeq), Error> {
        let prefix = format!("{folder}/{}.", self.key);
        let content = self.content(seq);
        loop {
            match client.create(&prefix, &content, &NUMBERED).await {
                Ok((_, number)) => {
                    let seq = u32::try_from(number.into_i64()).map_err(|_| Error::UnexpectedError(format!("number {number}")))?;
                    return Ok((format!("{prefix}{number}"), PodSeq(seq)));
                }
                // The node may be there although the answer was lost.
                Err(error) if is_passing(&error) && !client.state().is_terminated() => {
                    if let Some(found) = self.find_own(client, folder).await? {
                        return Ok(found);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn find_own(&self, client: &Client, folder: &str) -> Result<Option<(String, PodSeq)>, Error> {
        for (path, seq) in self.own_nodes(client, folder).await? {
            let stat = steady(client, || client.check_stat(&path)).await?;
            if stat.is_some_and(|stat| stat.ephemeral_owner == client.session_id().0) {
                return Ok(Some((path, seq)));
            }
        }
        Ok(None)
    }

    /// Nodes that sessions before this one left behind, and that the server has not yet expired.
    async fn remove_leftovers(&self, client: &Client, folder: &str, current: &str) -> Result<(), Error> {
        for (path, _) in self.own_nodes(client, folder).await? {
            if path != current {
                match steady(client, || client.delete(&path, None)).await {
                    Ok(()) | Err(Error::NoNode) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    async fn own_nodes(&self, client: &Client, folder: &str) -> Result<Vec<(String, PodSeq)>, Error> {
        let children = steady(client, || client.list_children(folder)).await?;
        let own = |child: String| {
            let number = child.strip_prefix(&self.key)?.strip_prefix('.')?.parse().ok()?;
            Some((format!("{folder}/{child}"), PodSeq(number)))
        };
        Ok(children.into_iter().filter_map(own).collect())
    }

    fn content(&self, seq: PodSeq) -> Vec<u8> {
        let mut registration = self.registration.clone();
        registration.insert("seq".to_owned(), Value::from(seq.0));
        ocho_core::json::to_line(&registration).into_bytes()
    }
}

/// The number that the next node in a folder gets: how many were created there so far.
///
/// The server counts creations and deletions together and tells how many are left.
async fn next_number(client: &Client, folder: &str) -> Result<PodSeq, Error> {
    let stat = steady(client, || client.check_stat(folder)).await?.ok_or(Error::NoNode)?;
    let created = (i64::from(stat.cversion) + i64::from(stat.num_children)) / 2;
    Ok(PodSeq(u32::try_from(created).unwrap_or(0)))
}
