//! The names under which the seeds' environment knows some options, and what the machine itself says.
//!
//! They come after `OCHOD_...` and before the file, in this order:
//!
//! | option | variables | where |
//! |---|---|---|
//! | `token` | `ochopod_token`, `ochothon_token` | `up`, `serve` |
//! | `zookeeper` | `ochopod_zk` | `serve` |
//! | `marathon` | `MARATHON_MASTER` | `serve` |
//! | `advertise` | `HOST` | `up`, `serve`, in a task of Mesos |
//! | `portal`, `servo` | `PORT_9000`, `PORT_5000` | `serve`, in a task that shares the machine's network |
//!
//! After the file comes what the machine says of ZooKeeper: `/opt/mesosphere/etc/mesos-slave-common`,
//! `/opt/mesosphere/etc/mesos-slave`, `/etc/mesos/zk`. In a container with a network of its own `PORT_n` is the machine's port
//! that leads to port n; the host is registered under it ([`outer_port`]).

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::Path;

use super::resolve::Variables;

const NAMES: [(&str, &str, &str); 4] = [
    ("up", "token", "ochopod_token ochothon_token"),
    ("serve", "token", "ochopod_token ochothon_token"),
    ("serve", "zookeeper", "ochopod_zk"),
    ("serve", "marathon", "MARATHON_MASTER"),
];

/// Files in which Mesos keeps the address of its ZooKeeper.
const ZOOKEEPER_FILES: [&str; 3] = ["opt/mesosphere/etc/mesos-slave-common", "opt/mesosphere/etc/mesos-slave", "etc/mesos/zk"];

/// What the seeds' variables say of an option: the variable and its value.
pub(super) fn variable(command: &str, option: &str, variables: &Variables) -> Option<(String, OsString)> {
    let set = |name: &str| variables.get(name).filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value.clone()));
    let named = NAMES.iter().filter(|(of, called, _)| (*of, *called) == (command, option));
    let found = named.flat_map(|(_, _, names)| names.split(' ')).find_map(set);
    if found.is_some() || command == "cluster" || !variables.contains_key("MESOS_TASK_ID") {
        return found;
    }
    match option {
        "advertise" => set("HOST"),
        "portal" | "servo" if command == "serve" => {
            let (name, port) = set(if option == "portal" { "PORT_9000" } else { "PORT_5000" })?;
            let machine = own_address(variables.get("HOST")?.to_str()?)?;
            Some((name, SocketAddr::new(machine, port.to_str()?.parse().ok()?).to_string().into()))
        }
        _ => None,
    }
}

/// What the machine's files say of ZooKeeper: the file and the address. One without a usable address does not end the search.
pub(super) fn zookeeper(root: &Path) -> Option<(String, OsString)> {
    ZOOKEEPER_FILES.iter().find_map(|file| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        let line = match file.ends_with("zk") {
            true => text.lines().next()?,
            false => text.lines().find_map(|line| line.trim().strip_prefix("MESOS_MASTER="))?,
        };
        line.parse::<ochopod::ZookeeperHosts>().ok()?;
        Some((format!("/{file}"), line.into()))
    })
}

/// A container's own network does not have the machine's address, so nothing can be opened on it there.
fn own_address(machine: &str) -> Option<IpAddr> {
    let address = address(machine).ok()?;
    TcpListener::bind(SocketAddr::new(address, 0)).is_ok().then_some(address)
}

/// Reads an address, or looks a name up.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = |why: String| format!("`{text}` is no address and no name that leads to one{why}");
    let mut found = (text, 0).to_socket_addrs().map_err(|error| wrong(format!(" ({})", crate::net::reason(&error))))?;
    found.find(SocketAddr::is_ipv4).map(|found| found.ip()).ok_or_else(|| wrong(String::new()))
}

/// The port that others reach a port of this process at: `$PORT_<port>` in a container, else the same.
#[must_use]
pub fn outer_port(port: u16) -> u16 {
    let mapped = std::env::var(format!("PORT_{port}")).ok();
    mapped.and_then(|text| text.parse().ok()).filter(|port| *port > 0).unwrap_or(port)
}
