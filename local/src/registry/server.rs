//! The server: its port, its connections, and what it does on its own as time passes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::config::{RegistryConfig, RegistryError};
use super::connection::{self, Shared};
use super::state::{Now, State};

/// A registry that listens.
#[derive(Debug)]
pub struct Registry {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
}

impl Registry {
    /// Reads the state and opens the port. Clients are answered once `serve` runs.
    ///
    /// # Errors
    ///
    /// The address is taken, or the state cannot be read.
    pub async fn bind(config: RegistryConfig) -> Result<Self, RegistryError> {
        let RegistryConfig { listen, limits, data: _ } = config;
        let state = State::new(Now::read(), limits);
        let failed = |cause| RegistryError::Listen { address: listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, shared: Shared::new(state) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop, then ends all connections. Sessions are not closed by that.
    pub async fn serve(self, stop: CancellationToken) {
        info!(address = %self.address, "registry serves");
        let mut tasks = JoinSet::new();
        tasks.spawn(expire(self.shared.clone()));
        tasks.spawn(sweep(self.shared.clone()));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => start(&mut connections, stream, address, &self.shared, &stop),
                    Err(error) => rest_after(&error).await,
                },
                // Keeps the set as small as the number of connections.
                Some(_ended) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        connections.shutdown().await;
        tasks.shutdown().await;
    }
}

fn start(connections: &mut JoinSet<()>, stream: TcpStream, address: SocketAddr, shared: &Shared, stop: &CancellationToken) {
    connections.spawn(connection::serve(stream, address, shared.clone(), stop.child_token()));
}

/// Out of file descriptors, most likely: accepting at once again would only spin.
async fn rest_after(error: &std::io::Error) {
    warn!(%error, "the registry cannot accept a connection, it tries again");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn expire(shared: Shared) {
    loop {
        let next = shared.lock().expire(Now::read());
        tokio::time::sleep_until(next.into()).await;
    }
}

async fn sweep(shared: Shared) {
    let pause = shared.lock().limits.container_check;
    loop {
        tokio::time::sleep(pause).await;
        shared.lock().sweep_containers(Now::read());
    }
}
