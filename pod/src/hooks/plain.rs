//! The hooks of `ochopod run -- COMMAND`: run it, whatever the cluster looks like.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::cluster::Cluster;
use crate::hooks::{Command, HookError, Hooks, Launch};

/// Runs one command.
#[derive(Debug, Clone)]
pub struct PlainHooks {
    command: Vec<String>,
}

impl PlainHooks {
    /// Takes the program and its arguments.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self { command }
    }
}

impl Hooks for PlainHooks {
    fn configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<Launch, HookError>> {
        let launch = Launch { command: Command::Words(self.command.clone()), variables: place(cluster), folder: None };
        std::future::ready(Ok(launch)).boxed()
    }
}

/// The pod's place in its cluster, as variables.
pub(super) fn place(cluster: &Cluster) -> BTreeMap<String, String> {
    [
        ("OCHO_POD_KEY", cluster.key.clone()),
        ("OCHO_POD_SEQ", cluster.seq.to_string()),
        ("OCHO_POD_INDEX", cluster.index().to_string()),
        ("OCHO_POD_RANK", cluster.rank().to_string()),
        ("OCHO_POD_SIZE", cluster.size().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
