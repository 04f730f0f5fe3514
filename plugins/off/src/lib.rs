//! `off`: stops the sub-processes of pods; the pods stay.

use ocho_sdk::items::Wording;
use ocho_sdk::{Failure, Found, Report, Selection, Usage, control, pods, switch};

const WORDING: Wording = Wording { verb: "switch off", member: "off", summary: |pods| format!("{pods} pods off") };

/// What `off` accepts.
#[must_use]
pub fn usage() -> Usage {
    let usage = Usage::new("off", "Stop the sub-processes of pods. The pods themselves stay and can be switched on again.");
    control::arguments(usage, &["-i", "--indices"])
}

/// Switches the pods of every pattern off, all patterns at once.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let off = async |clusters: &str, selection: &Selection, timeout| {
        let answers = switch::ask(clusters, selection, async |pods| pods::off(&pods, timeout).await).await;
        switch::item(answers, "1 or more pod failed to stop")
    };
    control::each(&args, WORDING, off).await
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
