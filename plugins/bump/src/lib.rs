//! `bump`: replaces the pods of a cluster by pods of another docker tag.
//!
//! Marathon is told first. Only when it has accepted the change are pods ended, so that a refusal costs nothing.

use std::time::Duration;

use ocho_sdk::bring_up::{self, Wanted};
use ocho_sdk::items::{self, Item, Wording};
use ocho_sdk::marathon::MarathonError;
use ocho_sdk::pods::Pod;
use ocho_sdk::{
    ClusterGlob, Deadline, Failure, Found, Kind, PodSeq, Report, Selection, Usage, Value, control, image, json, marathon,
};

const WORDING: Wording = Wording { verb: "bump", member: "up", summary: |pods| format!("{pods} pods") };

/// What `bump` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new(
        "bump",
        "Replace the pods of clusters by pods of another docker tag. All old pods end at once, unless Marathon is to replace them \
         one after the other.",
    )
    .one_or_more("clusters", "cluster patterns such as *web")
    .json(&["-j"])
    .timeout()
    .value(&["-v"], "version", Kind::Text, "docker tag, latest by default")
    .flag(&["--strict"], "strict", "wait until the pods run, not merely until they are there")
    .flag(&["--rolling"], "rolling", "let Marathon replace the pods by its own rolling upgrade")
}

/// Replaces the pods of every pattern, all patterns at once.
///
/// # Errors
/// None as a whole: what fails, fails for its pattern.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let request = Request {
        version: args.text("version").unwrap_or("latest").to_owned(),
        is_strict: args.flag("strict"),
        is_rolling: args.flag("rolling"),
        timeout: args.timeout(),
    };
    let bump = async |clusters: &str| bump(clusters, &request).await;
    Ok(items::each(args.distinct("clusters"), args.json(), WORDING, bump).await)
}

struct Request {
    version: String,
    is_strict: bool,
    is_rolling: bool,
    timeout: Duration,
}

async fn bump(clusters: &str, request: &Request) -> Item<Vec<PodSeq>> {
    let deadline = Deadline::after(request.timeout);
    let change = match change(clusters, &request.version).await {
        Ok(change) => change,
        Err(why) => return Item { why: Some(why), ..Item::default() },
    };
    let old: Vec<PodSeq> = change.pods.iter().map(|pod| pod.id.seq).collect();
    let (silent, not_ended) = if request.is_rolling { (Vec::new(), None) } else { end(clusters, change.pods, deadline).await };
    let wanted = Wanted {
        item: clusters,
        clusters: &ClusterGlob::new(clusters),
        application: &change.application,
        count: change.instances,
        is_strict: request.is_strict,
        old: &old,
    };
    let pods = bring_up::until_up(&wanted, deadline).await;
    if pods.up.len() >= wanted.count {
        return Item { done: pods.up, silent, why: not_ended };
    }
    let cause = pods.why_missing(&change.application).await.map_or_else(String::new, |cause| format!(": {cause}"));
    let why = Failure::new(format!("1+ pods still not up ({}/{}){cause}", pods.up.len(), change.instances));
    Item { done: pods.up, silent, why: Some(why) }
}

/// What Marathon has accepted.
struct Change {
    application: String,
    instances: usize,
    /// The pods of before.
    pods: Vec<Pod>,
}

async fn change(clusters: &str, version: &str) -> Result<Change, Failure> {
    let mut pods = control::select(clusters, &Selection::All).await?;
    let application = application(clusters, &pods)?;
    // Whatever else the pattern matches, nobody would start again.
    pods.retain(|pod| pod.application.as_ref() == Some(&application));
    let app = marathon::app(&application).await.map_err(|why| Failure::new(format!("application lookup failed {why}")))?;
    let accepted = match new_container(&app, version)? {
        Some(container) => marathon::update_app(&application, &json!({"container": container})).await,
        // An update that changes nothing restarts nothing; the tag may mean another image by now.
        None => marathon::restart_app(&application).await,
    };
    accepted.map_err(|why: MarathonError| Failure::new(format!("update failed {why}")))?;
    let instances = app["instances"].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
    Ok(Change { application, instances, pods })
}

fn application(clusters: &str, pods: &[Pod]) -> Result<String, Failure> {
    let mut applications = pods.iter().filter_map(|pod| pod.application.as_deref());
    match applications.next() {
        None => Err(Failure::new("the pods are not run by marathon")),
        Some(application) if applications.all(|other| other == application) => Ok(application.to_owned()),
        Some(_) => Err(Failure::new(format!("{clusters} is mapping to 2+ marathon applications"))),
    }
}

/// The app's container with the other tag; none where it has this tag already.
fn new_container(app: &Value, version: &str) -> Result<Option<Value>, Failure> {
    let image = app["container"]["docker"]["image"].as_str();
    let image = image.ok_or_else(|| Failure::new("the application has no docker image"))?;
    let bumped = image::with_tag(image, version);
    if bumped == image {
        return Ok(None);
    }
    let mut container = app["container"].clone();
    container["docker"]["image"] = bumped.into();
    Ok(Some(container))
}

/// Ends the old pods gracefully, then their tasks, whose ports and memory the new ones may need.
async fn end(clusters: &str, pods: Vec<Pod>, deadline: Deadline) -> (Vec<PodSeq>, Option<Failure>) {
    let mut ended = control::end(clusters, pods, deadline).await;
    let why = ended.why(clusters);
    // Marathon ends them in the course of its deployment anyway; this is only sooner.
    if let Err(error) = marathon::replace_tasks(&ended.tasks()).await {
        ocho_sdk::debug(format_args!("{clusters} : old tasks are left to marathon {error}"));
    }
    (control::silent(&ended.left), why)
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
