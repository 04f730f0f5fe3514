//! The pretend registry: pods that come and go.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, StreamExt as _};
use ocho_core::ClusterGlob;
use ocho_runtime::host::{Clock as _, Pod, Registry, RegistryError};

use super::{Cluster, State};

impl State {
    fn find(&self, clusters: &ClusterGlob) -> Result<Vec<Pod>, RegistryError> {
        if let Some(why) = &self.registry_fails {
            return Err(RegistryError::Unreachable(why.clone()));
        }
        let meant = self.pods.iter().filter(|pod| pod.is_there(self.now) && clusters.matches(pod.cluster.as_str()));
        let mut found: Vec<Pod> = meant.map(super::Pod::registered).collect();
        found.sort_by(|one, other| (&one.id.cluster, one.id.seq).cmp(&(&other.id.cluster, other.id.seq)));
        Ok(found)
    }

    /// When a pod comes or goes next.
    fn next_change(&self) -> Option<Duration> {
        let moments = self.pods.iter().flat_map(|pod| [Some(pod.from), pod.until]).flatten();
        moments.filter(|moment| *moment > self.now).min()
    }
}

impl Cluster {
    /// Waits until the list of pods may be another.
    async fn news(&self) {
        let changed = self.0.changed.notified();
        let next = self.lock().next_change();
        match next.map(|moment| self.0.clock.wait_until(moment)) {
            Some(moment) => tokio::select! { () = changed => {}, () = moment => {} },
            None => changed.await,
        }
    }
}

impl Registry for Cluster {
    fn find(&self, clusters: ClusterGlob) -> BoxFuture<'_, Result<Vec<Pod>, RegistryError>> {
        async move {
            let mut state = self.lock();
            state.hear(format!("find {clusters}"), None, false);
            state.find(&clusters)
        }
        .boxed()
    }

    fn changes(&self, clusters: ClusterGlob) -> BoxStream<'static, Result<Vec<Pod>, RegistryError>> {
        self.lock().hear(format!("changes {clusters}"), None, false);
        let next = |(cluster, clusters, last): (Self, ClusterGlob, Option<Vec<Pod>>)| async move {
            loop {
                let found = cluster.lock().find(&clusters);
                match found {
                    Ok(found) if last.as_ref() == Some(&found) => cluster.news().await,
                    Ok(found) => return Some((Ok(found.clone()), (cluster, clusters, Some(found)))),
                    Err(error) => return Some((Err(error), (cluster, clusters, last))),
                }
            }
        };
        stream::unfold((self.clone(), clusters, None), next).boxed()
    }
}
