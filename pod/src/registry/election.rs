//! Who leads: the lock recipe in `/ochopod/clusters/<cluster>/coordinator`, shared with original pods.

use ocho_core::signature::hex;
use rand::RngExt;
use zookeeper_client::{Acls, Client, Error, LockClient, LockPrefix};

use crate::registry::ClusterPaths;
use crate::registry::session::{make_folder, steady};

/// Stands between the random name and the number. Original pods sort candidates by what follows it.
const LOCK: &str = "__lock__";

/// The lead. Dropping it gives it up.
pub(crate) struct Lead<'a> {
    lock: LockClient<'a>,
    /// Transaction that created the lock node: grows from leader to leader.
    pub(crate) epoch: i64,
}

impl<'a> Lead<'a> {
    /// Queues for the lead and waits for it, watching only the candidate ahead. May be dropped midway.
    pub(crate) async fn win(client: &'a Client, paths: &ClusterPaths) -> Result<Self, Error> {
        let folder = paths.coordinator();
        make_folder(client, &folder).await?;
        let name: [u8; 16] = rand::rng().random();
        let prefix = LockPrefix::new_custom(format!("{folder}/{}{LOCK}", hex(&name)), LOCK)?;
        let lock = client.lock(prefix, b"", Acls::anyone_all()).await?;
        let stat = steady(client, || client.check_stat(lock.lock_path())).await?.ok_or(Error::RuntimeInconsistent)?;
        Ok(Self { lock, epoch: stat.czxid })
    }

    /// Writes that fail once the lead is lost go through here.
    pub(crate) fn lock(&self) -> &LockClient<'a> {
        &self.lock
    }

    /// Waits until the lock node is gone, taken away by somebody else.
    pub(crate) async fn lost(&self) -> Result<(), Error> {
        let client = self.lock.client();
        loop {
            let (stat, watcher) = steady(client, || client.check_and_watch_stat(self.lock.lock_path())).await?;
            if stat.is_none() || client.state().is_terminated() {
                return Ok(());
            }
            watcher.changed().await;
        }
    }
}
