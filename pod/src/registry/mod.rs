//! ZooKeeper, as pods use it: a session, a registration, an election, and eyes on nodes that change.

pub(crate) mod election;
pub(crate) mod membership;
pub(crate) mod session;
pub(crate) mod watch;

use ocho_core::ClusterName;
use ocho_core::registration::CLUSTERS_PATH;

/// Paths of one cluster's nodes.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPaths {
    folder: String,
}

impl ClusterPaths {
    pub(crate) fn new(cluster: &ClusterName) -> Self {
        Self { folder: format!("{CLUSTERS_PATH}/{cluster}") }
    }

    /// Each pod has a node below.
    pub(crate) fn pods(&self) -> String {
        format!("{}/pods", self.folder)
    }

    /// Fingerprint of the last topology that was configured.
    pub(crate) fn hash(&self) -> String {
        format!("{}/hash", self.folder)
    }

    /// Candidates for the lead have a node each below.
    pub(crate) fn coordinator(&self) -> String {
        format!("{}/coordinator", self.folder)
    }

    /// The pods that were configured: what dependants read.
    pub(crate) fn snapshot(&self) -> String {
        format!("{}/snapshot", self.folder)
    }
}
