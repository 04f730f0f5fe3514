//! Switching pods on and off: which answered 200, and what the others said.

use ocho_core::{PodId, PodSeq};

use crate::args::Selection;
use crate::control;
use crate::items::Item;
use crate::pods::Answer;
use crate::report::Failure;
use crate::survey;

/// What pods answered to a switch.
#[derive(Debug, Default)]
pub struct Switched {
    /// Those that did it.
    pub done: Vec<PodId>,
    /// The others.
    pub failed: Vec<Answer>,
}

impl Switched {
    /// Tells by status 200 who did it.
    #[must_use]
    pub fn of(answers: Vec<Answer>) -> Self {
        let (done, failed): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status() == Some(200));
        Self { done: done.into_iter().map(|answer| answer.pod).collect(), failed }
    }

    /// The numbers of those that did it.
    #[must_use]
    pub fn seqs(&self) -> Vec<PodSeq> {
        self.done.iter().map(|pod| pod.seq).collect()
    }
}

/// Puts a question to the pods of a pattern that are meant, except those that are the host itself.
///
/// # Errors
/// Where there is no such pod, or the registry does not answer.
pub async fn ask(
    clusters: &str,
    selection: &Selection,
    question: impl AsyncFnOnce(Vec<PodId>) -> Vec<Answer>,
) -> Result<Switched, Failure> {
    let pods = control::select(clusters, selection).await?;
    let mut answers = question(survey::ids(&pods)).await;
    control::pass_host_by(clusters, &mut answers)?;
    Ok(Switched::of(answers))
}

/// The report on one pattern: what did switch counts also where some did not.
#[must_use]
pub fn item(switched: Result<Switched, Failure>, complaint: &str) -> Item<Vec<PodId>> {
    match switched {
        Ok(Switched { done, failed }) => {
            Item { done, silent: control::silent(&failed), why: control::complaint(complaint, &failed) }
        }
        Err(why) => Item { why: Some(why), ..Item::default() },
    }
}
