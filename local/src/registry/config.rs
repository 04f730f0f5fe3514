//! What the registry is told before it opens its port, and why it may not open it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the registry listens, what it may use, and where it keeps its state.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Bounds.
    pub limits: RegistryLimits,
    /// The folder of the persistent state. Without one it is kept in memory.
    pub data: Option<PathBuf>,
}

impl RegistryConfig {
    /// A registry in memory with the default limits.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, limits: RegistryLimits::default(), data: None }
    }
}

/// Bounds of everything that clients can make grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryLimits {
    /// Connections at once. One more is closed at once and logged.
    pub connections: usize,
    /// Sessions at once, connected or waiting to be. A client that wants one more is disconnected.
    pub sessions: usize,
    /// Nodes. One more is refused with `QuotaExceeded` (-125).
    pub nodes: usize,
    /// Bytes of data, paths and access lists of all nodes. More are refused with `QuotaExceeded` (-125).
    pub bytes: usize,
    /// Watches of all connections. One more is refused with `QuotaExceeded` (-125).
    pub watches: usize,
    /// Length of a request. A longer one ends its connection.
    pub frame_bytes: usize,
    /// What may wait for a client that does not read. More ends its connection.
    pub outbox_bytes: usize,
    /// Shortest time-out that a session gets.
    pub session_timeout_min: Duration,
    /// Longest time-out that a session gets.
    pub session_timeout_max: Duration,
    /// Time for a new connection to ask for its session.
    pub handshake: Duration,
    /// How often containers without children are looked for.
    pub container_check: Duration,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            sessions: 10_000,
            nodes: 500_000,
            bytes: 256 << 20,
            watches: 1_000_000,
            // As ZooKeeper's `jute.maxbuffer`.
            frame_bytes: 0xf_ffff,
            outbox_bytes: 16 << 20,
            // 2 and 20 ticks of ZooKeeper's 2 s.
            session_timeout_min: Duration::from_secs(4),
            session_timeout_max: Duration::from_secs(40),
            handshake: Duration::from_secs(10),
            container_check: Duration::from_secs(60),
        }
    }
}

/// Why the registry does not start.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address is taken, or not ours.
    #[error("the registry cannot listen on `{address}`")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The folder of the state cannot be used.
    #[error("the registry cannot use the folder `{folder}`")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The state of the last life does not read.
    #[error("the registry cannot read its state in `{file}`; move the file away to begin with an empty registry")]
    State {
        /// The file of the state.
        file: PathBuf,
        /// What SQLite says.
        #[source]
        cause: rusqlite::Error,
    },
    /// Another process has the state open.
    #[error("the registry's state in `{file}` is in use by another process; stop that one or choose another folder")]
    InUse {
        /// The file of the state.
        file: PathBuf,
    },
}
