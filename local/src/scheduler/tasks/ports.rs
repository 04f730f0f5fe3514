//! Host ports for tasks: really free ones, and fixed ones that nobody else has.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

use crate::scheduler::model::app::PortNeed;

/// Why a task gets no ports.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum PortError {
    #[error("host port {port} is in use by task `{task}`")]
    HeldByTask { port: u16, task: String },
    #[error("host port {port} is in use by another program of this machine")]
    InUse { port: u16 },
    #[error("no host port is free between {first} and {last}")]
    NoneFree { first: u16, last: u16 },
}

/// Chooses a host port for each need. `held` are the ports of tasks that live, with their ids: such a task may not have
/// opened its port yet.
pub(crate) fn choose(
    needs: &[PortNeed],
    range: &RangeInclusive<u16>,
    held: &BTreeMap<u16, String>,
) -> Result<Vec<u16>, PortError> {
    let mut chosen: Vec<u16> = Vec::with_capacity(needs.len());
    for need in needs {
        let port = match need.host {
            0 => any(need, range, |port| held.contains_key(&port) || chosen.contains(&port) || is_asked(needs, port))?,
            port => fixed(need, port, held)?,
        };
        chosen.push(port);
    }
    Ok(chosen)
}

fn is_asked(needs: &[PortNeed], port: u16) -> bool {
    needs.iter().any(|need| need.host == port)
}

fn fixed(need: &PortNeed, port: u16, held: &BTreeMap<u16, String>) -> Result<u16, PortError> {
    if let Some(task) = held.get(&port) {
        return Err(PortError::HeldByTask { port, task: task.clone() });
    }
    if is_free(port, need) { Ok(port) } else { Err(PortError::InUse { port }) }
}

/// Begins at a random place, so that a port is not given out again right after its task ended.
fn any(need: &PortNeed, range: &RangeInclusive<u16>, taken: impl Fn(u16) -> bool) -> Result<u16, PortError> {
    let (first, last) = (*range.start(), *range.end());
    let count = u32::from(last.saturating_sub(first)) + 1;
    let offset = rand::random_range(0..count);
    (0..count)
        .filter_map(|step| u16::try_from(u32::from(first) + (offset + step) % count).ok())
        .find(|port| !taken(*port) && is_free(*port, need))
        .ok_or(PortError::NoneFree { first, last })
}

/// Whether a process could open the port on every address of the machine.
fn is_free(port: u16, need: &PortNeed) -> bool {
    let place = (Ipv4Addr::UNSPECIFIED, port);
    (!need.tcp || TcpListener::bind(place).is_ok()) && (!need.udp || UdpSocket::bind(place).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(host: u16) -> PortNeed {
        PortNeed { host, asked: 0, name: None, tcp: true, udp: false }
    }

    #[test]
    fn a_port_in_use_is_told() {
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = busy.local_addr().expect("bound").port();
        assert_eq!(choose(&[need(port)], &(1..=1), &BTreeMap::new()), Err(PortError::InUse { port }));
        let held = BTreeMap::from([(port, "web.1".to_owned())]);
        let told = choose(&[need(port)], &(1..=1), &held).expect_err("held");
        assert_eq!(told.to_string(), format!("host port {port} is in use by task `web.1`"));
        assert_eq!(choose(&[need(0)], &(port..=port), &BTreeMap::new()), Err(PortError::NoneFree { first: port, last: port }));
    }

    #[test]
    fn ports_differ() {
        let ports = choose(&[need(0), need(0), need(0)], &(31_000..=32_000), &BTreeMap::new()).expect("free ones");
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), 3);
    }
}
