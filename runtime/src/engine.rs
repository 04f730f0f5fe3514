//! The engine: wasmtime's settings, the pool of instances, and the thread that moves the epoch.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::CodeCache;

/// How the engine is built.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Runs at once, at all depths together: the size of the pool.
    pub runs: u32,
    /// The most linear memory of one run.
    pub memory_bytes: usize,
    /// Where compiled code is kept; `None` compiles anew at each start.
    pub cache: Option<CodeCache>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[error("wasmtime cannot start: {0:#}")]
pub struct EngineError(wasmtime::Error);

/// Compiles components and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    // The thread holds a clone of the engine; it is stopped and joined before the rest goes.
    ticker: Ticker,
    engine: wasmtime::Engine,
    cache: Option<CodeCache>,
}

/// How often a spinning guest comes back to the host.
const TICK: Duration = Duration::from_millis(10);

/// The same where there is one core, on which everybody else waits for it.
const TICK_OF_ONE_CORE: Duration = Duration::from_millis(2);

/// Ticks without a run before the thread sleeps. Waking it costs more than a small run, so it stays awake between runs that
/// follow each other.
const TICKS_AWAKE: u32 = 100;

/// Core instances, memories and tables that a component may consist of. Python's have about ten of each.
const INSTANCES_PER_RUN: u32 = 40;
const MEMORIES_PER_RUN: u32 = 4;
const TABLES_PER_RUN: u32 = 20;

impl Engine {
    /// Starts an engine with pooled instances, or with instances on demand where the address space is too small.
    ///
    /// # Errors
    /// Where wasmtime refuses these settings on this machine.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        // Where RUST_BACKTRACE is set, each error of wasmtime would take the host's own stack along. To name its frames, all of this
        // program's debug information is read: a guest that traps would hold a worker for a tenth of a second.
        wasmtime::error::disable_backtrace();
        let engine = match pooled_engine(&config) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), runs = config.runs, "no pool of instances, each is made on demand");
                wasmtime::Engine::new(&settings()).map_err(EngineError)?
            }
        };
        Ok(Self(Arc::new(Inner { ticker: Ticker::start(&engine), engine, cache: config.cache })))
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.engine
    }

    pub(crate) fn cache(&self) -> Option<&CodeCache> {
        self.0.cache.as_ref()
    }

    /// Makes the epoch move for as long as the guard lives. With no guard around, the thread sleeps.
    pub(crate) fn ticking(&self) -> Ticking {
        Ticking::start(self.0.ticker.shared.clone())
    }
}

fn settings() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        // Compiling happens on low-priority threads of ours; rayon's would push requests aside.
        .parallel_compilation(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(50));
    config
}

/// The pool reserves address space for every run that may be; whether there is enough shows when it is made.
fn pooled_engine(config: &EngineConfig) -> wasmtime::Result<wasmtime::Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(config.runs)
        .total_core_instances(config.runs.saturating_mul(INSTANCES_PER_RUN))
        .total_memories(config.runs.saturating_mul(MEMORIES_PER_RUN))
        .total_tables(config.runs.saturating_mul(TABLES_PER_RUN))
        .total_stacks(config.runs.saturating_mul(4))
        .max_core_instances_per_component(INSTANCES_PER_RUN)
        .max_memories_per_component(MEMORIES_PER_RUN)
        .max_tables_per_component(TABLES_PER_RUN)
        .max_memories_per_module(MEMORIES_PER_RUN)
        .max_tables_per_module(TABLES_PER_RUN)
        .max_memory_size(config.memory_bytes)
        .max_unused_warm_slots(config.runs.min(100))
        // 96 KiB are cleared by hand and stay; more costs time at each run, less costs page faults.
        .linear_memory_keep_resident(96 * 1024)
        // Only what a run touched is cleared then, where the kernel tells (6.7 and later): the other pages stay mapped, which spares
        // the next run its page faults and the other processors their interruptions.
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(8 * 1024)
        .async_stack_keep_resident(16 * 1024);
    let mut settings = settings();
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasmtime::Engine::new(&settings)
}

struct Ticker {
    shared: Arc<TickerShared>,
    thread: Option<JoinHandle<()>>,
}

struct TickerShared {
    tick: Duration,
    running: AtomicUsize,
    asleep: AtomicBool,
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> Self {
        let is_alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
        let shared = Arc::new(TickerShared {
            tick: if is_alone { TICK_OF_ONE_CORE } else { TICK },
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stopped: Mutex::new(false),
            wake: Condvar::new(),
        });
        let (engine, theirs) = (engine.weak(), shared.clone());
        let tick = move || {
            let mut idle_ticks = 0;
            while theirs.wait_for_tick(&mut idle_ticks) {
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn(tick).expect("a thread can be started");
        Self { shared, thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl TickerShared {
    /// Sleeps for a tick; where nothing ran for a while, until there is a run. False once the engine goes.
    fn wait_for_tick(&self, idle_ticks: &mut u32) -> bool {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        *idle_ticks = if self.is_running() { 0 } else { *idle_ticks + 1 };
        if *idle_ticks > TICKS_AWAKE {
            self.asleep.store(true, Ordering::SeqCst);
            // Whoever counted itself before the flag was set is seen here; whoever did later sees the flag, and wakes us.
            while !*stopped && !self.is_running() {
                stopped = self.wake.wait(stopped).unwrap_or_else(PoisonError::into_inner);
            }
            self.asleep.store(false, Ordering::SeqCst);
            *idle_ticks = 0;
        }
        if *stopped {
            return false;
        }
        let (stopped, _) = self.wake.wait_timeout(stopped, self.tick).unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }
}

/// Keeps the epoch moving.
pub(crate) struct Ticking(Arc<TickerShared>);

impl Ticking {
    fn start(shared: Arc<TickerShared>) -> Self {
        shared.running.fetch_add(1, Ordering::SeqCst);
        if shared.asleep.load(Ordering::SeqCst) {
            // Under the lock, or the thread could look, find nobody, and sleep through this call.
            let _held = shared.stopped.lock().unwrap_or_else(PoisonError::into_inner);
            shared.wake.notify_all();
        }
        Self(shared)
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
