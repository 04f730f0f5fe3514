//! Where the HTTP requests of jobs may go: to the pods' own ports, and to the hosts that the operator named.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ocho_core::{ClusterGlob, Registration};
use ocho_runtime::host::{Outgoing, Registry};
use serde_json::Value;

use super::authorities::Authorities;
use crate::config::is_loopback;

/// A host that jobs may send requests to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// As requests spell it, in lower case.
    Name(String),
    /// Addresses whose first `bits` are those of `ip`.
    Network { ip: IpAddr, bits: u8 },
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not read as `<name, address or network>[:<port>]`, such as `repo.example`, `10.0.0.5:8081` or `10.1.0.0/16`")]
pub struct NotAHost(String);

impl FromStr for AllowedHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAHost(text.to_owned());
        // An IPv6 address has colons itself.
        if let Some(host) = Host::address(text) {
            return Ok(Self { host, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let name = || is_name.then(|| Host::Name(host.to_ascii_lowercase()));
        Ok(Self { host: Host::address(bare).or_else(name).ok_or_else(wrong)?, port })
    }
}

impl Host {
    /// An address, or a network such as `10.1.0.0/16`.
    fn address(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip = ip.parse::<IpAddr>().ok()?;
        let all = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        (bits <= all).then_some(Self::Network { ip, bits })
    }

    fn covers(&self, host: &str, ip: IpAddr) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case(host),
            Self::Network { ip: network, bits } => is_in(ip, *network, *bits),
        }
    }

    /// Whether it means this machine, so that requests to loopback are what the operator wants.
    fn is_own(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Network { ip, bits } => *bits >= 8 && is_loopback(*ip),
        }
    }
}

/// Whether the first `bits` of two addresses are the same.
fn is_in(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differ = match (ip.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => (ip.to_bits() ^ network.to_bits()).leading_zeros(),
        (IpAddr::V6(ip), IpAddr::V6(network)) => (ip.to_bits() ^ network.to_bits()).leading_zeros(),
        _ => return false,
    };
    differ >= u32::from(bits)
}

impl AllowedHost {
    fn covers(&self, host: &str, address: SocketAddr) -> bool {
        let named = self.host.covers(host, address.ip()) && self.port.is_none_or(|port| port == address.port());
        // A name that somebody else answers for must not lead into this machine.
        named && (self.host.is_own() || !is_loopback(address.ip()))
    }
}

/// The pods of the registry, and what the operator allowed.
pub(super) struct JobReach {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) allowed: Vec<AllowedHost>,
    pub(super) authorities: Authorities,
}

impl Outgoing for JobReach {
    fn allows(&self, host: String, address: SocketAddr) -> BoxFuture<'_, bool> {
        async move { self.allowed.iter().any(|allowed| allowed.covers(&host, address)) || self.is_pods(address).await }.boxed()
    }

    fn tls(&self) -> BoxFuture<'_, Option<Arc<rustls::ClientConfig>>> {
        self.authorities.config().boxed()
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
        let network = allowed("10.1.0.0/16:443");
        assert!(network.covers("any.example", at("10.1.255.1:443")) && network.covers("x", at("[::ffff:10.1.0.1]:443")));
        assert!(!network.covers("x", at("10.2.0.1:443")) && !network.covers("x", at("10.1.0.1:80")));
        assert!(allowed("2001:db8::/32").covers("x", at("[2001:db8::1]:80")));
        assert!(!allowed("[2001:db8::/32]:80").covers("x", at("[2001:db8::1]:81")));
        assert!(allowed("0.0.0.0/0").covers("x", at("10.0.0.1:80")));
        assert!(!allowed("0.0.0.0/0").covers("x", at("127.0.0.1:80")), "everywhere is not here");
        assert!(allowed("127.0.0.0/8").covers("x", at("127.0.0.1:80")));
        assert!(!allowed("repo.example").covers("repo.example", at("127.0.0.1:80")), "a name must not lead into this machine");
        assert!(allowed("localhost:80").covers("localhost", at("127.0.0.1:80")));
        assert!(allowed("127.0.0.1").covers("127.0.0.1", at("127.0.0.1:9")));
        assert!(allowed("[::1]:80").covers("::1", at("[::1]:80")));
        for bad in ["", ":80", "h:x", "h:70000", "http://h", "h/x", "u@h", "a b", "10.0.0.0/33", "10.0.0.0/x", "::/129", "[h]:1"]
        {
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
