//! A world where nobody is, for runs that ask for nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, StreamExt as _};
use ocho_core::{ClusterGlob, PodId};
use ocho_runtime::host::*;
use ocho_runtime::{Limits, Output, RunRequest};

struct Nowhere;

fn nothing<T: Send + 'static>() -> BoxFuture<'static, MarathonResult<T>> {
    async { Err(MarathonError::Unreachable("nobody is here".to_owned())) }.boxed()
}

impl Registry for Nowhere {
    fn find(&self, _: ClusterGlob) -> BoxFuture<'_, Result<Vec<Pod>, RegistryError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn changes(&self, _: ClusterGlob) -> BoxStream<'static, Result<Vec<Pod>, RegistryError>> {
        stream::empty().boxed()
    }
}

impl Pods for Nowhere {
    fn ask(&self, _: Vec<PodId>, _: Verb, _: Duration) -> BoxFuture<'_, Vec<Answer>> {
        async { Vec::new() }.boxed()
    }
}

impl Shell for Nowhere {
    fn run(&self, _: Caller, argv: Vec<String>, _: Vec<Upload>) -> BoxFuture<'_, Result<ShellOutcome, ShellError>> {
        async move { Err(ShellError::NoSuchTool(argv.concat())) }.boxed()
    }
}

impl Marathon for Nowhere {
    fn apps(&self, _: Vec<(String, String)>) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn app(&self, _: String) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn versions(&self, _: String) -> BoxFuture<'_, MarathonResult<Vec<String>>> {
        nothing()
    }
    fn version(&self, _: String, _: String) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn tasks(&self, _: Option<String>) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn deployments(&self) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn queue(&self) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn events(&self, _: Vec<String>) -> BoxStream<'static, MarathonResult<MarathonEvent>> {
        stream::empty().boxed()
    }
    fn create_app(&self, _: String) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn update_app(&self, _: String, _: String, _: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        nothing()
    }
    fn restart_app(&self, _: String, _: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        nothing()
    }
    fn delete_app(&self, _: String, _: bool) -> BoxFuture<'_, MarathonResult<Deployment>> {
        nothing()
    }
    fn kill_tasks(&self, _: Vec<String>, _: bool, _: bool) -> BoxFuture<'_, MarathonResult<String>> {
        nothing()
    }
    fn cancel_deployment(&self, _: String, _: bool) -> BoxFuture<'_, MarathonResult<()>> {
        nothing()
    }
}

/// A run of these words within these limits.
pub(crate) fn request(limits: Limits, argv: &[&str], output: Output) -> RunRequest {
    let nowhere = Arc::new(Nowhere);
    RunRequest {
        caller: Caller { run: "01J0000000000000000000000A".to_owned(), tool: "x".parse().unwrap(), depth: 0 },
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: Vec::new(),
        folder: None,
        outgoing: None,
        limits,
        world: World { registry: nowhere.clone(), pods: nowhere.clone(), marathon: nowhere.clone(), shell: nowhere },
        output,
    }
}
