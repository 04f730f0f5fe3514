//! `on`: starts the sub-processes of pods.

use ocho_sdk::items::Wording;
use ocho_sdk::{Failure, Found, Report, Selection, Usage, control, pods, switch};

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
    let on = async |clusters: &str, selection: &Selection, timeout| {
        let answers = switch::ask(clusters, selection, async |pods| pods::on(&pods, timeout).await).await;
        switch::item(answers, "1 or more pod failed to start")
    };
    control::each(&args, WORDING, on).await
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
