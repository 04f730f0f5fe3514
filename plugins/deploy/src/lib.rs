//! `deploy`: makes Marathon apps of container definitions and waits until their pods are up.

mod application;
mod definition;
mod overrides;
mod ports;
mod scalar;
mod settings;
mod yaml;

use std::time::Duration;

use application::{Application, Request};
use ocho_sdk::bring_up::{self, Pods, Wanted};
use ocho_sdk::items::{self, Item, Wording};
use ocho_sdk::{ClusterGlob, Deadline, Failure, Found, Kind, PodSeq, Report, Usage, Value, clock, files, json, marathon};

const WORDING: Wording = Wording { verb: "deploy", member: "up", summary: |pods| format!("+{pods} pods") };

/// What `deploy` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new(
        "deploy",
        "Deploy containers: each definition becomes a Marathon application, whose pods form a cluster. \
         Pods that come up stay; the application is deleted where none does.",
    )
    .one_or_more("containers", "YAML files with container definitions")
    .json(&["-j"])
    .value(&["-n"], "namespace", Kind::Text, "namespace of the clusters, marathon by default")
    .values(&["-o"], "overrides", Kind::Text, "YAML files with settings by <namespace>.<cluster>, later ones over earlier ones")
    .value(&["-p"], "pods", Kind::Int, "number of pods, 1 by default")
    .value(&["-r"], "release", Kind::Text, "docker tag to use instead of the definition's")
    .value(&["-s"], "suffix", Kind::Text, "suffix for the name of the cluster, added as -<suffix>")
    .timeout()
    .flag(&["--strict"], "strict", "wait until the pods run, not merely until they are there")
    .flag(&["--dry-run"], "dry-run", "print the applications and submit nothing")
    .flag(&["--rollback"], "rollback", "delete the application unless all of its pods come up")
}

/// Deploys all definitions at the same time.
///
/// # Errors
/// Where an override file cannot be read.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let request = Request {
        namespace: args.text("namespace").unwrap_or("marathon").to_owned(),
        suffix: args.text("suffix").map(str::to_owned),
        release: args.text("release").map(str::to_owned),
        pods: u32::try_from(args.int("pods").unwrap_or(1).max(1)).unwrap_or(u32::MAX),
        overrides: overrides::load(args.texts("overrides"))?,
    };
    let containers = args.distinct("containers");
    if args.flag("dry-run") {
        return Ok(dry_run(containers, &request, args.json()));
    }
    let terms = Terms { timeout: args.timeout(), is_strict: args.flag("strict"), rolls_back: args.flag("rollback") };
    let deploy = async |file: &str| deploy(file, &request, terms).await;
    Ok(items::each(containers, args.json(), WORDING, deploy).await)
}

/// When a deployment counts as done, and what becomes of one that does not get there.
#[derive(Debug, Clone, Copy)]
struct Terms {
    timeout: Duration,
    is_strict: bool,
    rolls_back: bool,
}

async fn deploy(file: &str, request: &Request, terms: Terms) -> Item<Vec<PodSeq>> {
    let application = match submit(file, request).await {
        Ok(application) => application,
        Err(why) => return Item { why: Some(why), ..Item::default() },
    };
    let wanted = Wanted {
        item: file,
        clusters: &ClusterGlob::exactly(&application.cluster),
        application: &application.id,
        count: usize::try_from(request.pods).unwrap_or(usize::MAX),
        is_strict: terms.is_strict,
        old: &[],
    };
    let pods = bring_up::until_up(&wanted, Deadline::after(terms.timeout)).await;
    if pods.up.len() >= wanted.count {
        return Item { done: pods.up, ..Item::default() };
    }
    give_up(&application, pods, request.pods, terms).await
}

async fn submit(file: &str, request: &Request) -> Result<Application, Failure> {
    let application = read(file, request)?;
    let submitted = marathon::create_app(&application.app).await;
    submitted.map_err(|why| Failure::new(format!("submission failed {why}")))?;
    Ok(application)
}

fn read(file: &str, request: &Request) -> Result<Application, Failure> {
    let text = files::read(file)?;
    let definition = definition::read(&text)?;
    application::build(definition, request, &clock::moment()).map_err(Failure::new)
}

/// What came up stays, also where it is silent at the end; an application of which nothing came up goes.
async fn give_up(application: &Application, pods: Pods, wanted: u32, terms: Terms) -> Item<Vec<PodSeq>> {
    let (up, seconds) = (pods.up.len(), terms.timeout.as_secs());
    let mut why = match pods.came_up.len() {
        before @ 1.. if up == 0 => format!("0/{wanted} pods are up after {seconds} s, {before} were before"),
        _ => format!("{up}/{wanted} pods came up within {seconds} s"),
    };
    if let Some(cause) = pods.why_missing(&application.id).await {
        why = format!("{why}: {cause}");
    }
    if !pods.none_came_up() && !terms.rolls_back {
        if up == 0 {
            why.push_str("; the application stays");
        }
        return Item { done: pods.up, why: Some(Failure::new(why)), ..Item::default() };
    }
    // It is the deployment of this very application that did not come to an end.
    if let Err(error) = marathon::abandon_app(&application.id).await {
        why = format!("{why}; application deletion failed {error}");
    }
    Item { why: Some(Failure::new(why)), ..Item::default() }
}

/// Shows what would be submitted: the apps as JSON, one below the other, or with `-j` keyed by file.
fn dry_run(containers: Vec<String>, request: &Request, is_json: bool) -> Report {
    let drafts: Vec<(String, Result<Value, Failure>)> = containers
        .into_iter()
        .map(|file| {
            let app = read(&file, request).map(|application| application.app);
            (file, app)
        })
        .collect();
    let is_ok = drafts.iter().all(|(_, draft)| draft.is_ok());
    let report = if is_json { Report::json(&keyed(drafts)) } else { Report::text(listed(&drafts)) };
    report.with_success(is_ok)
}

fn keyed(drafts: Vec<(String, Result<Value, Failure>)>) -> Value {
    let members = drafts.into_iter().map(|(file, draft)| match draft {
        Ok(app) => (file, json!({"ok": true, "app": app})),
        Err(why) => (file, json!({"ok": false, "why": why.reason()})),
    });
    Value::Object(members.collect())
}

fn listed(drafts: &[(String, Result<Value, Failure>)]) -> String {
    let each: Vec<String> = drafts
        .iter()
        .map(|(file, draft)| match draft {
            Ok(app) => indented(app, "\n"),
            Err(why) => items::reason(file, WORDING.verb, why),
        })
        .collect();
    each.join("\n")
}

/// JSON over several lines. A second formatter of the JSON crate would make this component 5 KiB larger.
fn indented(value: &Value, line_end: &str) -> String {
    let deeper = format!("{line_end}  ");
    let (open, items, close): (char, Vec<String>, char) = match value {
        Value::Object(members) if !members.is_empty() => {
            let member = |(key, value): (&String, &Value)| format!("{}: {}", json::to_line(key), indented(value, &deeper));
            ('{', members.iter().map(member).collect(), '}')
        }
        Value::Array(items) if !items.is_empty() => ('[', items.iter().map(|item| indented(item, &deeper)).collect(), ']'),
        plain => return json::to_line(plain),
    };
    format!("{open}{deeper}{}{line_end}{close}", items.join(&format!(",{deeper}")))
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
