//! The pod agent: what a container starts so that its process becomes a member of a cluster.
//!
//! A pod registers in ZooKeeper, queues for the lead of its cluster, is configured together with its peers, looks after one
//! sub-process, and answers a control API. It keeps to the wire of the original, so that pods of both kinds share a cluster.
//!
//! From the top down: [`agent`] wires the machines together; [`lifecycle`] owns the sub-process, `coordinator` the session with
//! the registry, [`leader`] the cluster while this pod leads it; `control` is the API; `face` is what it shows.
//! [`hooks`] and [`tools`] are what a pod's author provides, in a description or in a component (`model`, a cargo feature).
//! [`program`] is the command line. [`member`] is a pod without a sub-process, for the host daemon.

pub mod agent;
pub mod cluster;
mod command;
mod control;
mod coordinator;
pub mod dependency;
pub mod description;
pub mod environment;
mod face;
mod generation;
pub mod hooks;
mod http_client;
mod identity;
pub mod leader;
pub mod lifecycle;
pub mod log;
pub mod member;
#[cfg(feature = "model")]
pub mod model;
pub mod program;
mod reaper;
mod registry;
pub mod signing;
pub mod tools;
pub mod whereabouts;
pub mod zookeeper_hosts;

pub use member::{Member, Standing};
pub use zookeeper_hosts::ZookeeperHosts;
