//! `on`: starts the sub-processes of pods.

use std::time::Duration;

use ocho_sdk::items::{Item, Wording};
use ocho_sdk::{Failure, Found, PodId, Report, Selection, Usage, control, switch};

const WORDING: Wording = Wording { verb: "switch on", member: "on", summary: |pods| format!("{pods} pods on") };

/// What `on` accepts.
#[must_use]
pub fn usage() -> Usage {
    control::arguments(Usage::new("on", "Start the sub-processes of pods."), &["-i", "--indices"])
}

/// Switches the pods of every pattern on, all patterns at once.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant.
pub async fn run(args: Found) -> Result<Report, Failure> {
    control::each(&args, WORDING, on).await
}

async fn on(clusters: &str, selection: &Selection, timeout: Duration) -> Item<Vec<PodId>> {
    let question = async |pods: Vec<PodId>| switch::on(clusters, &pods, timeout).await;
    switch::item(switch::ask(clusters, selection, question).await, "1 or more pod failed to start")
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
