//! Work on several items at once, each named on the command line, and the report on all of them.

use futures::StreamExt;
use ocho_core::PodSeq;
use serde_json::{Map, Value, json};

use crate::report::{Failure, Report};
use crate::survey::percent;

/// So many items are worked on at once.
const ITEMS_AT_ONCE: usize = 32;

/// What came of one item. What is done stays done, and is told, where the rest failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item<D> {
    /// What was done.
    pub done: D,
    /// The pods that gave no answer.
    pub silent: Vec<PodSeq>,
    /// Why it is not complete; none where it is.
    pub why: Option<Failure>,
}

/// What a tool does to an item, as its report tells it.
pub trait Done {
    /// The number in the summary.
    fn count(&self) -> i64;
    /// The value in the item's JSON object.
    fn value(&self) -> Value;
}

impl Done for Vec<PodSeq> {
    fn count(&self) -> i64 {
        i64::try_from(self.len()).unwrap_or(i64::MAX)
    }

    fn value(&self) -> Value {
        json!(self)
    }
}

/// Pods by their keys.
impl Done for Vec<ocho_core::PodId> {
    fn count(&self) -> i64 {
        i64::try_from(self.len()).unwrap_or(i64::MAX)
    }

    fn value(&self) -> Value {
        self.iter().map(|pod| Value::String(pod.to_string())).collect()
    }
}

/// How a tool words its report.
#[derive(Debug, Clone, Copy)]
pub struct Wording {
    /// As in `web : failed to kill -> ...`.
    pub verb: &'static str,
    /// The member of an item's JSON object that tells what was done.
    pub member: &'static str,
    /// The words in the brackets of `100% success (...)`, from the number of what was done.
    pub summary: fn(i64) -> String,
}

/// Works on all items at the same time and reports.
pub async fn each<D: Done>(items: Vec<String>, is_json: bool, wording: Wording, work: impl AsyncFn(&str) -> Item<D>) -> Report {
    let work = &work;
    let numbered = items.into_iter().enumerate().map(|(nth, name)| async move {
        let item = work(&name).await;
        if is_json && let Some(why) = &item.why {
            crate::debug(reason(&name, wording.verb, why));
        }
        (nth, name, item)
    });
    let mut ends: Vec<Option<(String, Item<D>)>> = Vec::new();
    let mut done = futures::stream::iter(numbered).buffer_unordered(ITEMS_AT_ONCE);
    while let Some((nth, name, item)) = done.next().await {
        ends.resize_with(ends.len().max(nth + 1), || None);
        ends[nth] = Some((name, item));
    }
    let ends: Vec<(String, Item<D>)> = ends.into_iter().flatten().collect();
    let succeeded = ends.iter().filter(|(_, item)| item.why.is_none()).count();
    let report = if is_json { as_json(&ends, wording) } else { as_text(&ends, succeeded, wording) };
    report.with_success(succeeded == ends.len())
}

/// `web : failed to kill -> ...`
#[must_use]
pub fn reason(name: &str, verb: &str, why: &Failure) -> String {
    format!("{name} : failed to {verb} -> {}", why.reason())
}

fn as_text<D: Done>(ends: &[(String, Item<D>)], succeeded: usize, wording: Wording) -> Report {
    let reasons = ends.iter().filter_map(|(name, item)| Some(reason(name, wording.verb, item.why.as_ref()?)));
    let count = ends.iter().map(|(_, item)| item.done.count()).sum();
    let percent = percent(succeeded, ends.len()).unwrap_or(0);
    let summary = format!("{percent}% success ({})", (wording.summary)(count));
    Report::text(std::iter::once(summary).chain(reasons).collect::<Vec<_>>().join("\n"))
}

fn as_json<D: Done>(ends: &[(String, Item<D>)], wording: Wording) -> Report {
    let members = ends.iter().map(|(name, item)| {
        let mut value = json!({"ok": item.why.is_none()});
        value[wording.member] = item.done.value();
        if !item.silent.is_empty() {
            value["silent"] = json!(item.silent);
        }
        if let Some(why) = &item.why {
            value["why"] = why.reason().into();
        }
        (name.clone(), value)
    });
    Report::json(&Value::Object(members.collect::<Map<_, _>>()))
}
