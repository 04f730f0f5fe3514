//! What the host has to offer for completion, learned in the background and kept.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::topics::{Known, Topic};
use crate::client::Client;
use crate::command::Line;

/// A key press waits at most this long for a host that has not answered yet.
const PATIENCE: Duration = Duration::from_millis(500);
/// Older knowledge is used, and learned anew.
const FRESH: Duration = Duration::from_secs(30);
/// A host that did not answer is asked again only after this.
const RETRY: Duration = Duration::from_secs(3);
/// The longest that the background asks.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// What is known of a host.
#[derive(Clone)]
pub(super) struct Catalog {
    client: Client,
    background: Handle,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    entries: Mutex<HashMap<Topic, Entry>>,
    learned: Condvar,
}

#[derive(Default)]
struct Entry {
    known: Option<Vec<Known>>,
    asking: bool,
    ask_after: Option<Instant>,
}

impl Catalog {
    pub(super) fn of(client: Client, background: Handle) -> Self {
        Self { client, background, shared: Arc::default() }
    }

    /// Asks the host in the background, unless that goes on or has just happened.
    pub(super) fn learn(&self, topic: &Topic) {
        let mut entries = self.entries();
        let entry = entries.entry(topic.clone()).or_default();
        if entry.asking || entry.ask_after.is_some_and(|time| Instant::now() < time) {
            return;
        }
        entry.asking = true;
        let (this, topic) = (self.clone(), topic.clone());
        self.background.spawn(async move {
            let answer = this.ask(&topic).await;
            this.keep(topic, answer);
        });
    }

    /// What is known; waits a moment for a host that is being asked for the first time.
    pub(super) fn get(&self, topic: &Topic) -> Vec<Known> {
        self.learn(topic);
        let unknown =
            |entries: &mut HashMap<Topic, Entry>| entries.get(topic).is_some_and(|entry| entry.known.is_none() && entry.asking);
        let waited = self.shared.learned.wait_timeout_while(self.entries(), PATIENCE, unknown);
        let (entries, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.get(topic).and_then(|entry| entry.known.clone()).unwrap_or_default()
    }

    /// Whether a word is the name of a tool, as far as known.
    pub(super) fn is_tool(&self, word: &str) -> bool {
        let entries = self.entries();
        let tools = entries.get(&Topic::Tools).and_then(|entry| entry.known.as_ref());
        tools.is_some_and(|tools| tools.iter().any(|tool| tool.name == word))
    }

    async fn ask(&self, topic: &Topic) -> Option<Vec<Known>> {
        let line = Line::parse(&topic.line()).ok()?;
        let reply = tokio::time::timeout(ASK_LIMIT, self.client.shell(&line, None, false)).await.ok()?.ok()?;
        topic.read(&reply.out).filter(|_| reply.ok)
    }

    fn keep(&self, topic: Topic, answer: Option<Vec<Known>>) {
        let mut entries = self.entries();
        let entry = entries.entry(topic).or_default();
        let pause = if answer.is_some() { FRESH } else { RETRY };
        entry.asking = false;
        entry.ask_after = Some(Instant::now() + pause);
        entry.known = answer.or_else(|| entry.known.take());
        drop(entries);
        self.shared.learned.notify_all();
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Topic, Entry>> {
        self.shared.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
