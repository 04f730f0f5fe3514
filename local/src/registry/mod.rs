//! The embedded registry: a server of ZooKeeper's wire protocol, for one machine.
//!
//! Pods and host find each other here by the same client libraries that they use against a real ZooKeeper, and cannot
//! tell the difference. From the wire inwards: `connection` cuts frames, `wire` and `jute` read them, `state`, `opening`
//! and `ops` carry them out on `tree`, `watches` and `sessions`, and `outbox` holds what goes back. `dirty`, `saver` and
//! `store` keep it over a restart.
//!
//! Absent: ensembles, TLS, SASL, quotas, and nodes with a time to live (an original does not have those by default
//! either).

mod acl;
mod code;
mod config;
mod connection;
mod dirty;
mod jute;
mod opening;
mod ops;
mod outbox;
mod path;
mod saver;
mod server;
mod sessions;
mod state;
mod stats;
mod store;
mod tree;
mod watches;
mod wire;
mod words;

pub use self::config::{RegistryConfig, RegistryError, RegistryLimits};
pub use self::server::Registry;
