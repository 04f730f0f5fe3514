//! The daemon `ochod`: faces, runs, the tool store, and the clients of the outside systems.

pub mod marathon;
pub mod pods;
pub mod zookeeper;
