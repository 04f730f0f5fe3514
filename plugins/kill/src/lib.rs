//! `kill`: ends pods gracefully and for good, and removes what is left of them in Marathon.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ocho_sdk::items::{Item, Wording};
use ocho_sdk::pods::Pod;
use ocho_sdk::{Deadline, Failure, Found, PodSeq, Report, Selection, Usage, control, marathon};

const WORDING: Wording = Wording { verb: "kill", member: "down", summary: |pods| format!("-{pods} pods") };

/// What `kill` accepts.
#[must_use]
pub fn usage() -> Usage {
    let about = "End pods gracefully and for good. An application that loses its last pod is deleted from Marathon.";
    control::arguments(Usage::new("kill", about), &["-i"])
}

/// Ends the pods of every pattern, all patterns at once.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant.
pub async fn run(args: Found) -> Result<Report, Failure> {
    control::each(&args, WORDING, kill).await
}

async fn kill(clusters: &str, selection: &Selection, timeout: Duration) -> Item<Vec<PodSeq>> {
    let pods = match control::select(clusters, selection).await {
        Ok(pods) => pods,
        Err(why) => return Item { why: Some(why), ..Item::default() },
    };
    let mut ended = control::end(clusters, pods, Deadline::after(timeout)).await;
    let removed = remove_tasks(&ended.gone).await;
    let why = ended.why(clusters).or(removed.err());
    Item { done: ended.seqs(), silent: control::silent(&ended.left), why }
}

/// A dead pod idles until its task goes.
async fn remove_tasks(pods: &[Pod]) -> Result<(), Failure> {
    for (application, tasks) in by_application(pods) {
        let all = marathon::tasks(application).await.map_err(|why| Failure::new(format!("task lookup failed {why}")))?;
        if all.iter().all(|task| tasks.contains(task.as_str())) {
            let deleted = marathon::delete_app(application).await;
            deleted.map_err(|why| Failure::new(format!("application deletion failed {why}")))?;
        } else {
            let tasks: Vec<String> = tasks.into_iter().map(str::to_owned).collect();
            let removed = marathon::remove_tasks(&tasks).await;
            removed.map_err(|why| Failure::new(format!("delete failed {why}")))?;
        }
    }
    Ok(())
}

/// The tasks of pods by application. A pod that Marathon does not run has none.
fn by_application(pods: &[Pod]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut applications: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pod in pods {
        if let (Some(application), Some(task)) = (&pod.application, &pod.task) {
            applications.entry(application).or_default().insert(task);
        }
    }
    applications
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
