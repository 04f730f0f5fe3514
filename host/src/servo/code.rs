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
    turn: Arc<Semaphore>,
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
        Self { engine, grants, ready: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// The component with its digest, compiled now if it is new. Whoever asks for one that is being compiled waits for it.
    pub(super) async fn get(&self, wasm: Bytes) -> Result<(Plugin, String), String> {
        let digest = hex(&sha256(&wasm));
        let cell = self.ready.lock().unwrap_or_else(PoisonError::into_inner).cell(&digest);
        verdict(&cell, self.compile(wasm)).await.map(|plugin| (plugin, digest))
    }

    /// What the compiler says of it; an error where it does not come to say anything.
    async fn compile(&self, wasm: Bytes) -> Result<Outcome, String> {
        let (engine, grants) = (self.engine.clone(), self.grants.clone());
        let linked = aside(&self.turn, move || engine.compile(&wasm).and_then(|code| code.link(&grants))).await?;
        Ok(linked.map_err(|error| self.explain(&error)))
    }

    fn explain(&self, error: &PluginError) -> String {
        let PluginError::NotGranted(missing) = error else { return error.to_string() };
        let all: Grants = self.grants.iter().chain(missing.iter()).collect();
        let list: Vec<&str> = all.iter().map(Interface::name).collect();
        format!("imports {missing}, which jobs were not granted; start ochod with --job-grants {}", list.join(","))
    }
}

/// The verdict that is there, or else this one. Without any, the next job asks again.
async fn verdict(cell: &OnceCell<Outcome>, compile: impl Future<Output = Result<Outcome, String>>) -> Outcome {
    cell.get_or_try_init(|| compile).await?.clone()
}

/// Works on a thread of its own, since the runtime's would keep the low priority, after waiting for a turn. The turn lasts as long
/// as the work, also where nobody waits for it any more.
async fn aside<T: Send + 'static>(turn: &Arc<Semaphore>, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let turn = turn.clone().acquire_owned().await.expect("never closed");
    let (done, outcome) = oneshot::channel();
    let work = move || {
        lower_priority();
        let _ = done.send(work());
        drop(turn);
    };
    let thread = std::thread::Builder::new().name("compile-job".to_owned()).spawn(work);
    thread.map_err(|error| format!("no thread to compile it: {error}"))?;
    outcome.await.map_err(|_| "the compiler failed".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn only_what_the_compiler_says_is_kept() {
        let cell = OnceCell::new();
        let says = async |outcome: Result<Outcome, String>| verdict(&cell, async { outcome }).await.map(|_| ()).unwrap_err();
        assert_eq!(says(Err("no thread".to_owned())).await, "no thread");
        assert_eq!(says(Ok(Err("no component".to_owned()))).await, "no component");
        assert_eq!(says(Err("no thread".to_owned())).await, "no component");
    }

    #[tokio::test]
    async fn a_turn_lasts_as_long_as_the_work() {
        let turn = Arc::new(Semaphore::new(1));
        let (go_on, wait) = mpsc::channel::<()>();
        let mut cancelled = Box::pin(aside(&turn, move || wait.recv()));
        assert!(futures::poll!(&mut cancelled).is_pending());
        drop(cancelled);
        assert_eq!(turn.available_permits(), 0);
        go_on.send(()).unwrap();
        assert_eq!(aside(&turn, || 1).await, Ok(1));
        assert_eq!(aside(&turn, || -> u8 { panic!("as a compiler may") }).await, Err("the compiler failed".to_owned()));
        assert_eq!(aside(&turn, || 2).await, Ok(2));
    }
}
