//! Runs applications as local processes and answers as Marathon does.
//!
//! [`Scheduler::bind`] opens the database and the port, [`Scheduler::serve`] does the work until it is told to stop, and
//! then stops the tasks. Each task has a shim for its parent, [`task_shim_main`], which outlives the scheduler.

mod config;
mod deployments;
mod engine;
mod events;
mod health;
mod http;
mod model;
mod reconcile;
mod serve;
mod state;
mod store;
mod tasks;
mod wire;

pub use self::config::SchedulerConfig;
pub use self::serve::{Scheduler, SchedulerError};
pub use self::tasks::shim::task_shim_main;
