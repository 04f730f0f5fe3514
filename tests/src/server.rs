//! Small HTTP servers on free ports of the loopback.

use std::net::SocketAddr;
use std::ops::Range;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as SocketName, UnixDatagram};
use std::sync::{Mutex, PoisonError};

use axum::Router;
use tokio::net::TcpListener;

use crate::runtime::{Task, block_on, spawn};

/// Serves on a free port until the task is dropped.
///
/// # Panics
/// Where the loopback has no free port.
#[must_use]
pub fn serve(router: Router) -> (SocketAddr, Task) {
    let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("the loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let serving = async move {
        // Never ends by itself.
        let _ = axum::serve(listener, router).await;
    };
    (address, spawn(serving))
}

/// An address on which nobody answers, and that nobody gets by chance: for a program that cannot open port 0, or for one that is to
/// find nobody there.
///
/// Each is handed out once, and no other process on this machine that asks here gets it for as long as this one lives. It lies outside
/// of the ports that the kernel gives to port 0 and to outgoing connections, so a program may open it minutes later.
///
/// # Panics
/// Where there is no such port left.
#[must_use]
pub fn nobody() -> SocketAddr {
    static CLAIMED: Mutex<Claimed> = Mutex::new(Claimed { ports: 0..0, claims: Vec::new() });
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], claimed.next()));
        // Something that is no test may listen there.
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Ports that are claimed together.
const BLOCK: u16 = 64;
/// Below are the ports of well-known services.
const FIRST: u16 = 10_000;
/// From here on schedulers choose ports for their tasks, and the kernel above them for itself, unless a machine is set up otherwise.
const ORDINARY_END: u16 = 31_000;

/// What is left of the last block, and the names that stand for all blocks: the kernel lets a name go when its process ends.
struct Claimed {
    ports: Range<u16>,
    claims: Vec<UnixDatagram>,
}

impl Claimed {
    fn next(&mut self) -> u16 {
        if let Some(port) = self.ports.next() {
            return port;
        }
        let blocks = u32::from((end_of_free_choice() - FIRST) / BLOCK);
        // Not the same ones again and again: what the process before this one started may still be about to end.
        let start = std::process::id().wrapping_mul(7) % blocks;
        let claim = |nth: u32| {
            let block = u16::try_from((start + nth) % blocks).expect("there are fewer blocks than ports");
            let name = SocketName::from_abstract_name(format!("ocho-tests-ports-{block}")).ok()?;
            Some((block, UnixDatagram::bind_addr(&name).ok()?))
        };
        let (block, claim) = (0..blocks).find_map(claim).expect("a block of ports is left");
        let first = FIRST + block * BLOCK;
        self.claims.push(claim);
        self.ports = first + 1..first + BLOCK;
        first
    }
}

/// The first port that a scheduler, or the kernel by itself, may choose.
fn end_of_free_choice() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let low = range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(ORDINARY_END);
    // On a machine that leaves no room below, the claim still keeps tests apart.
    if low < FIRST + 32 * BLOCK { ORDINARY_END } else { low.min(ORDINARY_END) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_never_the_same() {
        let all: Vec<SocketAddr> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..100).map(|_| nobody()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((different.len(), all.len()), (400, 400));
        assert!(all.iter().all(|address| (FIRST..end_of_free_choice()).contains(&address.port())));
    }
}
