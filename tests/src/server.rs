//! Small HTTP servers on free ports of the loopback.

use std::net::SocketAddr;

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

/// An address on which nobody answers: it was free a moment ago.
///
/// # Panics
/// Where the loopback has no free port.
#[must_use]
pub fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    listener.local_addr().expect("a bound socket has an address")
}
