//! Switching pods on and off: which answered 200, and what the others said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join;
use ocho_core::{ClusterGlob, ClusterName, PodId, PodSeq};
use serde_json::Value;

use crate::args::Selection;
use crate::clock::{Deadline, now, pause};
use crate::control;
use crate::items::Item;
use crate::pods::{self, Answer, PodReply};
use crate::report::Failure;
use crate::survey;

/// A leader is asked how far it is no more often than this.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// A leader that has had nothing to do for so long has seen every pod that the registry shows: it looks once a second.
const QUIET_FOR: Duration = Duration::from_secs(3);
/// Without its leader a cluster has another one within moments. Where none shows itself, nobody can say more than before.
const LEADERLESS_FOR: Duration = Duration::from_secs(10);
/// What is waited for is told at once, then now and then.
const PROGRESS_PAUSE: Duration = Duration::from_secs(10);
/// So many clusters are waited for at once.
const CLUSTERS_AT_ONCE: usize = 32;

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

/// Those of the pods that may never have been configured: nothing runs in them, and they do not say why.
///
/// A pod of the original dies where it is told to run before its leader has configured it. One of ours refuses, and says of itself
/// when somebody has switched it off. What gives no answer is not among them: nobody knows more of it than before.
pub async fn doubtful(pods: &[PodId]) -> BTreeSet<PodId> {
    let answers = pods::info(pods, pods::INFO_TIMEOUT).await;
    answers.into_iter().filter(|answer| answer.body().is_some_and(is_at_rest)).map(|answer| answer.pod).collect()
}

fn is_at_rest(info: &Value) -> bool {
    info["process"] == "stopped" && info["detail"].is_null()
}

/// Switches pods on; those that are doubtful once their leader has configured them. What is waited for is told in the name of `item`.
pub async fn on(item: &str, pods: &[PodId], doubtful: &BTreeSet<PodId>, timeout: Duration) -> Vec<Answer> {
    let (later, at_once): (Vec<PodId>, Vec<PodId>) = pods.iter().cloned().partition(|pod| doubtful.contains(pod));
    let mut clusters: BTreeMap<ClusterName, Vec<PodId>> = BTreeMap::new();
    for pod in later {
        clusters.entry(pod.cluster.clone()).or_default().push(pod);
    }
    let each = clusters.into_iter().map(|(cluster, pods)| async move {
        match wait_for_leader(item, &cluster, &pods, timeout).await {
            Ok(()) => pods::on(&pods, timeout).await,
            Err(why) => pods.into_iter().map(|pod| Answer { pod, reply: PodReply::NotAsked(why.clone()) }).collect(),
        }
    });
    let waiting = futures::stream::iter(each).buffer_unordered(CLUSTERS_AT_ONCE).collect::<Vec<_>>();
    let (mut answers, waited) = join(on_at_once(&at_once, timeout), waiting).await;
    answers.extend(waited.into_iter().flatten());
    answers.sort_by(|one, other| one.pod.cmp(&other.pod));
    answers
}

async fn on_at_once(pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    if pods.is_empty() { Vec::new() } else { pods::on(pods, timeout).await }
}

/// How far the leader of a cluster is.
enum Leader {
    /// It is about to configure its pods, or at it. Carries what it says.
    Busy(String),
    /// Every pod that it has seen is configured.
    Quiet,
    /// Nobody says to be the leader.
    Unknown,
}

/// Waits until the leader of a cluster has configured these pods, as far as can be told.
///
/// # Errors
/// Where it has not within the time, with the reason.
async fn wait_for_leader(item: &str, cluster: &ClusterName, pods: &[PodId], time: Duration) -> Result<(), String> {
    let deadline = Deadline::after(time);
    let (mut idle_since, mut told) = (None, None);
    loop {
        let is_last = deadline.is_over();
        match look_at(cluster, pods, deadline).await {
            None => return Ok(()),
            Some(Leader::Busy(_)) if is_last => {
                let seconds = time.as_secs();
                return Err(format!(
                    "not asked, since its leader has not configured it within {seconds} s; `grep {cluster}` tells why"
                ));
            }
            Some(Leader::Busy(says)) => {
                idle_since = None;
                if told.is_none_or(|told| now().saturating_sub(told) >= PROGRESS_PAUSE) {
                    crate::hint(format_args!(
                        "{item} : the leader of {cluster} has not configured its pods yet, waiting ({says})"
                    ));
                    told = Some(now());
                }
            }
            Some(leader) => {
                let idle_for = now().saturating_sub(*idle_since.get_or_insert_with(now));
                let enough = if matches!(leader, Leader::Quiet) { QUIET_FOR } else { LEADERLESS_FOR };
                if is_last || idle_for >= enough {
                    return Ok(());
                }
            }
        }
        pause(deadline.left_within(LOOK_PAUSE)).await;
    }
}

/// Looks at a whole cluster; nothing where none of `pods` is at rest any more.
async fn look_at(cluster: &ClusterName, pods: &[PodId], deadline: Deadline) -> Option<Leader> {
    let all = pods::find(&ClusterGlob::new(&cluster.to_string())).await.unwrap_or_default();
    let answers = pods::info(&survey::ids(&all), deadline.for_request(pods::INFO_TIMEOUT)).await;
    let infos = || answers.iter().filter_map(|answer| Some((&answer.pod, answer.body()?)));
    let seen = infos().filter(|(pod, _)| pods.contains(pod)).count();
    if seen == pods.len() && !infos().any(|(pod, info)| pods.contains(pod) && is_at_rest(info)) {
        return None;
    }
    let leaders: Vec<&Value> =
        infos().map(|(_, info)| info).filter(|info| survey::text(info, "state").starts_with("leader")).collect();
    let busy = leaders.iter().find(|info| info["state"] != "leader");
    Some(match busy {
        Some(info) => Leader::Busy(survey::text(info, "status").trim_start_matches("* ").to_owned()),
        None if leaders.is_empty() => Leader::Unknown,
        None => Leader::Quiet,
    })
}
