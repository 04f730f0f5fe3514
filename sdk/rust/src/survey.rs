//! One question to many pods, and the count of what came back.

use ocho_core::{ClusterGlob, PodId};
use serde_json::Value;

use crate::args::Selection;
use crate::pods::{Answer, Pod, PodReply};

/// What pods answered to one question. Pods that left the registry meanwhile are not part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    answers: Vec<Answer>,
}

impl Survey {
    /// Takes the answers and names the pods without a usable one on standard error. A pod that is the host itself is named
    /// where it refuses, and does not count.
    #[must_use]
    pub fn of(mut answers: Vec<Answer>) -> Self {
        answers.retain(|answer| answer.reply != PodReply::NotRegistered);
        for silent in answers.iter().filter(|answer| answer.body().is_none()) {
            crate::hint(format_args!("{}: {}", silent.pod, silent.reply));
        }
        answers.retain(|answer| !matches!(answer.reply, PodReply::IsHost(_)));
        Self { answers }
    }

    /// All pods with their answers.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The pods that answered 200, with what they said.
    pub fn bodies(&self) -> impl Iterator<Item = (&PodId, &Value)> {
        self.answers.iter().filter_map(|answer| Some((&answer.pod, answer.body()?)))
    }

    /// `<*web> -> 66% replies (2 pods total) ->`
    #[must_use]
    pub fn headline(&self, pattern: &ClusterGlob, kept: usize) -> String {
        format!("<{pattern}> -> {}% replies ({kept} pods total) ->", self.percent(kept))
    }

    /// How many of the registered pods `kept` are, in whole percents, rounded down; 0 where there is none.
    #[must_use]
    pub fn percent(&self, kept: usize) -> usize {
        percent(kept, self.answers.len()).unwrap_or(0)
    }
}

/// `part` of `whole` in whole percents, rounded down; none of nothing.
#[must_use]
pub fn percent(part: usize, whole: usize) -> Option<usize> {
    (100 * part).checked_div(whole)
}

/// The ids of pods.
#[must_use]
pub fn ids(pods: &[Pod]) -> Vec<PodId> {
    pods.iter().map(|pod| pod.id.clone()).collect()
}

/// Finds the pods of a pattern that are meant, in order.
///
/// # Errors
/// Where the registry does not answer.
pub async fn find_selected(clusters: &ClusterGlob, selection: &Selection) -> Result<Vec<Pod>, crate::pods::PodsError> {
    let mut pods = crate::pods::find(clusters).await?;
    pods.retain(|pod| selection.keeps(pod.id.seq));
    Ok(pods)
}

/// A member of a pod's answer as text: blank where it is missing or null.
#[must_use]
pub fn text(body: &Value, member: &str) -> String {
    match body.get(member) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => ocho_core::json::to_line(other),
    }
}
