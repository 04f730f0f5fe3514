//! The harness of the tests: the built programs, and the small real servers that they talk to.
//!
//! The tests are plain functions; what serves them runs on a runtime of its own ([`runtime::spawn`]). Everything that is
//! started belongs to a value, and dropping the value ends it.

pub mod author;
pub mod cases;
pub mod command;
pub mod host;
pub mod hostile;
pub mod http;
pub mod leftovers;
pub mod marathon;
pub mod ocho;
pub mod pods;
pub mod programs;
pub mod runtime;
pub mod server;
pub mod shell;
pub mod skip;
pub mod tls;
pub mod wait;
pub mod zookeeper;

pub use host::TestHost;
pub use marathon::FakeMarathon;
pub use pods::{PodScript, Pods};
pub use shell::Reply;
pub use skip::skip;
pub use zookeeper::RealZooKeeper;
