//! Where the pod is: its addresses, the machine's name, the way to ZooKeeper. Looked up once, before anything starts.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::environment::{Environment, Network};
use crate::http_client::{Question, ask};
use crate::zookeeper_hosts::ZookeeperHosts;

/// What others need to find the pod, and what it needs to find the registry.
#[derive(Debug, Clone)]
pub struct Whereabouts {
    /// The address that other pods use.
    pub ip: String,
    /// The machine, as people call it.
    pub node: String,
    /// The address for the world outside; may be empty.
    pub public: String,
    /// The registry.
    pub zookeeper: ZookeeperHosts,
    /// Who runs the pod, as the original puts it: `marathon`, `marathon (ec2)` or `marathon (debug)`.
    pub framework: &'static str,
    /// Whose network the process uses.
    pub network: Network,
}

/// Why the pod cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum WhereaboutsError {
    /// Without the machine's name there is no address to advertise.
    #[error("`HOST` is not set; Marathon sets it to the machine's name. Elsewhere, set `ochopod_local=true`")]
    NoHost,
    /// The machine's name leads nowhere.
    #[error("`HOST` is `{host}`, which has no IPv4 address")]
    Unresolved {
        /// What `HOST` says.
        host: String,
        /// The resolver's reason, where it gave one.
        #[source]
        cause: Option<std::io::Error>,
    },
    /// No source of the registry's address.
    #[error("no ZooKeeper: set `ochopod_zk`, or let the container see one of {}", SOURCES.join(", "))]
    NoZookeeper,
}

const SOURCES: [&str; 3] = ["/opt/mesosphere/etc/mesos-slave-common", "/opt/mesosphere/etc/mesos-slave", "/etc/mesos/zk"];

/// A metadata service answers at once or is not there.
const METADATA_LIMIT: Duration = Duration::from_secs(1);
const METADATA_HOST: &str = "169.254.169.254";

impl Whereabouts {
    /// Looks the pod's place up.
    ///
    /// # Errors
    /// Where the machine has no address or ZooKeeper is nowhere to be found.
    pub async fn find(environment: &Environment, metadata_allowed: bool) -> Result<Self, WhereaboutsError> {
        if environment.local {
            let zookeeper = environment.zookeeper.clone();
            let zookeeper = zookeeper.unwrap_or_else(|| "127.0.0.1:2181".parse().expect("the text is an address"));
            let (ip, node) = ("127.0.0.1".to_owned(), "local".to_owned());
            let network = environment.network.unwrap_or(Network::Machine);
            return Ok(Self { public: ip.clone(), ip, node, zookeeper, framework: "marathon (debug)", network });
        }
        let zookeeper = find_zookeeper(environment, Path::new("/")).ok_or(WhereaboutsError::NoZookeeper)?;
        let address = match &environment.host {
            Some(host) => resolve(host).await,
            None => Err(WhereaboutsError::NoHost),
        };
        // A machine that calls itself 127.0.0.1 is no cloud's.
        let loopback = address.as_ref().is_ok_and(IpAddr::is_loopback);
        if metadata_allowed
            && !loopback
            && let Some(ec2) = Ec2::ask().await
        {
            let network = environment.network.unwrap_or_else(|| whose_network(&ec2.ip));
            let Ec2 { ip, node, public } = ec2;
            return Ok(Self { ip, node, public, zookeeper, framework: "marathon (ec2)", network });
        }
        let ip = address?.to_string();
        let network = environment.network.unwrap_or_else(|| whose_network(&ip));
        let node = environment.host.clone().unwrap_or_default();
        Ok(Self { ip, node, public: String::new(), zookeeper, framework: "marathon", network })
    }
}

/// A process that can open a port on the advertised address shares the machine's network: a container's own network does
/// not have that address.
fn whose_network(ip: &str) -> Network {
    let own = ip.parse::<IpAddr>().is_ok_and(|ip| std::net::TcpListener::bind(SocketAddr::new(ip, 0)).is_ok());
    if own { Network::Machine } else { Network::Container }
}

async fn resolve(host: &str) -> Result<IpAddr, WhereaboutsError> {
    let unresolved = |cause| WhereaboutsError::Unresolved { host: host.to_owned(), cause };
    let addresses = tokio::net::lookup_host((host, 0)).await.map_err(|cause| unresolved(Some(cause)))?;
    addresses.map(|address| address.ip()).find(IpAddr::is_ipv4).ok_or_else(|| unresolved(None))
}

