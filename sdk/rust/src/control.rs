//! What the tools that steer pods have in common: their arguments, which pods are meant, and ending them for good.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select as first_of};
use ocho_core::{ClusterGlob, PodId, PodSeq};

use crate::args::{Found, Selection, Usage};
use crate::clock::{Deadline, pause};
use crate::items::{self, Done, Item, Wording};
use crate::marathon;
use crate::pods::{self, Answer, Pod, PodReply};
use crate::report::{Failure, Report};
use crate::survey;

/// A pod that ends asks for a look no more often than this.
const PAUSE: Duration = Duration::from_millis(250);
/// So many pods are ended at once.
const PODS_AT_ONCE: usize = 256;
/// One request to end waits so long at the most: a pod may die without answering it, and is then asked how it is.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pods that end at once are not worth a word; of the others one hears now and then.
const PROGRESS_PAUSE: Duration = Duration::from_secs(1);

/// Declares what every tool takes that steers pods: patterns, `-i` in the spellings that the tool has, `-j`, `-t`, `--force`.
#[must_use]
pub fn arguments(usage: Usage, indices: &[&'static str]) -> Usage {
    usage.one_or_more("clusters", "cluster patterns such as *web").indices(indices).json(&["-j"]).timeout().force()
}

/// Steers the pods of every pattern, all patterns at once: `work` has the pattern, the pods that `-i` picks, and the time.
///
/// # Errors
/// Where neither `-i` nor `--force` says that this is meant.
pub async fn each<D: Done>(
    args: &Found,
    wording: Wording,
    work: impl AsyncFn(&str, &Selection, Duration) -> Item<D>,
) -> Result<Report, Failure> {
    require_force(args)?;
    let (selection, timeout) = (args.selection(), args.timeout());
    let steer = async |clusters: &str| work(clusters, &selection, timeout).await;
    Ok(items::each(args.distinct("clusters"), args.json(), wording, steer).await)
}

/// Refuses to touch all pods of a cluster by accident.
///
/// # Errors
/// Where neither `--force` nor `-i` was given.
pub fn require_force(args: &Found) -> Result<(), Failure> {
    if args.flag("force") || args.selection() != Selection::All {
        return Ok(());
    }
    Err(Failure::new("you must specify --force if -i is not set"))
}

/// Finds the pods that are meant; there is at least one.
///
/// # Errors
/// Where there is none, or the registry does not answer.
pub async fn select(clusters: &str, selection: &Selection) -> Result<Vec<Pod>, Failure> {
    let found = survey::find_selected(&ClusterGlob::new(clusters), selection).await?;
    if found.is_empty() { Err(nobody()) } else { Ok(found) }
}

/// Passes by the pods that are the host itself, as a pattern such as `*` should; asked for by name, they are a failure.
///
/// # Errors
/// Where nothing else is left.
pub fn pass_host_by(clusters: &str, answers: &mut Vec<Answer>) -> Result<(), Failure> {
    let is_host = |answer: &Answer| matches!(answer.reply, PodReply::IsHost(_));
    let refusal = answers.iter().find(|answer| is_host(answer)).map(|answer| answer.reply.to_string());
    answers.retain(|answer| !is_host(answer));
    match refusal {
        Some(why) if !clusters.contains(['*', '?', '[']) => Err(Failure::new(why)),
        Some(_) if answers.is_empty() => Err(nobody()),
        _ => Ok(()),
    }
}

fn nobody() -> Failure {
    Failure::new("the cluster is either invalid or empty")
}

/// What became of pods that were asked to end.
#[derive(Debug, Default)]
pub struct Ended {
    /// They are gone for good.
    pub gone: Vec<Pod>,
    /// They are not, with what they said last.
    pub left: Vec<Answer>,
}

impl Ended {
    /// The numbers of those that are gone.
    #[must_use]
    pub fn seqs(&self) -> Vec<PodSeq> {
        self.gone.iter().map(|pod| pod.id.seq).collect()
    }

    /// The tasks of those that are gone.
    #[must_use]
    pub fn tasks(&self) -> Vec<String> {
        self.gone.iter().filter_map(|pod| pod.task.clone()).collect()
    }

    /// Why not all are gone. Passes by the pods that are the host itself.
    #[must_use]
    pub fn why(&mut self, clusters: &str) -> Option<Failure> {
        let passed = pass_host_by(clusters, &mut self.left);
        passed.err().filter(|_| self.gone.is_empty()).or_else(|| complaint("1 or more pod failed to end", &self.left))
    }
}

/// Removes the tasks of pods that are gone. Where Marathon refuses, it replaces them instead: dead pods would idle for ever.
///
/// # Errors
/// Where Marathon refuses.
pub async fn remove_or_replace(tasks: &[String]) -> Result<(), Failure> {
    let Err(refusal) = marathon::remove_tasks(tasks).await else { return Ok(()) };
    let replaced = match marathon::replace_tasks(tasks).await {
        Ok(()) => "the pods are replaced by new ones".to_owned(),
        Err(error) => format!("replacing the pods failed as well {error}"),
    };
    Err(Failure::new(format!("delete failed {refusal}; {replaced}")))
}

/// The numbers of the pods that did not answer at all, which are named on standard error as well.
#[must_use]
pub fn silent(answers: &[Answer]) -> Vec<PodSeq> {
    let is_silent = |answer: &&Answer| matches!(answer.reply, PodReply::TimedOut { .. } | PodReply::Unreachable(_));
    let silent = answers.iter().filter(is_silent);
    silent.inspect(|answer| crate::hint(format_args!("{}: {}", answer.pod, answer.reply))).map(|answer| answer.pod.seq).collect()
}

/// The pods behind a failure, each with what it said: `<what> (web #1: no answer within 5 s; web #2: answered HTTP 408)`.
#[must_use]
pub fn complaint(what: &str, failed: &[Answer]) -> Option<Failure> {
    let each: Vec<String> = failed.iter().map(|answer| format!("{}: {}", answer.pod, answer.reply)).collect();
    if each.is_empty() { None } else { Some(Failure::new(format!("{what} ({})", each.join("; ")))) }
}

/// Ends pods: asks each again until it is gone, or the time is over. A silent one delays none of the others.
///
/// `item` is what the command line calls them, for what is told on the way.
pub async fn end(item: &str, pods: Vec<Pod>, deadline: Deadline) -> Ended {
    let asked = pods.len();
    let each = pods.into_iter().map(|pod| async move {
        let left = end_one(&pod.id, deadline).await;
        (pod, left)
    });
    let mut ended = Ended::default();
    let mut done = futures::stream::iter(each).buffer_unordered(PODS_AT_ONCE);
    let mut told = None;
    let mut progress = pin!(pause(PROGRESS_PAUSE));
    loop {
        match first_of(done.next(), progress.as_mut()).await {
            Either::Left((Some((pod, None)), _)) => ended.gone.push(pod),
            Either::Left((Some((_, Some(answer))), _)) => ended.left.push(answer),
            Either::Left((None, _)) => break,
            Either::Right(_) => {
                progress.set(pause(PROGRESS_PAUSE));
                if told != Some(ended.gone.len()) {
                    crate::hint(format_args!("{item} : {}/{asked} pods have ended", ended.gone.len()));
                    told = Some(ended.gone.len());
                }
            }
        }
    }
    ended.gone.sort_by(|one, other| one.id.cmp(&other.id));
    ended.left.sort_by(|one, other| one.pod.cmp(&other.pod));
    ended
}

/// Gives nothing once the pod is gone, else what it said last.
async fn end_one(pod: &PodId, deadline: Deadline) -> Option<Answer> {
    loop {
        let answer = one(pods::kill(std::slice::from_ref(pod), deadline.for_request(KILL_TIMEOUT)).await)?;
        if matches!(answer.reply, PodReply::IsHost(_)) {
            return Some(answer);
        }
        if answer.status() == Some(410) || may_be_dying(&answer) && is_dead(pod, deadline).await {
            return None;
        }
        pause(deadline.left_within(PAUSE)).await;
        if deadline.is_over() {
            return Some(answer);
        }
    }
}

/// The one answer, unless the pod left the registry: after it was asked to end that is as good as saying so.
fn one(answers: Vec<Answer>) -> Option<Answer> {
    answers.into_iter().next().filter(|answer| answer.reply != PodReply::NotRegistered)
}

/// A pod that dies at this very moment never answers the request; its state then tells.
fn may_be_dying(answer: &Answer) -> bool {
    matches!(answer.reply, PodReply::TimedOut { .. } | PodReply::Answered { status: 408, .. })
}

async fn is_dead(pod: &PodId, deadline: Deadline) -> bool {
    let answer = one(pods::info(std::slice::from_ref(pod), deadline.for_request(pods::INFO_TIMEOUT)).await);
    answer.is_none_or(|answer| answer.body().is_some_and(|info| info["process"] == "dead"))
}
