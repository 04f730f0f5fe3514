//! Forms of before 2017: `ports`, `uris`, `ipAddress`, and the network inside `container.docker`. Read, never written.

use std::collections::BTreeMap;

use super::json::{At, Members, Mistake};
use super::parts;
use super::update::{AppUpdate, list, texts};
use crate::scheduler::model::app::*;

/// Ends of file names that old clients expect to be unpacked.
const ARCHIVES: [&str; 9] = [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".tgz", ".tbz2", ".txz", ".zip"];

/// The old members of one body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Legacy {
    pub(crate) ports: Option<Vec<u16>>,
    pub(crate) uris: Option<Vec<String>>,
    pub(crate) ip_address: Option<IpAddress>,
    pub(crate) docker_network: Option<DockerNetwork>,
    pub(crate) docker_mappings: Option<Vec<PortMapping>>,
    /// `container.docker.parameters` and such may not stand beside the type MESOS; the network is one of them.
    pub(crate) docker_members: bool,
}

/// The network of a container, when it was a member of `docker`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DockerNetwork {
    Bridge,
    Host,
    User,
    None,
}

/// An address for each task, as it was asked for before there were `networks`.
#[derive(Clone, Debug, Default)]
pub(crate) struct IpAddress {
    pub(crate) network: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Ports that the task says it has.
    pub(crate) discovery: Option<Vec<PortMapping>>,
}

impl Legacy {
    /// Reads the old members of a body.
    pub(crate) fn read(m: &Members<'_>) -> Self {
        let docker = m.get("container").filter(|at| at.value().is_object()).and_then(|at| at.object()?.get("docker"));
        let docker = docker.filter(|at| at.value().is_object()).and_then(|at| at.object());
        let inside = |key: &str| docker.as_ref().and_then(|docker| docker.get(key));
        let networks = [
            ("BRIDGE", DockerNetwork::Bridge),
            ("HOST", DockerNetwork::Host),
            ("USER", DockerNetwork::User),
            ("NONE", DockerNetwork::None),
        ];
        Self {
            ports: m.get("ports").and_then(|at| list(&at, |at| at.port())),
            uris: m.get("uris").and_then(|at| texts(&at)),
            ip_address: m.get("ipAddress").and_then(|at| ip_address(&at)),
            docker_network: inside("network").and_then(|at| at.word(&networks)),
            docker_mappings: inside("portMappings").and_then(|at| list(&at, parts::port_mapping)),
            docker_members: ["network", "portMappings", "parameters", "credential"]
                .iter()
                .any(|key| inside(key).is_some_and(|at| at.value().as_array().is_none_or(|items| !items.is_empty()))),
        }
    }

