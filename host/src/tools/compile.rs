//! Compiling off the threads that serve requests, at low priority, one component after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use ocho_runtime::{Engine, Plugin, PluginError};
use tokio::sync::{Semaphore, oneshot};

use super::Refusal;

/// Components that wait for their turn. The largest takes some seconds.
const WAITING: u32 = 16;

/// Compiles and links.
pub(super) struct Compiler {
    engine: Engine,
    /// One at a time: compiling must not push requests aside.
    turn: Arc<Semaphore>,
    waiting: AtomicU32,
}

impl Compiler {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, turn: Arc::new(Semaphore::new(1)), waiting: AtomicU32::new(0) }
    }

    /// Compiles, or takes it from the cache, and links it with all that it imports; whether it was granted that is asked when it
    /// is activated. Blocks.
    pub(super) fn compile(&self, wasm: &[u8]) -> Result<Plugin, PluginError> {
        let code = self.engine.compile(wasm)?;
        code.link(&code.inspection().imports)
    }

    /// The same on a thread of its own, after waiting for a turn.
    pub(super) async fn compile_aside(&self, wasm: Bytes) -> Result<Result<Plugin, PluginError>, Refusal> {
        let _waiting = Waiting::new(&self.waiting).ok_or(Refusal::Busy)?;
        let turn = self.turn.clone().acquire_owned().await.expect("never closed");
        let (engine, (done, outcome)) = (self.engine.clone(), oneshot::channel());
        let work = move || {
            lower_priority();
            // Whoever asked may be gone; the turn is over only now.
            let _ = done.send(Self::new(engine).compile(&wasm));
            drop(turn);
        };
        // A thread of its own: the runtime's would keep the low priority.
        let thread = std::thread::Builder::new().name("compile-tool".to_owned()).spawn(work);
        thread.map_err(|error| Refusal::Storage(format!("no thread to compile it: {error}")))?;
        outcome.await.map_err(|_| Refusal::Storage("the compiler failed".to_owned()))
    }
}

struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::SeqCst);
        let counted = Self(count);
        (before < WAITING).then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Compiling must not push requests aside; on Linux a thread has a priority of its own. At 5 it gets a quarter of a core that
/// others want whole, so that a tool becomes active within seconds even then.
pub(crate) fn lower_priority() {
    #[expect(unsafe_code, reason = "a system call without pointers; nix has no wrapper for it")]
    // SAFETY: takes numbers only, and changes nothing but the priority of the calling thread.
    let lowered = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) };
    if lowered != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "compiling at normal priority");
    }
}
