//! `grep`: the pods of clusters, each with its address, node, process and state.

use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{ClusterGlob, Failure, Found, Map, PodId, Report, Usage, Value, json, pods, table};

/// What `grep` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("grep", "Show the pods of clusters: their address, node, process and state.")
        .optional("clusters", "cluster pattern such as *web, all clusters by default")
        .json(&["-j", "--json"])
}

/// Asks the pods how they are and shows those that say it.
///
/// # Errors
/// Where the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let pattern = args.pattern("clusters");
    let registered = pods::find(&pattern).await?;
    let survey = Survey::of(pods::info(&survey::ids(&registered), pods::INFO_TIMEOUT).await);
    let shown: Vec<(&PodId, &Value)> = survey.bodies().collect();
    Ok(if args.json() { as_json(&shown) } else { as_text(&pattern, &shown, &survey) })
}

fn as_json(shown: &[(&PodId, &Value)]) -> Report {
    let members = shown.iter().map(|(pod, info)| {
        let member = |name| info.get(name).cloned().unwrap_or_else(|| json!(""));
        let value = json!({
            "ip": member("ip"), "node": member("node"), "process": member("process"), "state": member("state"),
        });
        (pod.to_string(), value)
    });
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}

fn as_text(pattern: &ClusterGlob, shown: &[(&PodId, &Value)], survey: &Survey) -> Report {
    if shown.is_empty() {
        return Report::text("");
    }
    let row = |(pod, info): &(&PodId, &Value)| {
        let [ip, node, process, state] = ["ip", "node", "process", "state"].map(|name| survey::text(info, name));
        [pod.to_string(), ip, node, process, state]
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    let table = table(["pod", "pod IP", "node", "process", "state"], &rows);
    Report::text(format!("{}\n\n{table}", survey.headline(pattern, shown.len())))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
