//! The daemon `ochod`: faces, runs, the tool store, and the clients of the outside systems.
//!
//! From the top floor down, and each room uses only rooms below it: [`config`] and [`daemon`]; the faces [`portal`],
//! [`servo`] and [`console`]; [`runs`]; [`tools`]; and one room for each outside system: [`pods`], [`marathon`],
//! [`zookeeper`].

pub mod config;
pub mod console;
pub mod daemon;
pub mod guard;
pub mod marathon;
mod net;
pub mod pods;
pub mod portal;
pub mod runs;
pub mod servo;
pub mod tools;
pub mod zookeeper;
