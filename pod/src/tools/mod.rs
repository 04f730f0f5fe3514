//! Tools that `/exec` runs inside the pod.

mod command;
mod shell;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::command::{ErrandError, Finished};

pub use command::CommandTool;
pub use shell::Shell;

/// What a tool has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// 0 for success.
    pub code: i32,
    /// Lines without their newlines.
    pub stdout: Vec<String>,
    /// The same of the error stream, where there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<String>,
}

impl Output {
    /// What a command left.
    pub(crate) fn of(ended: Result<Finished, ErrandError>) -> Self {
        let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>();
        match ended {
            Ok(finished) => {
                let mut stdout = lines(&finished.stdout);
                if finished.cut {
                    stdout.push("[the output is longer than this and was cut]".to_owned());
                }
                Self { code: finished.code, stdout, stderr: lines(&finished.stderr) }
            }
            Err(error) => Self { code: 1, stdout: vec![format!("unexpected failure -> {error}")], stderr: Vec::new() },
        }
    }
}

/// A tool. One value serves all requests, several at a time.
pub trait Tool: Send + Sync {
    /// Runs with the raw text behind the tool's name; the request's files are in `folder`. Dropped when the caller goes away.
    fn run<'a>(&'a self, arguments: &'a str, folder: &'a Path) -> BoxFuture<'a, Output>;
}

/// Bounds for tools.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Tools that run at the same time.
    pub at_once: usize,
    /// How long one may run.
    pub time: Duration,
    /// Bytes that it may write; more is cut.
    pub output_bytes: usize,
    /// Bytes of all files of a request.
    pub upload_bytes: u64,
    /// Files of a request.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { at_once: 16, time: Duration::from_secs(60 * 60), output_bytes: 16 << 20, upload_bytes: 256 << 20, files: 1_000 }
    }
}

/// The tools of a pod, by name.
pub struct Tools {
    by_name: BTreeMap<String, Arc<dyn Tool>>,
    places: Arc<Semaphore>,
    limits: Limits,
}

impl Tools {
    /// No tool at all.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { by_name: BTreeMap::new(), places: Arc::new(Semaphore::new(limits.at_once)), limits }
    }

    /// Adds a tool. The last one of a name counts.
    #[must_use]
    pub fn with(mut self, name: &str, tool: Arc<dyn Tool>) -> Self {
        self.by_name.insert(name.to_owned(), tool);
        self
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<dyn Tool>> {
        self.by_name.get(name).cloned()
    }

    /// A place for one run, if there is one left.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }
}
