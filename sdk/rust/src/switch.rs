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
/// So many pods are looked at at once.
const PODS_AT_ONCE: usize = 256;
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

/// What came of orders that followed a look at each pod.
#[derive(Debug, Default)]
pub struct Looked {
    /// What the pods said to the order.
    pub answers: Vec<Answer>,
    /// Those that may never have been configured: nothing ran in them, and they did not say why.
    ///
    /// A pod of the original dies where it is told to run before its leader has configured it. One of ours refuses, and says of itself
    /// when somebody has switched it off.
    pub doubtful: BTreeSet<PodId>,
}

/// Looks at each pod and gives it an order. A silent pod delays none of the others; what says nothing of itself is no more doubtful
/// than before.
///
/// `order` gets the pod, whether it is doubtful, and its time; where it gives nothing, the pod was not asked.
pub async fn look_first(
    pods: &[PodId],
    timeout: Duration,
    order: impl AsyncFn(&[PodId], bool, Duration) -> Vec<Answer>,
) -> Looked {
    let order = &order;
    let each = pods.iter().map(|pod| async move {
        let (pods, deadline) = (std::slice::from_ref(pod), Deadline::after(timeout));
        let look = pods::info(pods, pods::INFO_TIMEOUT.min(timeout / 2)).await;
        let is_doubtful = look.iter().any(|answer| answer.body().is_some_and(is_at_rest));
        let is_silent = look.iter().any(|answer| matches!(answer.reply, PodReply::TimedOut { .. }));
        // Its silence is part of its time.
        let time = if is_silent { deadline.left() } else { timeout };
        let mut answers = order(pods, is_doubtful, time).await;
        for answer in &mut answers {
            if let PodReply::TimedOut { after } = &mut answer.reply {
                *after = timeout;
            }
        }
        (pod, is_doubtful, answers)
    });
    let mut looked = Looked::default();
    let mut done = futures::stream::iter(each).buffer_unordered(PODS_AT_ONCE);
    while let Some((pod, is_doubtful, answers)) = done.next().await {
        looked.answers.extend(answers);
        if is_doubtful {
            looked.doubtful.insert(pod.clone());
        }
    }
    looked.answers.sort_by(by_pod);
    looked
}

fn is_at_rest(info: &Value) -> bool {
    info["process"] == "stopped" && info["detail"].is_null()
}

fn by_pod(one: &Answer, other: &Answer) -> std::cmp::Ordering {
    one.pod.cmp(&other.pod)
}

/// Switches pods on; those that are doubtful once their leader has configured them. What is waited for is told in the name of `item`.
pub async fn on(item: &str, pods: &[PodId], timeout: Duration) -> Vec<Answer> {
    let at_once = async |pods: &[PodId], is_doubtful, time| {
        if is_doubtful { Vec::new() } else { pods::on(pods, time).await }
    };
    let Looked { mut answers, doubtful } = look_first(pods, timeout, at_once).await;
    answers.extend(on_when_configured(item, doubtful, timeout).await);
    answers.sort_by(by_pod);
    answers
}

/// Switches pods on again that were switched off a moment ago; `doubtful` is what was seen before.
pub async fn on_again(item: &str, pods: &[PodId], doubtful: &BTreeSet<PodId>, timeout: Duration) -> Vec<Answer> {
    let (later, at_once): (Vec<PodId>, Vec<PodId>) = pods.iter().cloned().partition(|pod| doubtful.contains(pod));
    let at_once = async { if at_once.is_empty() { Vec::new() } else { pods::on(&at_once, timeout).await } };
    let (mut answers, waited) = join(at_once, on_when_configured(item, later.into_iter().collect(), timeout)).await;
    answers.extend(waited);
    answers.sort_by(by_pod);
    answers
}

async fn on_when_configured(item: &str, pods: BTreeSet<PodId>, timeout: Duration) -> Vec<Answer> {
    let mut clusters: BTreeMap<ClusterName, Vec<PodId>> = BTreeMap::new();
    for pod in pods {
        clusters.entry(pod.cluster.clone()).or_default().push(pod);
    }
    let each = clusters.into_iter().map(|(cluster, pods)| async move {
        match wait_for_leader(item, &cluster, &pods, timeout).await {
            // What a busy leader takes is part of their time, but to start takes a moment.
            Ok(busy_for) => {
                let time = timeout.saturating_sub(busy_for).max(pods::INFO_TIMEOUT.min(timeout / 2));
                pods::on(&pods, time).await
            }
            Err(why) => pods.into_iter().map(|pod| Answer { pod, reply: PodReply::NotAsked(why.clone()) }).collect(),
        }
    });
    let waited: Vec<Vec<Answer>> = futures::stream::iter(each).buffer_unordered(CLUSTERS_AT_ONCE).collect().await;
    waited.into_iter().flatten().collect()
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

/// Waits until the leader of a cluster has configured these pods, as far as can be told; gives how long it was busy.
///
/// # Errors
/// Where it has not within the time, with the reason.
async fn wait_for_leader(item: &str, cluster: &ClusterName, pods: &[PodId], time: Duration) -> Result<Duration, String> {
    let (started, deadline) = (now(), Deadline::after(time));
    let (mut busy_for, mut idle_since, mut told) = (Duration::ZERO, None, None);
    loop {
        let is_last = deadline.is_over();
        match look_at(cluster, pods, deadline).await {
            None => return Ok(busy_for),
            Some(Leader::Busy(_)) if is_last => {
                let seconds = time.as_secs();
                return Err(format!(
                    "not asked, since its leader has not configured it within {seconds} s; `grep {cluster}` tells why"
                ));
            }
            Some(Leader::Busy(says)) => {
                (busy_for, idle_since) = (now().saturating_sub(started), None);
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
                    return Ok(busy_for);
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