    /// Says which old members contradict each other or the new ones.
    pub(crate) fn check(update: &AppUpdate) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let mut say = |path: &str, error: &str| wrong.push(Mistake::new(path, error));
        let legacy = &update.legacy;
        if let (Some(ports), Some(definitions)) = (&legacy.ports, &update.port_definitions)
            && !definitions.iter().map(|definition| definition.port).eq(ports.iter().copied())
        {
            say("/", "cannot specify both ports and port definitions");
        }
        if let Some(ports) = &legacy.ports
            && has_twice(ports.iter().filter(|port| **port != 0))
        {
            say("/ports", "ports must be unique");
        }
        if filled(&legacy.uris) && filled(&update.fetch) {
            say("/uris", "may not be set in conjunction with fetch");
        }
        if legacy.docker_network.is_some() && update.networks.is_some() {
            say("/", "must not specify both container.docker.network and networks");
        }
        if legacy.docker_network == Some(DockerNetwork::None) {
            say("/container/docker/network", "the network NONE is not supported");
        }
        let new_mappings = update.container.as_ref().and_then(|container| container.port_mappings.as_ref());
        if filled(&legacy.docker_mappings) && new_mappings.is_some_and(|mappings| !mappings.is_empty()) {
            say("/container", "cannot specify both portMappings and docker.portMappings");
        }
        let kind = update.container.as_ref().map(|container| container.kind);
        if kind == Some(ContainerKind::Mesos) && legacy.docker_members {
            say(
                "/container/docker",
                "network, parameters, portMappings and credential must be empty for a container of type MESOS",
            );
        }
        if let Some(ip_address) = &legacy.ip_address {
            if filled(&legacy.ports) || filled(&update.port_definitions) {
                say("/", "cannot specify both an IP address and port");
            }
            if update.networks.is_some() {
                say("/", "must not specify both networks and ipAddress");
            }
            if kind == Some(ContainerKind::Docker) && ip_address.discovery.is_some() {
                say("/", "ipAddress/discovery is not allowed for Docker containers");
            }
        }
        wrong
    }

    /// Says the same in new members. Old ones that need the whole definition (`ports`) stay.
    pub(crate) fn translate(update: &mut AppUpdate) {
        let legacy = std::mem::take(&mut update.legacy);
        if let Some(uris) = legacy.uris.filter(|_| !filled(&update.fetch)) {
            update.fetch = Some(uris.into_iter().map(fetch_of).collect());
        }
        if let Some(network) = legacy.docker_network {
            update.networks = Some(vec![network_of(network, legacy.ip_address.as_ref())]);
        } else if let Some(ip_address) = &legacy.ip_address {
            update.networks = Some(vec![network_of_address(ip_address)]);
        }
        if let Some(discovery) = legacy.ip_address.and_then(|address| address.discovery.or(Some(Vec::new()))) {
            let container = update.container.get_or_insert_with(empty_mesos);
            if container.port_mappings.is_none() && !discovery.is_empty() {
                container.port_mappings = Some(discovery);
            }
        }
        if let (Some(mappings), Some(container)) = (legacy.docker_mappings, &mut update.container)
            && !filled(&container.port_mappings)
        {
            container.port_mappings = Some(mappings);
        }
        if let Some(ports) = &legacy.ports {
            update.port_definitions.get_or_insert_with(|| ports.iter().copied().map(definition_of).collect());
        }
        update.legacy.ports = legacy.ports;
    }
}

/// A container of type MESOS without anything in it.
pub(crate) fn empty_mesos() -> Container {
    Container { kind: ContainerKind::Mesos, docker: None, volumes: Vec::new(), port_mappings: None }
}

/// Whether something stands more than once.
pub(crate) fn has_twice<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let mut items = items;
    items.any(|item| !seen.insert(item))
}

fn filled<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn fetch_of(uri: String) -> Fetch {
    let extract = ARCHIVES.iter().any(|end| uri.ends_with(end));
    Fetch { uri, extract, executable: false, cache: false, dest_path: None }
}

fn definition_of(port: u16) -> PortDefinition {
    PortDefinition { port, name: None, protocol: Protocol::Tcp, labels: BTreeMap::new() }
}

fn network_of(network: DockerNetwork, address: Option<&IpAddress>) -> Network {
    match network {
        DockerNetwork::Bridge => Network::plain(NetworkMode::Bridge),
        DockerNetwork::Host => Network::plain(NetworkMode::Host),
        DockerNetwork::User | DockerNetwork::None => Network {
            labels: address.map(|address| address.labels.clone()).unwrap_or_default(),
            mode: NetworkMode::Container,
            name: address.and_then(|address| address.network.clone()),
        },
    }
}

fn network_of_address(address: &IpAddress) -> Network {
    if address.network.as_deref() == Some("mesos-bridge") {
        return Network::plain(NetworkMode::Bridge);
    }
    network_of(DockerNetwork::User, Some(address))
}

fn ip_address(at: &At<'_>) -> Option<IpAddress> {
    let m = at.object()?;
    Some(IpAddress {
        network: m.get("networkName").and_then(|at| at.filled()),
        labels: m.get("labels").and_then(|at| at.map(|value| value.string())).unwrap_or_default(),
        discovery: m.get("discovery").and_then(|at| at.object()?.get("ports")).and_then(|at| list(&at, discovery_port)),
    })
}

fn discovery_port(at: At<'_>) -> Option<PortMapping> {
    let m = at.object()?;
    let number = m.need("number")?.port()?;
    let name = m.need("name")?.filled()?;
    let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("udp,tcp", Protocol::Both)];
    let protocol = m.get("protocol").map_or(Some(Protocol::Tcp), |at| at.word(&protocols))?;
    Some(PortMapping { container_port: number, name: Some(name), protocol, ..PortMapping::any(None) })
}
