//! The server: its port, its connections, and what it does on its own as time passes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::config::{RegistryConfig, RegistryError};
use super::connection::{self, Shared};
use super::saver::{Saver, on_a_thread};
use super::state::{Now, State};
use super::store::Store;

/// A registry that listens.
#[derive(Debug)]
pub struct Registry {
    listener: TcpListener,
    address: SocketAddr,
    shared: Shared,
    store: Option<Store>,
}

impl Registry {
    /// Reads the state and opens the port. Clients are answered once `serve` runs.
    ///
    /// # Errors
    ///
    /// The address is taken, or the state cannot be read.
    pub async fn bind(config: RegistryConfig) -> Result<Self, RegistryError> {
        let RegistryConfig { listen, limits, data } = config;
        let failed = |cause| RegistryError::Listen { address: listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut state = State::new(Now::read(), limits, address.port());
        let mut store = None;
        if let Some(folder) = data {
            let (opened, saved) = on_a_thread(move || Store::open(&folder)).await?;
            state.restore(Now::read(), saved);
            store = Some(opened);
        }
        Ok(Self { listener, address, shared: Shared::new(state), store })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop, then ends all connections and saves the rest. That closes no session: who comes
    /// back in time after a restart finds what it left.
    pub async fn serve(self, stop: CancellationToken) {
        info!(address = %self.address, "registry serves");
        let quiet = CancellationToken::new();
        let mut saving = JoinSet::new();
        if let Some(store) = self.store {
            saving.spawn(Saver::new(store, self.shared.clone()).run(quiet.clone()));
        }
        let mut chores = JoinSet::new();
        chores.spawn(expire(self.shared.clone()));
        chores.spawn(sweep(self.shared.clone()));
        accept(self.listener, &self.shared, &stop).await;
        chores.shutdown().await;
        // Nothing changes any more: the saver writes what is left and ends.
        quiet.cancel();
        while saving.join_next().await.is_some() {}
    }
}

/// Accepts until it is told to stop, and returns when the last connection is gone.
async fn accept(listener: TcpListener, shared: &Shared, stop: &CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => start(&mut connections, stream, address, shared, stop),
                Err(error) => rest_after(&error).await,
            },
            // Keeps the set as small as the number of connections.
            Some(_ended) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
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
