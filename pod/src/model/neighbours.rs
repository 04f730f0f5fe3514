//! Whom a model may reach over HTTP: its own pod's process, and the pods that it was told about.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ocho_runtime::host::Outgoing;

use crate::cluster::{Cluster, Pods};

/// The addresses of the last picture.
#[derive(Debug, Default)]
pub(super) struct Neighbours(RwLock<BTreeSet<IpAddr>>);

impl Neighbours {
    /// Learns who is there now.
    pub(super) fn learn(&self, cluster: &Cluster) {
        let addresses = [&cluster.pods].into_iter().chain(cluster.dependencies.values()).flat_map(addresses).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    fn knows(&self, ip: IpAddr) -> bool {
        // The process that the pod looks after listens there, in a container's network or in the machine's.
        ip.is_loopback() || self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&ip)
    }
}

fn addresses(pods: &Pods) -> impl Iterator<Item = IpAddr> + '_ {
    pods.values().filter_map(|pod| pod.get("ip")?.as_str()?.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical())
}

impl Outgoing for Neighbours {
    fn allows(&self, _: String, address: SocketAddr) -> BoxFuture<'_, bool> {
        std::future::ready(self.knows(address.ip().to_canonical())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_those_of_the_last_picture_are_reached() {
        let neighbours = Neighbours::default();
        let picture = |ip: &str| {
            let body = json!({"key": "a", "pods": {"a": {"seq": 0, "ip": ip}, "b": {"seq": 1, "ip": 7}},
                "dependencies": {"db": {"x": {"seq": 0, "ip": "10.0.0.9"}}}});
            Cluster::read(&body).unwrap()
        };
        let knows = |ip: &str| neighbours.knows(ip.parse().unwrap());
        assert!(knows("127.0.0.1") && !knows("10.0.0.1"));
        neighbours.learn(&picture("10.0.0.1"));
        assert!(knows("10.0.0.1") && knows("10.0.0.9") && !knows("10.0.0.2"));
        neighbours.learn(&picture("10.0.0.2"));
        assert!(knows("10.0.0.2") && !knows("10.0.0.1"));
    }
}
