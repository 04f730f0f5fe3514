//! What the pod shows of itself: the values behind `/info`. Its machines write here, the control API reads.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};
use tokio::sync::watch;

/// What the sub-process does, as `/info` puts it under `process`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessState {
    /// Nothing runs.
    Stopped,
    /// It runs.
    Running,
    /// It was told to end and has not yet.
    Terminating,
    /// The pod was killed or its process is done: nothing will run any more.
    Dead,
}

impl ProcessState {
    /// The word on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Terminating => "terminating",
            Self::Dead => "dead",
        }
    }
}

/// The pod's part in its cluster, as `/info` puts it under `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It answers its leader, or has no registry at present.
    Follower,
    /// It leads and nothing is pending.
    Leader,
    /// It leads and waits before it configures.
    Pending,
    /// It leads and configures.
    Configuring,
}

impl Role {
    /// The words on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Leader => "leader",
            Self::Pending => "leader (configuration pending)",
            Self::Configuring => "leader (configuring)",
        }
    }
}

/// The leader's line about the cluster, as `/info` puts it under `status`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Status {
    /// Nothing to say, or what the probe said.
    Text(String),
    /// A configuration is due; the text counts down while it is read.
    Countdown {
        /// When it is due.
        until: Instant,
        /// Why it was not done before, where an attempt failed.
        reason: Option<String>,
    },
}

impl Status {
    fn text(&self, now: Instant) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Countdown { until, reason } => {
                let left = until.saturating_duration_since(now).as_secs_f64();
                let reason = reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
                format!("* configuration in {left:.1} seconds{reason}")
            }
        }
    }
}

/// The values of a moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// What the sub-process does.
    pub(crate) process: ProcessState,
    /// The pod's part in its cluster.
    pub(crate) role: Role,
    /// The leader's line; none before the pod has led.
    pub(crate) status: Option<Status>,
    /// What the checks measured.
    pub(crate) metrics: Map<String, Value>,
    /// What a person should know and the original had no room for, such as a crash loop or a remembered `off`.
    pub(crate) detail: Option<String>,
    /// The clusters that the pod depends on, as they are named.
    pub(crate) dependencies: Vec<String>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            process: ProcessState::Stopped,
            role: Role::Follower,
            status: None,
            metrics: Map::new(),
            detail: None,
            dependencies: Vec::new(),
        }
    }
}

/// Members of the registration that `/info` repeats.
const REPEATED: [&str; 7] = ["application", "task", "ip", "public", "node", "port", "ports"];

/// The answer to `/info`: some of the registration and the values of the moment.
#[must_use]
pub(crate) fn info_json(registration: &Map<String, Value>, view: &View) -> Map<String, Value> {
    let mut info = Map::new();
    for name in REPEATED {
        if let Some(value) = registration.get(name) {
            info.insert(name.to_owned(), value.clone());
        }
    }
    let mut put = |name: &str, value: Value| info.insert(name.to_owned(), value);
    put("process", view.process.as_str().into());
    put("state", view.role.as_str().into());
    if let Some(status) = &view.status {
        put("status", status.text(Instant::now()).into());
    }
    put("metrics", Value::Object(view.metrics.clone()));
    put("dependencies", view.dependencies.clone().into());
    if let Some(detail) = &view.detail {
        put("detail", detail.clone().into());
    }
    info
}

/// The answer to `/log`: the lines, oldest first, each with its newline.
#[must_use]
pub(crate) fn log_json(lines: impl IntoIterator<Item = impl Into<String>>) -> Value {
    let with_newline = |line: String| if line.ends_with('\n') { line } else { line + "\n" };
    lines.into_iter().map(|line| Value::String(with_newline(line.into()))).collect()
}

/// The view, shared. A reader gets a copy, never something half written.
#[derive(Debug)]
pub(crate) struct Face {
    view: Mutex<View>,
    configured: Mutex<BTreeSet<String>>,
    dead: watch::Sender<bool>,
}

impl Face {
    /// A pod that has just started.
    #[must_use]
    pub(crate) fn new(dependencies: Vec<String>) -> Self {
        let view = Mutex::new(View { dependencies, ..View::default() });
        Self { view, configured: Mutex::default(), dead: watch::Sender::new(false) }
    }

    /// The values of this moment.
    #[must_use]
    pub(crate) fn view(&self) -> View {
        self.lock().clone()
    }

    /// Changes the view.
    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.lock();
        change(&mut view);
        let dead = view.process == ProcessState::Dead;
        drop(view);
        if dead {
            self.dead.send_replace(true);
        }
    }

    /// Notes that the cluster consists of these pods: its leader said so.
    pub(crate) fn configured(&self, keys: BTreeSet<String>) {
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The pods that the cluster consisted of when this pod last heard.
    pub(crate) fn configured_pods(&self) -> BTreeSet<String> {
        self.configured.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the pod is dead.
    #[must_use]
    pub(crate) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Waits until the pod is dead.
    pub(crate) async fn died(&self) {
        let mut dead = self.dead.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = dead.wait_for(|dead| *dead).await;
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn info_of_a_follower_has_no_status() {
        let registration = json!({"application": "a", "cluster": "web", "seq": 1, "port": "8080", "ports": {"8080": 31001}});
        let Value::Object(registration) = registration else { unreachable!() };
        let mut view = View { dependencies: vec!["db".to_owned()], ..View::default() };
        assert_eq!(
            Value::Object(info_json(&registration, &view)),
            json!({"application": "a", "port": "8080", "ports": {"8080": 31001}, "process": "stopped", "state": "follower",
                "metrics": {}, "dependencies": ["db"]})
        );
        view.status = Some(Status::Text(String::new()));
        assert_eq!(info_json(&registration, &view)["status"], "");
    }

    #[test]
    fn b42_the_status_counts_down_and_tells_the_reason() {
        let now = Instant::now();
        let mut status = Status::Countdown { until: now + Duration::from_millis(2960), reason: None };
        assert_eq!(status.text(now), "* configuration in 3.0 seconds");
        assert_eq!(status.text(now + Duration::from_secs(9)), "* configuration in 0.0 seconds");
        status = Status::Countdown { until: now, reason: Some("#3 answered check with 406".to_owned()) };
        assert_eq!(status.text(now), "* configuration in 0.0 seconds (#3 answered check with 406)");
    }

    #[test]
    fn b47_a_reader_gets_a_copy_of_one_moment() {
        let face = Face::new(Vec::new());
        let change = |n: u64| {
            face.change(|view| {
                view.metrics = [("a".to_owned(), n.into()), ("b".to_owned(), n.into())].into_iter().collect();
            });
        };
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2_000).for_each(change));
            for _ in 0..2_000 {
                let metrics = face.view().metrics;
                assert_eq!(metrics.get("a"), metrics.get("b"));
            }
        });
    }

    #[test]
    fn log_lines_end_with_a_newline() {
        assert_eq!(log_json(["a", "b\n"]), json!(["a\n", "b\n"]));
    }

    #[tokio::test]
    async fn death_is_told() {
        let face = Face::new(Vec::new());
        assert!(!face.is_dead());
        tokio::join!(face.died(), async { face.change(|view| view.process = ProcessState::Dead) });
        assert!(face.is_dead());
    }
}
