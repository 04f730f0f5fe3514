//! A pretend cluster for tests of plugins, outside of WebAssembly: pods, Marathon and a clock that jumps.
//!
//! ```
//! use ocho_sdk::pretend::{Cluster, Pod};
//! # use ocho_sdk::{Failure, Found, Report, Usage, pods};
//! # fn usage() -> Usage { Usage::new("count", "Count pods.").optional("clusters", "pattern") }
//! # async fn run(args: Found) -> Result<Report, Failure> {
//! #     Ok(Report::text(format!("{} pods", pods::find(&args.pattern("clusters")).await?.len())))
//! # }
//! let end = Cluster::new().pod(Pod::new("test.web", 3)).run(&usage(), run, "*web");
//! assert_eq!((end.out.as_str(), end.is_ok), ("1 pods\n", true));
//! ```

pub(crate) mod host;
mod marathon;
mod pod;
mod time;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

pub use pod::{Pod, Says};

use crate::args::{Found, Usage};
use crate::report::{Failure, Report};
use serde_json::Value;

thread_local! {
    static CLUSTER: RefCell<Cluster> = RefCell::default();
}

/// What a test's tool finds. It is made, then it runs a tool.
#[derive(Debug, Default)]
pub struct Cluster {
    pods: Vec<Pod>,
    apps: BTreeMap<String, Value>,
    versions: BTreeMap<String, Vec<Value>>,
    refusals: Vec<marathon::Refusal>,
    boot: Option<marathon::Boot>,
    files: BTreeMap<String, String>,
    /// From when on, and why.
    registry_fails: Option<(Duration, String)>,
    requests: Vec<String>,
    out: String,
    err: String,
    clock: time::Clock,
    chance: u64,
}

/// What a run left.
#[derive(Debug)]
pub struct End {
    /// What it printed on standard output.
    pub out: String,
    /// What it printed on standard error.
    pub err: String,
    /// Whether its exit code is 0.
    pub is_ok: bool,
    /// What it asked of pods and of Marathon, in order.
    pub requests: Vec<String>,
    /// How long it took on the pretend clock.
    pub elapsed: Duration,
    /// The pods as they are now.
    pub pods: Vec<Pod>,
    /// The definitions of Marathon's apps as they are now, by id without the leading slash.
    pub apps: BTreeMap<String, Value>,
}

impl Cluster {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more pod. Where it names an application that is not there, the application is there too.
    #[must_use]
    pub fn pod(mut self, pod: Pod) -> Self {
        self.register_app_of(&pod);
        self.pods.push(pod);
        self
    }

    /// With pods.
    #[must_use]
    pub fn pods(self, pods: impl IntoIterator<Item = Pod>) -> Self {
        pods.into_iter().fold(self, Self::pod)
    }

    /// With a file that came with the command.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// The registry does not answer.
    #[must_use]
    pub fn registry_fails(self, why: &str) -> Self {
        self.registry_fails_after(Duration::ZERO, why)
    }

    /// The registry does not answer any more once so much time has gone by.
    #[must_use]
    pub fn registry_fails_after(mut self, time: Duration, why: &str) -> Self {
        self.registry_fails = Some((time, why.to_owned()));
        self
    }

    /// Runs a tool with a command line, without the tool's name.
    ///
    /// # Panics
    /// Where the line has an open quote, or the tool waits for something that never comes.
    pub fn run(self, usage: &Usage, tool: impl AsyncFnOnce(Found) -> Result<Report, Failure>, line: &str) -> End {
        let words = ocho_core::command_line::split(line).expect("the test's line can be split");
        CLUSTER.set(self);
        let (out, is_ok) = time::block_on(crate::answer(usage, &words, tool));
        let left = CLUSTER.take();
        End {
            out: left.out + &out,
            err: left.err,
            is_ok,
            requests: left.requests,
            elapsed: left.clock.now,
            pods: left.pods,
            apps: left.apps,
        }
    }
}

fn with<T>(act: impl FnOnce(&mut Cluster) -> T) -> T {
    CLUSTER.with_borrow_mut(act)
}

pub(crate) fn hear_out(line: &str) {
    with(|cluster| cluster.out.extend([line, "\n"]));
}

pub(crate) fn hear_err(line: &str) {
    with(|cluster| cluster.err.extend([line, "\n"]));
}

pub(crate) fn now() -> Duration {
    with(|cluster| cluster.clock.now)
}

/// Chance that counts: 1, 2, 3, ...
pub(crate) fn chance() -> u64 {
    with(|cluster| {
        cluster.chance += 1;
        cluster.chance
    })
}

pub(crate) fn read_file(name: &str) -> std::io::Result<String> {
    with(|cluster| cluster.files.get(name).cloned()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

pub(crate) use time::pause;
