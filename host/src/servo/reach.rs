//! Where the HTTP requests of jobs may go: to the pods' own ports, and to the hosts that the operator named.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ocho_core::{ClusterGlob, Registration};
use ocho_runtime::host::{Outgoing, Registry};
use serde_json::Value;

use crate::config::is_loopback;

/// A host that jobs may send requests to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not read as `<name or address>[:<port>]`")]
pub struct NotAHost(String);

impl FromStr for AllowedHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAHost(text.to_owned());
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: ip.to_string(), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:".contains(c));
        if is_name { Ok(Self { host, port }) } else { Err(wrong()) }
    }
}

impl AllowedHost {
    fn covers(&self, host: &str, address: SocketAddr) -> bool {
        let named = self.host.eq_ignore_ascii_case(host) && self.port.is_none_or(|port| port == address.port());
        // A name that somebody else answers for must not lead into this machine.
        let is_own = self.host == "localhost" || self.host.parse().is_ok_and(is_loopback);
        named && (is_own || !is_loopback(address.ip()))
    }
}

/// The pods of the registry, and what the operator allowed.
pub(super) struct JobReach {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) allowed: Vec<AllowedHost>,
}

impl Outgoing for JobReach {
    fn allows(&self, host: String, address: SocketAddr) -> BoxFuture<'_, bool> {
        async move { self.allowed.iter().any(|allowed| allowed.covers(&host, address)) || self.is_pods(address).await }.boxed()
    }
}

impl JobReach {
    async fn is_pods(&self, address: SocketAddr) -> bool {
        let Ok(pods) = self.registry.find(ClusterGlob::new("*")).await else { return false };
        let others = pods.iter().filter(|pod| !is_host(&pod.id.cluster.to_string()));
        others.map(|pod| &pod.registration).any(|registration| serves(registration, address))
    }
}

/// The host's own pods: a request to the portal would go round the grants.
fn is_host(cluster: &str) -> bool {
    ["marathon.portal", "marathon.servo"].contains(&cluster)
}

/// Whether a pod serves something there. Its control port is none of these: whoever reaches it can stop the pod.
fn serves(registration: &Registration, address: SocketAddr) -> bool {
    let is_there = |key: &str| registration.all.get(key).and_then(Value::as_str).is_some_and(|ip| is_same(ip, address.ip()));
    let Some(Value::Object(ports)) = registration.all.get("ports") else { return false };
    let is_port = |port: &Value| port.as_u64() == Some(address.port().into());
    let is_control = registration.control.as_ref().is_some_and(|control| control.port == address.port());
    (is_there("ip") || is_there("public")) && !is_control && ports.values().any(is_port)
}

fn is_same(registered: &str, ip: IpAddr) -> bool {
    registered.parse::<IpAddr>().is_ok_and(|registered| registered.to_canonical() == ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> AllowedHost {
        text.parse().unwrap()
    }

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn hosts_of_the_operator() {
        assert!(allowed("repo.example").covers("REPO.example", at("10.0.0.1:80")));
        assert!(!allowed("repo.example:8081").covers("repo.example", at("10.0.0.1:80")));
        assert!(!allowed("repo.example").covers("other.example", at("10.0.0.1:80")));
        assert!(!allowed("repo.example").covers("repo.example", at("127.0.0.1:80")), "a name must not lead into this machine");
        assert!(allowed("localhost:80").covers("localhost", at("127.0.0.1:80")));
        assert!(allowed("127.0.0.1").covers("127.0.0.1", at("127.0.0.1:9")));
        assert!(allowed("[::1]:80").covers("::1", at("[::1]:80")));
        for bad in ["", ":80", "h:x", "h:70000", "http://h", "h/x", "u@h", "a b"] {
            assert!(bad.parse::<AllowedHost>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_of_pods_but_not_their_control_ports() {
        let node =
            br#"{"seq": 1, "ip": "10.0.0.1", "public": "54.1.1.1", "port": "8080", "ports": {"8080": 31000, "80": 31001}}"#;
        let pod = Registration::parse(node).unwrap();
        for good in ["10.0.0.1:31001", "54.1.1.1:31001", "[::ffff:10.0.0.1]:31001"] {
            assert!(serves(&pod, at(good)), "{good}");
        }
        for bad in ["10.0.0.1:31000", "10.0.0.1:80", "10.0.0.2:31001", "127.0.0.1:31001"] {
            assert!(!serves(&pod, at(bad)), "{bad}");
        }
        assert!(!serves(&Registration::parse(br#"{"seq": 1, "ip": "", "ports": []}"#).unwrap(), at("10.0.0.1:1")));
    }
}