/// What was said explicitly beats what is found. A file without a usable address does not end the search.
fn find_zookeeper(environment: &Environment, root: &Path) -> Option<ZookeeperHosts> {
    if environment.zookeeper.is_some() {
        return environment.zookeeper.clone();
    }
    SOURCES.iter().find_map(|source| {
        let text = std::fs::read_to_string(root.join(source.trim_start_matches('/'))).ok()?;
        let mut lines = text.lines();
        let line = match source.ends_with("zk") {
            true => lines.next()?,
            false => lines.find_map(|line| line.trim().strip_prefix("MESOS_MASTER="))?,
        };
        line.parse().ok()
    })
}

struct Ec2 {
    ip: String,
    node: String,
    public: String,
}

impl Ec2 {
    async fn ask() -> Option<Self> {
        let token = metadata(Method::PUT, "/latest/api/token", header("x-aws-ec2-metadata-token-ttl-seconds", "60")).await;
        let token = match token {
            Ok(token) => token,
            // Services before version 2 have no such path. Any other silence means that there is no service.
            Err(Silence::Refused) => None,
            Err(Silence::Unreachable) => return None,
        };
        let headers = token.map_or_else(HeaderMap::new, |token| header("x-aws-ec2-metadata-token", &token));
        let item = |name: &'static str| metadata(Method::GET, name, headers.clone());
        let ip = item("/latest/meta-data/local-ipv4").await.ok()??;
        let node = item("/latest/meta-data/instance-id").await.ok()??;
        let public = item("/latest/meta-data/public-ipv4").await.ok().flatten().unwrap_or_default();
        ip.parse::<IpAddr>().is_ok().then_some(Self { ip, node, public })
    }
}

enum Silence {
    Refused,
    Unreachable,
}

/// First line of the answer, if there is anything in it.
async fn metadata(method: Method, path: &'static str, headers: HeaderMap) -> Result<Option<String>, Silence> {
    let question = Question { method, host: METADATA_HOST, port: 80, path, headers, body: Bytes::new() };
    let (status, body) = ask(question, METADATA_LIMIT).await.map_err(|_| Silence::Unreachable)?;
    if status != StatusCode::OK {
        return Err(Silence::Refused);
    }
    let text = String::from_utf8_lossy(&body);
    Ok(text.lines().next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned))
}

fn header(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::tests::given;

    fn environment(more: &[(&str, &str)]) -> Environment {
        let task = [("MARATHON_APP_ID", "/a"), ("MESOS_TASK_ID", "t")];
        Environment::read(&given(&[&task, more].concat())).unwrap()
    }

    #[test]
    fn b30_explicit_beats_found_and_an_odd_file_does_not_end_the_search() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let found = |more: &[(&str, &str)]| find_zookeeper(&environment(more), root.path()).map(|hosts| hosts.connect_string());
        assert_eq!(found(&[]), None);
        write("opt/mesosphere/etc/mesos-slave", "A=1\nMESOS_MASTER=\n");
        write("etc/mesos/zk", "zk://c:1/mesos\n");
        assert_eq!(found(&[]).as_deref(), Some("c:1"));
        write("opt/mesosphere/etc/mesos-slave", "A=1\nMESOS_MASTER=zk://b:1,b2:2/mesos\n");
        assert_eq!(found(&[]).as_deref(), Some("b:1,b2:2"));
        assert_eq!(found(&[("ochopod_zk", "d")]).as_deref(), Some("d:2181"));
    }

    #[tokio::test]
    async fn b33_a_host_without_an_address_ends_the_start() {
        let zookeeper = ("ochopod_zk", "zk://h:1");
        let error =
            |environment: Environment| async move { Whereabouts::find(&environment, false).await.unwrap_err().to_string() };
        assert_eq!(
            error(environment(&[zookeeper, ("HOST", "no such.host.invalid")])).await,
            "`HOST` is `no such.host.invalid`, which has no IPv4 address"
        );
        assert!(error(environment(&[zookeeper])).await.starts_with("`HOST` is not set"));
    }

    #[tokio::test]
    async fn an_address_of_this_machine_means_the_machines_network() {
        let place = Whereabouts::find(&environment(&[("ochopod_zk", "h"), ("HOST", "127.0.0.1")]), false).await.unwrap();
        assert_eq!((place.ip.as_str(), place.node.as_str(), place.network), ("127.0.0.1", "127.0.0.1", Network::Machine));
        // 192.0.2.0/24 is nobody's: it stands in documents only.
        let place = Whereabouts::find(&environment(&[("ochopod_zk", "h"), ("HOST", "192.0.2.1")]), false).await.unwrap();
        assert_eq!((place.ip.as_str(), place.network), ("192.0.2.1", Network::Container));
        let said = [("ochopod_zk", "h"), ("HOST", "192.0.2.1"), ("ochopod_bind", "machine")];
        assert_eq!(Whereabouts::find(&environment(&said), false).await.unwrap().network, Network::Machine);
    }
}
