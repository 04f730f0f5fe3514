//! `reset`: stops the sub-processes of pods and starts them again.

use std::collections::BTreeSet;
use std::time::Duration;

use ocho_sdk::items::{Item, Wording};
use ocho_sdk::switch::Switched;
use ocho_sdk::{Failure, Found, PodId, PodSeq, Report, Selection, Usage, control, pods, switch};

const WORDING: Wording = Wording { verb: "reset", member: "reset", summary: |pods| format!("{pods} pods reset") };

/// What `reset` accepts.
#[must_use]
pub fn usage() -> Usage {
    control::arguments(Usage::new("reset", "Stop the sub-processes of pods and start them again."), &["-i", "--indices"])
}

/// Resets the pods of every pattern, all patterns at once.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant.
pub async fn run(args: Found) -> Result<Report, Failure> {
    control::each(&args, WORDING, reset).await
}

/// Stops, then starts exactly what did stop. Starting has a time of its own: a pod that took long to stop must not stay down.
async fn reset(clusters: &str, selection: &Selection, timeout: Duration) -> Item<Vec<PodSeq>> {
    // Afterwards nothing runs in any of them.
    let mut doubtful = BTreeSet::new();
    let question = async |pods: Vec<PodId>| {
        let looked = switch::look_first(&pods, timeout, async |pods: &[PodId], _, time| pods::off(pods, time).await).await;
        doubtful = looked.doubtful;
        looked.answers
    };
    let off = match switch::ask(clusters, selection, question).await {
        Ok(off) => off,
        Err(why) => return Item { why: Some(why), ..Item::default() },
    };
    let on = match off.done.as_slice() {
        [] => Switched::default(),
        stopped => Switched::of(switch::on_again(clusters, stopped, &doubtful, timeout).await),
    };
    let silent = control::silent(&off.failed).into_iter().chain(control::silent(&on.failed)).collect();
    let why = control::complaint("1 or more pod failed to stop", &off.failed)
        .or_else(|| control::complaint("1 or more pod failed to start", &on.failed));
    Item { done: on.seqs(), silent, why }
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
