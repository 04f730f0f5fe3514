//! The scheduler from outside: the built cluster, real processes, real requests.

mod cluster;
mod crash;
mod deployments;
mod docker;
mod doors;
mod fetch;
mod memory;
mod shapes;
mod stream;
mod tasks;
