//! `port`: the host ports that stand for a container port.

use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{ClusterGlob, Failure, Found, Kind, Map, PodId, Report, Usage, Value, json, pods, table};

/// What `port` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("port", "Show at which addresses and host ports a container port of the pods can be reached.")
        .one("port", Kind::Int, "port inside the container")
        .optional("clusters", "cluster pattern such as *web, all clusters by default")
        .json(&["-j", "--json"])
}

/// Asks the pods how they are and shows those that expose the port.
///
/// # Errors
/// Where the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let pattern = args.pattern("clusters");
    let port = args.int("port").unwrap_or_default().to_string();
    let registered = pods::find(&pattern).await?;
    let survey = Survey::of(pods::info(&survey::ids(&registered), pods::INFO_TIMEOUT).await);
    let shown: Vec<Row> = survey.bodies().filter_map(|(pod, info)| row(pod, info, &port)).collect();
    Ok(if args.json() { as_json(shown) } else { as_text(&pattern, shown, &survey) })
}

/// A pod with its address, its public address and the host port.
type Row = [String; 4];

fn row(pod: &PodId, info: &Value, port: &str) -> Option<Row> {
    let ports = info.get("ports")?;
    ports.get(port)?;
    Some([pod.to_string(), survey::text(info, "ip"), survey::text(info, "public"), survey::text(ports, port)])
}

fn as_json(shown: Vec<Row>) -> Report {
    let members = shown.into_iter().map(|[pod, ip, public, port]| (pod, json!({"ip": ip, "public": public, "ports": port})));
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}

fn as_text(pattern: &ClusterGlob, shown: Vec<Row>, survey: &Survey) -> Report {
    if shown.is_empty() {
        return Report::text("");
    }
    let table = table(["pod", "pod IP", "public IP", "port"], &shown);
    Report::text(format!("{}\n\n{table}", survey.headline(pattern, shown.len())))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
