//! Waiting for the pods of an application.

use std::time::Duration;

use ocho_core::{ClusterGlob, PodId, PodSeq};

use crate::clock::{Deadline, pause};
use crate::marathon;
use crate::pods::{self, PodReply};

/// On one machine pods are up within a second: the first looks come close behind one another.
const FIRST_PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_millis(1000), Duration::from_millis(1500)];
/// In a cluster pods need seconds; looking more often shows nothing earlier worth the requests.
const PAUSE: Duration = Duration::from_secs(3);

/// Which pods to wait for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The item of the command line, for what is told on the way.
    pub item: &'a str,
    /// Where to look.
    pub clusters: &'a ClusterGlob,
    /// Pods of other applications do not matter, whatever they answer.
    pub application: &'a str,
    /// How many.
    pub count: usize,
    /// Whether their sub-processes have to run; else it is enough that they could.
    pub is_strict: bool,
    /// Pods that were there before and do not count.
    pub old: &'a [PodSeq],
}

/// What is there of an application.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pods {
    /// Those that count as up.
    pub up: Vec<PodSeq>,
    /// Those that counted as up at one time or another, whatever became of them.
    pub came_up: Vec<PodSeq>,
    /// The others, with what is the matter with each.
    others: Vec<String>,
    registry_error: Option<String>,
}

impl Pods {
    /// Whether not one came up, as far as can be told: a registry that does not answer proves nothing.
    #[must_use]
    pub fn none_came_up(&self) -> bool {
        self.came_up.is_empty() && self.registry_error.is_none()
    }

    /// Why pods are missing, as far as somebody knows: the registry, the pods, or Marathon.
    pub async fn why_missing(&self, application: &str) -> Option<String> {
        if let Some(error) = &self.registry_error {
            return Some(error.clone());
        }
        if !self.others.is_empty() {
            return Some(self.others.join("; "));
        }
        let app = marathon::app(application).await.ok()?;
        let message = app["lastTaskFailure"]["message"].as_str().filter(|message| !message.is_empty())?;
        Some(format!("the last task failed: {message}"))
    }
}

/// Waits until as many pods as wanted are up, or the time is over; gives what is there then.
pub async fn until_up(wanted: &Wanted<'_>, deadline: Deadline) -> Pods {
    let (mut told, mut came_up) = (None, Vec::new());
    let mut pauses = FIRST_PAUSES.into_iter();
    loop {
        let pods = look(wanted, deadline).await;
        for seq in &pods.up {
            if !came_up.contains(seq) {
                came_up.push(*seq);
            }
        }
        if pods.up.len() >= wanted.count || deadline.is_over() {
            return Pods { came_up, ..pods };
        }
        if told != Some(pods.up.len()) {
            crate::hint(format_args!("{} : {}/{} pods are up", wanted.item, pods.up.len(), wanted.count));
            told = Some(pods.up.len());
        }
        pause(deadline.left_within(pauses.next().unwrap_or(PAUSE))).await;
    }
}

async fn look(wanted: &Wanted<'_>, deadline: Deadline) -> Pods {
    let found = match pods::find(wanted.clusters).await {
        Ok(found) => found,
        Err(error) => return Pods { registry_error: Some(error.to_string()), ..Pods::default() },
    };
    let is_meant = |pod: &pods::Pod| pod.application.as_deref() == Some(wanted.application) && !wanted.old.contains(&pod.id.seq);
    let meant: Vec<PodId> = found.into_iter().filter(is_meant).map(|pod| pod.id).collect();
    let mut pods = Pods::default();
    if meant.is_empty() {
        return pods;
    }
    for answer in pods::info(&meant, deadline.for_request(pods::INFO_TIMEOUT)).await {
        let process = answer.body().and_then(|info| info["process"].as_str());
        match process {
            Some("running") => pods.up.push(answer.pod.seq),
            Some("stopped") if !wanted.is_strict => pods.up.push(answer.pod.seq),
            Some(other) => pods.others.push(format!("{} is {other}", answer.pod)),
            None if answer.reply == PodReply::NotRegistered => {}
            None => pods.others.push(format!("{}: {}", answer.pod, answer.reply)),
        }
    }
    pods
}
