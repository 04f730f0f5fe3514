//! What the host has to offer for completion, learned in the background and kept.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::client::Client;
use crate::command::Line;

/// A key press waits at most this long for a host that has not answered yet.
const PATIENCE: Duration = Duration::from_millis(300);
/// Older knowledge is used, and learned anew.
const FRESH: Duration = Duration::from_secs(30);
/// The longest that the background asks.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// The tools of a host.
#[derive(Clone)]
pub(super) struct Catalog {
    client: Client,
    background: Handle,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    learned: Condvar,
}

#[derive(Default)]
struct Known {
    tools: Vec<String>,
    asking: bool,
    asked_at: Option<Instant>,
}

impl Catalog {
    pub(super) fn of(client: Client, background: Handle) -> Self {
        Self { client, background, shared: Arc::default() }
    }

    /// Asks the host in the background, unless that goes on or has just happened.
    pub(super) fn learn(&self) {
        let mut known = self.known();
        if known.asking || known.asked_at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        known.asking = true;
        let this = self.clone();
        self.background.spawn(async move {
            let tools = this.ask("help").await.as_deref().and_then(tools_of);
            let mut known = this.known();
            known.asking = false;
            known.asked_at = tools.is_some().then(Instant::now);
            known.tools = tools.unwrap_or_else(|| std::mem::take(&mut known.tools));
            drop(known);
            this.shared.learned.notify_all();
        });
    }

    /// The names of the tools; waits a moment for a host that is being asked for the first time.
    pub(super) fn tools(&self) -> Vec<String> {
        self.learn();
        let unknown = |known: &mut Known| known.tools.is_empty() && known.asking;
        let (known, _) = self
            .shared
            .learned
            .wait_timeout_while(self.known(), PATIENCE, unknown)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        known.tools.clone()
    }

    /// Whether a word is the name of a tool, as far as known.
    pub(super) fn is_tool(&self, word: &str) -> bool {
        self.known().tools.iter().any(|tool| tool == word)
    }

    async fn ask(&self, line: &str) -> Option<String> {
        let line = Line::parse(line).ok()?;
        let reply = tokio::time::timeout(ASK_LIMIT, self.client.shell(&line, None, false)).await.ok()?.ok()?;
        reply.ok.then_some(reply.out)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The tools in an answer to `help`: `available commands -> bump, deploy, ...`.
fn tools_of(help: &str) -> Option<Vec<String>> {
    let (_, tools) = help.split_once("available commands -> ")?;
    let names = tools.lines().next().unwrap_or_default().split(", ").map(str::trim);
    Some(names.filter(|name| !name.is_empty() && !name.contains(char::is_whitespace)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_stand_in_the_answer_to_help() {
        assert_eq!(tools_of("available commands -> grep, ls\nmore").unwrap(), ["grep", "ls"]);
        assert_eq!(tools_of("available commands -> ").unwrap(), [""; 0]);
        assert_eq!(tools_of("something else"), None);
    }
}
