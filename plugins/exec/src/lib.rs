//! `exec`: runs a tool that pods offer.

use ocho_sdk::survey::{self, Survey};
use ocho_sdk::{ClusterGlob, Failure, Found, Kind, Map, PodId, Report, Usage, Value, control, files, json, pods};

/// What `exec` accepts. Switches that it does not know belong to the tool of the pods.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("exec", "Run a tool of the pods of clusters and show what it prints. Files among its arguments are sent along.")
        .one("clusters", Kind::Text, "cluster pattern such as *web")
        .one_or_more("cmdline", "the tool and its arguments")
        .indices(&["-i", "--indices"])
        .json(&["-j", "--json"])
        .timeout()
        .force()
        .pass_unknown_to("cmdline")
}

/// Runs the tool on all pods at once.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant, or the registry does not answer.
pub async fn run(args: Found) -> Result<Report, Failure> {
    control::require_force(&args)?;
    let pattern = args.pattern("clusters");
    let registered = survey::find_selected(&pattern, &args.selection()).await?;
    let words = args.texts("cmdline");
    let uploads: Vec<String> = args.distinct("cmdline").into_iter().filter(|word| files::exists(word)).collect();
    let survey = Survey::of(pods::exec(&survey::ids(&registered), &words.join(" "), &uploads, args.timeout()).await);
    let outcomes: Vec<(&PodId, Outcome)> = survey.bodies().map(|(pod, body)| (pod, Outcome::read(body))).collect();
    let is_ok = !outcomes.is_empty()
        && outcomes.len() == survey.answers().len()
        && outcomes.iter().all(|(_, outcome)| outcome.is_success());
    let report = if args.json() { as_json(&survey) } else { as_text(&pattern, &outcomes, &survey) };
    Ok(report.with_success(is_ok))
}

/// How a pod's tool ended.
#[derive(Debug)]
struct Outcome {
    /// None where the pod did not say it.
    code: Option<i64>,
    lines: Vec<String>,
}

impl Outcome {
    fn read(body: &Value) -> Self {
        let lines = body["stdout"].as_array().map_or(&[][..], Vec::as_slice);
        let lines = lines.iter().filter_map(Value::as_str).map(|line| line.trim_end_matches('\n').to_owned());
        Self { code: body["code"].as_i64(), lines: lines.collect() }
    }

    fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    fn text(&self, pod: &PodId) -> String {
        let code = self.code.map_or_else(|| "?".to_owned(), |code| code.to_string());
        let lines: String = self.lines.iter().map(|line| format!("\n {line}")).collect();
        if lines.is_empty() { format!("- {pod} (exit code {code})") } else { format!("- {pod} (exit code {code})\n{lines}\n") }
    }
}

fn as_json(survey: &Survey) -> Report {
    let members = survey.bodies().map(|(pod, body)| (pod.to_string(), json!({"code": body["code"], "stdout": body["stdout"]})));
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}

fn as_text(pattern: &ClusterGlob, outcomes: &[(&PodId, Outcome)], survey: &Survey) -> Report {
    if outcomes.is_empty() {
        return Report::text("");
    }
    let each: Vec<String> = outcomes.iter().map(|(pod, outcome)| outcome.text(pod)).collect();
    Report::text(format!("{}\n\n{}", survey.headline(pattern, outcomes.len()), each.join("\n")))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
