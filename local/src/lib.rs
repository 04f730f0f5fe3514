//! The embedded cluster: what `ochod up` brings along so that one machine is enough.
//!
//! `registry` is where pods find each other, `scheduler` is what runs them. Both speak the wire protocols of the
//! systems that they stand in for, so real clients of those work against them.

pub mod registry;
pub mod scheduler;
