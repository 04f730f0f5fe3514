//! Waiting for the pods of an application.

use std::time::Duration;

use ocho_sdk::pods::{self, PodReply};
use ocho_sdk::{ClusterGlob, Deadline, PodId, PodSeq, hint, marathon, pause};

use crate::application::Application;

/// Pods need seconds to come up; looking more often shows nothing earlier worth the requests.
const PAUSE: Duration = Duration::from_secs(3);

/// What is there of an application.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pods {
    /// Those that count as up.
    pub(crate) up: Vec<PodSeq>,
    /// The others, with what is the matter with each.
    others: Vec<String>,
    registry_error: Option<String>,
}

impl Pods {
    pub(crate) fn are_enough(&self, wanted: u32) -> bool {
        self.up.len() >= usize::try_from(wanted).unwrap_or(usize::MAX)
    }

    /// Why pods are missing, as far as somebody knows: the pods, the registry, or Marathon.
    pub(crate) async fn why_missing(&self, application: &str) -> Option<String> {
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
pub(crate) async fn until_up(file: &str, application: &Application, wanted: u32, is_strict: bool, deadline: Deadline) -> Pods {
    let mut shown = None;
    loop {
        let pods = look(application, is_strict, deadline).await;
        if pods.are_enough(wanted) || deadline.is_over() {
            return pods;
        }
        if shown != Some(pods.up.len()) {
            hint(format_args!("{file} : {}/{wanted} pods of {} are up", pods.up.len(), application.cluster));
            shown = Some(pods.up.len());
        }
        pause(deadline.left_within(PAUSE)).await;
    }
}

/// Pods of other applications in the same cluster do not matter here, whatever they answer.
async fn look(application: &Application, is_strict: bool, deadline: Deadline) -> Pods {
    let found = match pods::find(&ClusterGlob::exactly(&application.cluster)).await {
        Ok(found) => found,
        Err(error) => return Pods { registry_error: Some(error.to_string()), ..Pods::default() },
    };
    let own = found.into_iter().filter(|pod| pod.application.as_deref() == Some(application.id.as_str()));
    let own: Vec<PodId> = own.map(|pod| pod.id).collect();
    if own.is_empty() {
        return Pods::default();
    }
    let mut pods = Pods::default();
    for answer in pods::info(&own, deadline.for_request(pods::INFO_TIMEOUT)).await {
        let process = answer.body().and_then(|info| info["process"].as_str());
        match process {
            Some("running") => pods.up.push(answer.pod.seq),
            Some("stopped") if !is_strict => pods.up.push(answer.pod.seq),
            Some(other) => pods.others.push(format!("{} is {other}", answer.pod)),
            None if answer.reply == PodReply::NotRegistered => {}
            None => pods.others.push(format!("{}: {}", answer.pod, answer.reply)),
        }
    }
    pods
}
