//! Asking tasks whether they are well, and new ones whether they are ready.

use std::convert::Infallible;
use std::sync::Arc;

use super::engine::Engine;
use super::model::task::Task;

/// What the questions need.
pub(crate) struct Probes {}

impl Probes {
    pub(crate) fn new() -> Self {
        Self {}
    }
}

/// Asks a running task for as long as it runs.
pub(crate) async fn watch(_engine: &Arc<Engine>, _task: &Task) -> Infallible {
    std::future::pending().await
}
