//! `scale`: changes the number of pods of a cluster. Pods that go are ended gracefully before their tasks are removed.

mod factor;
mod plan;

use std::time::Duration;

use factor::Factor;
use ocho_sdk::bring_up::{self, Wanted};
use ocho_sdk::items::{self, Done, Item, Wording};
use ocho_sdk::{ClusterGlob, Deadline, Failure, Found, Kind, Report, Selection, Usage, Value, control, json, marathon};
use plan::{Order, Plan};

const WORDING: Wording = Wording { verb: "scale", member: "delta", summary: |delta| format!("{delta:+} pods") };

/// What `scale` accepts.
#[must_use]
pub fn usage() -> Usage {
    Usage::new("scale", "Change the number of pods of clusters.")
        .one_or_more("clusters", "cluster patterns such as *web")
        .value(
            &["-f"],
            "factor",
            Kind::Text,
            "@5 for 5 pods, x1.5 for half as many more, +2 or -2 for 2 more or fewer; +1 by default",
        )
        .value(&["-g"], "group", Kind::Int, "number of a pod whose application to scale, where a pattern has several")
        .json(&["-j"])
        .timeout()
        .flag(&["--fifo"], "fifo", "end the oldest pods instead of the newest")
}

/// Scales the application of every pattern, all patterns at once.
///
/// # Errors
/// Where the factor cannot be read.
pub async fn run(args: Found) -> Result<Report, Failure> {
    let request = Request {
        factor: args.text("factor").unwrap_or("+1").parse()?,
        group: args.int("group"),
        order: if args.flag("fifo") { Order::OldestFirst } else { Order::NewestFirst },
        timeout: args.timeout(),
    };
    let scale = async |clusters: &str| scale(clusters, &request).await;
    Ok(items::each(args.distinct("clusters"), args.json(), WORDING, scale).await)
}

struct Request {
    factor: Factor,
    group: Option<i64>,
    order: Order,
    timeout: Duration,
}

/// How many pods more or fewer.
#[derive(Debug, Default)]
struct Delta(i64);

impl Done for Delta {
    fn count(&self) -> i64 {
        self.0
    }

    fn value(&self) -> Value {
        json!(self.0)
    }
}

async fn scale(clusters: &str, request: &Request) -> Item<Delta> {
    let plan = match plan_for(clusters, request).await {
        Ok(plan) => plan,
        Err(why) => return Item { why: Some(why), ..Item::default() },
    };
    let deadline = Deadline::after(request.timeout);
    let delta = Delta(plan.delta);
    match plan.delta {
        0 => Item { done: delta, ..Item::default() },
        1.. => Item { done: delta, why: scale_up(clusters, &plan, deadline, request.timeout).await.err(), ..Item::default() },
        _ => scale_down(clusters, plan, deadline).await,
    }
}

async fn plan_for(clusters: &str, request: &Request) -> Result<Plan, Failure> {
    let pods = control::select(clusters, &Selection::All).await?;
    let (application, pods) = plan::choose(clusters, pods, request.group)?;
    Ok(plan::plan(application, pods, request.factor, request.order))
}

async fn scale_up(clusters: &str, plan: &Plan, deadline: Deadline, timeout: Duration) -> Result<(), Failure> {
    let updated = marathon::update_app(&plan.application, &json!({"instances": plan.target})).await;
    updated.map_err(|why| Failure::new(format!("update failed {why}")))?;
    let wanted = Wanted {
        item: clusters,
        clusters: &ClusterGlob::new(clusters),
        application: &plan.application,
        count: plan.target,
        is_strict: false,
        old: &[],
    };
    let pods = bring_up::until_up(&wanted, deadline).await;
    if pods.up.len() >= plan.target {
        return Ok(());
    }
    let cause = pods.why_missing(&plan.application).await.map_or_else(String::new, |cause| format!(": {cause}"));
    Err(Failure::new(format!("{}/{} pods are up after {} s{cause}", pods.up.len(), plan.target, timeout.as_secs())))
}

/// Asks Marathon first whether it can: a refusal after the pods have ended would leave the cluster dead.
async fn scale_down(clusters: &str, plan: Plan, deadline: Deadline) -> Item<Delta> {
    if let Err(why) = marathon::require_unlocked(&plan.application).await {
        return Item { why: Some(Failure::new(format!("delete failed {why}"))), ..Item::default() };
    }
    let mut ended = control::end(clusters, plan.surplus, deadline).await;
    let gone = i64::try_from(ended.gone.len()).unwrap_or(i64::MAX);
    let removed = control::remove_or_replace(&ended.tasks()).await;
    let delta = if removed.is_ok() { -gone } else { 0 };
    let why = ended.why(clusters).or(removed.err());
    Item { done: Delta(delta), silent: control::silent(&ended.left), why }
}

ocho_sdk::tool!(super::usage, super::run);

#[cfg(test)]
mod tests;
