//! Tasks as processes of this machine.

pub(crate) mod adopt;
pub(crate) mod container;
pub(crate) mod docker;
pub(crate) mod env;
pub(crate) mod fetch;
pub(crate) mod handle;
pub(crate) mod image;
pub(crate) mod memory;
pub(crate) mod ports;
pub(crate) mod procs;
pub(crate) mod run;
pub(crate) mod shim;
pub(crate) mod spec;
