//! `log`: what pods wrote into their logs.

use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{ClusterGlob, Failure, Found, Map, PodId, Report, Usage, Value, json, pods};

/// So many lines are shown without `-l`.
const LAST_LINES: usize = 16;

/// What `log` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("log", "Show the logs of pods, the last 16 lines of each.")
        .optional("clusters", "cluster pattern such as *web, all clusters by default")
        .flag(&["-l"], "long", "show the whole log")
        .indices(&["-i", "--indices"])
        .json(&["-j"])
}

/// Asks the pods for their logs.
///
/// # Errors
/// Where the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let pattern = args.pattern("clusters");
    let registered = survey::find_selected(&pattern, &args.selection()).await?;
    let survey = Survey::of(pods::log(&survey::ids(&registered), pods::INFO_TIMEOUT).await);
    let at_most = if args.flag("long") { usize::MAX } else { LAST_LINES };
    let logs: Vec<(&PodId, Vec<&str>)> = survey.bodies().map(|(pod, log)| (pod, last_lines(log, at_most))).collect();
    Ok(if args.json() { as_json(&logs) } else { as_text(&pattern, &logs, &survey) })
}

fn last_lines(log: &Value, at_most: usize) -> Vec<&str> {
    let lines = log.as_array().map_or(&[][..], Vec::as_slice);
    let from = lines.len().saturating_sub(at_most);
    lines[from..].iter().filter_map(Value::as_str).collect()
}

/// Lines without the newlines that pods send with them.
fn as_json(logs: &[(&PodId, Vec<&str>)]) -> Report {
    let members = logs.iter().map(|(pod, lines)| {
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches('\n')).collect();
        (pod.to_string(), json!(lines))
    });
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}

fn as_text(pattern: &ClusterGlob, logs: &[(&PodId, Vec<&str>)], survey: &Survey) -> Report {
    if logs.is_empty() {
        return Report::text("");
    }
    // Log lines bring their own newlines, so an empty line ends each pod's.
    let each: Vec<String> = logs.iter().map(|(pod, lines)| format!("- {pod}\n\n  {}", lines.join("  "))).collect();
    Report::text(format!("{}\n{}", survey.headline(pattern, logs.len()), each.join("\n")))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
