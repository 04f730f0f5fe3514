//! What is particular to a pod: the hooks that its author provides, and ready-made ones.

pub(crate) mod described;
mod plain;
mod question;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use crate::cluster::Cluster;

pub use described::DescribedHooks;
pub use plain::PlainHooks;

/// Why a hook failed, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookError(String);

impl HookError {
    /// Takes the sentence.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for HookError {}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments.
    pub command: Command,
    /// Variables on top of the pod's own.
    pub variables: BTreeMap<String, String>,
    /// Folder to run in; the pod's own if none is given.
    pub folder: Option<PathBuf>,
}

/// A command, in one of the forms that authors use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Program and arguments. Has at least one item.
    Words(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

impl Command {
    /// Cuts a line at every single space, as the original does: two spaces make an empty argument.
    #[must_use]
    pub fn split_at_spaces(line: &str) -> Self {
        Self::Words(line.split(' ').map(str::to_owned).collect())
    }

    /// Whether there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Words(words) => words.first().is_none_or(String::is_empty),
            Self::Shell(line) => line.trim().is_empty(),
        }
    }
}

/// The hooks of a pod. They run one at a time; a hook that takes too long or panics counts as failed.
pub trait Hooks: Send + 'static {
    /// Once, before the first start.
    fn initialize(&mut self) -> BoxFuture<'_, Result<(), HookError>> {
        done(Ok(()))
    }

    /// Whether the pod could be configured like this. A refusal postpones the whole cluster.
    fn can_configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), HookError>> {
        let _ = cluster;
        done(Ok(()))
    }

    /// Prepares everything for this cluster and says what to run.
    fn configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<Launch, HookError>>;

    /// All pods of the cluster are configured.
    fn configured<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), HookError>> {
        let _ = cluster;
        done(Ok(()))
    }

    /// Looks after the sub-process. What it returns are the pod's metrics.
    fn sanity_check(&mut self, pid: u32) -> BoxFuture<'_, Result<Map<String, Value>, HookError>> {
        let _ = pid;
        done(Ok(Map::new()))
    }

    /// Answers a `signal` request.
    fn signaled(&mut self, body: Value, pid: Option<u32>) -> BoxFuture<'_, Result<Value, HookError>> {
        let _ = (body, pid);
        done(Ok(Value::Object(Map::new())))
    }

    /// Asks the sub-process to end. By default its whole process group gets SIGTERM.
    fn tear_down(&mut self, pid: u32) -> BoxFuture<'_, Result<(), HookError>> {
        done(crate::lifecycle::process::terminate_group(pid).map_err(|error| HookError::new(error.to_string())))
    }

    /// The pod ends for good. The sub-process is gone.
    fn finalize(&mut self) -> BoxFuture<'_, Result<(), HookError>> {
        done(Ok(()))
    }
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    std::future::ready(value).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Command {
        Command::Words(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn b23_a_list_keeps_its_words_and_a_line_is_cut_as_ever() {
        assert_eq!(Command::split_at_spaces("a  'b c'"), words(&["a", "", "'b", "c'"]));
        assert!(words(&[]).is_empty() && words(&["", "x"]).is_empty() && Command::Shell(" ".to_owned()).is_empty());
        assert!(!words(&["a b"]).is_empty());
    }
}
