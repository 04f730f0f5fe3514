//! `poll`: the metrics that pods report, secrets included: that is how users read a generated token.

use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{ClusterGlob, Failure, Found, Map, PodId, Report, Usage, Value, json, pods, table};

/// What `poll` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("poll", "Show the metrics that the pods of clusters report.")
        .optional("clusters", "cluster pattern such as *web, all clusters by default")
        .json(&["-j", "--json"])
}

/// Asks the pods how they are and shows the metrics of those that have some.
///
/// # Errors
/// Where the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let pattern = args.pattern("clusters");
    let registered = pods::find(&pattern).await?;
    let survey = Survey::of(pods::info_with_secrets(&survey::ids(&registered), pods::INFO_TIMEOUT).await);
    let shown: Vec<(&PodId, &Value)> = survey.bodies().filter_map(|(pod, info)| Some((pod, info.get("metrics")?))).collect();
    Ok(if args.json() { as_json(&shown) } else { as_text(&pattern, &shown, &survey) })
}

fn as_json(shown: &[(&PodId, &Value)]) -> Report {
    let members = shown.iter().map(|(pod, metrics)| (pod.to_string(), (*metrics).clone()));
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}

fn as_text(pattern: &ClusterGlob, shown: &[(&PodId, &Value)], survey: &Survey) -> Report {
    if shown.is_empty() {
        return Report::text("");
    }
    let rows: Vec<_> = shown.iter().map(|(pod, metrics)| [pod.to_string(), json::to_line(metrics)]).collect();
    Report::text(format!("{}\n\n{}", survey.headline(pattern, shown.len()), table(["pod", "metrics"], &rows)))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
