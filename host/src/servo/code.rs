//! Components of jobs, compiled once for each digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ocho_core::signature::{hex, sha256};
use ocho_runtime::{Engine, Grants, Interface, Plugin, PluginError};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use crate::tools::lower_priority;

/// Components that are kept ready; more are on disk, in the engine's cache.
const READY: usize = 32;

/// Compiles and keeps. What is compiled is the same for everybody, so it may outlive the job.
pub(super) struct JobCode {
    engine: Engine,
    grants: Grants,
    ready: Mutex<Ready>,
    /// One at a time: compiling must not push requests aside.
    turn: Semaphore,
}

type Outcome = Result<Plugin, String>;

#[derive(Default)]
struct Ready {
    clock: u64,
    plugins: HashMap<String, (u64, Arc<OnceCell<Outcome>>)>,
}

impl Ready {
    /// The place of a digest, marked as the one used last. What was not used for longest goes.
    fn cell(&mut self, digest: &str) -> Arc<OnceCell<Outcome>> {
        self.clock += 1;
        let entry = self.plugins.entry(digest.to_owned()).or_default();
        entry.0 = self.clock;
        let cell = entry.1.clone();
        if self.plugins.len() > READY
            && let Some(oldest) = self.plugins.iter().min_by_key(|(_, (used, _))| *used).map(|(digest, _)| digest.clone())
        {
            self.plugins.remove(&oldest);
        }
        cell
    }
}

impl JobCode {
    pub(super) fn new(engine: Engine, grants: Grants) -> Self {
        Self { engine, grants, ready: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The component with its digest, compiled now if it is new. Whoever asks for one that is being compiled waits for it.
    pub(super) async fn get(&self, wasm: Bytes) -> Result<(Plugin, String), String> {
        let digest = hex(&sha256(&wasm));
        let cell = self.ready.lock().unwrap_or_else(PoisonError::into_inner).cell(&digest);
        let outcome = cell.get_or_init(|| self.compile(wasm)).await;
        outcome.clone().map(|plugin| (plugin, digest))
    }

    async fn compile(&self, wasm: Bytes) -> Outcome {
        let _turn = self.turn.acquire().await.expect("never closed");
        let (engine, grants) = (self.engine.clone(), self.grants.clone());
        let (done, outcome) = oneshot::channel();
        let work = move || {
            lower_priority();
            let _ = done.send(engine.compile(&wasm).and_then(|code| code.link(&grants)));
        };
        // A thread of its own: the runtime's would keep the low priority.
        let thread = std::thread::Builder::new().name("compile-job".to_owned()).spawn(work);
        thread.map_err(|error| format!("no thread to compile it: {error}"))?;
        match outcome.await {
            Ok(linked) => linked.map_err(|error| self.explain(&error)),
            Err(_) => Err("the compiler failed".to_owned()),
        }
    }

    fn explain(&self, error: &PluginError) -> String {
        let PluginError::NotGranted(missing) = error else { return error.to_string() };
        let all: Grants = self.grants.iter().chain(missing.iter()).collect();
        let list: Vec<&str> = all.iter().map(Interface::name).collect();
        format!("imports {missing}, which jobs were not granted; start ochod with --job-grants {}", list.join(","))
    }
}
