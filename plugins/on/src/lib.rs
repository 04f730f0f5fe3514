//! `on`: starts the sub-processes of pods.

use ocho_sdk::items::{self, Wording};
use ocho_sdk::{Failure, Found, Report, Usage, control, pods, switch};

const WORDING: Wording = Wording { verb: "switch on", member: "on", summary: |pods| format!("{pods} pods on") };

/// What `on` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("on", "Start the sub-processes of pods.")
        .one_or_more("clusters", "cluster patterns such as *web")
        .indices(&["-i", "--indices"])
        .json(&["-j"])
        .timeout()
        .force()
}

/// Switches the pods of every pattern on, all patterns at once.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant.
pub async fn run(args: Found) -> Result<Report, Failure> {
    control::require_force(&args)?;
    let (selection, timeout) = (args.selection(), args.timeout());
    let switch = async |clusters: &str| {
        let answers = switch::ask(clusters, &selection, async |pods| pods::on(&pods, timeout).await).await;
        switch::item(answers, "1 or more pod failed to start")
    };
    Ok(items::each(args.distinct("clusters"), args.json(), WORDING, switch).await)
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
