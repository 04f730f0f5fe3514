//! The daemon `ochod`: faces, runs, the tool store, and the clients of the outside systems.
//!
//! From the top floor down, and each room uses only rooms below it: [`config`], [`daemon`], and who may call
//! ([`auth`], [`guard`]); the faces [`portal`],
//! [`servo`] and [`console`]; [`runs`]; [`tools`]; and one room for each outside system: [`pods`], [`marathon`],
//! [`zookeeper`], [`journal`].

pub mod auth;
pub mod config;
pub mod console;
pub mod daemon;
pub mod guard;
pub mod journal;
mod linger;
pub mod log;
pub mod marathon;
mod masks;
mod net;
pub mod own_pods;
mod places;
pub mod pods;
pub mod portal;
mod room;
pub mod runs;
mod server;
pub mod servo;
pub mod tools;
pub mod zookeeper;
