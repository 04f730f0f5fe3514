//! One run: a fresh store, its fence, the call, and how it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{ResourceTable, ResourceTableError};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::fence::{Fenced, Limiter};
use crate::host::{Caller, Clock, Outgoing, World};
use crate::outgoing::Requests;
use crate::plugin::Command;
use crate::stage::Stage;
use crate::state::{Reach, RunState};
use crate::under_way::{TooMany, UnderWay};
use crate::{Channel, Limits, Output, Plugin, WorkFolder};

/// What a run is given.
pub struct RunRequest {
    /// Who runs: the run's id, its tool, its depth.
    pub caller: Caller,
    /// Words of the command line; the first is the tool's name.
    pub argv: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// What it sees as `.`; gone when the run is over, unless somebody else holds it too.
    pub folder: Option<WorkFolder>,
    /// Its fence.
    pub limits: Limits,
    /// What its granted interfaces reach.
    pub world: World,
    /// Which addresses its `wasi:http` may reach; without one it reaches none.
    pub outgoing: Option<Arc<dyn Outgoing>>,
    /// Where it prints.
    pub output: Output,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub reason: Reason,
    /// Processor time of the guest.
    pub cpu: Duration,
    /// From start to end.
    pub elapsed: Duration,
}

/// Why a run ended.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The guest ended by itself.
    #[error("exit code {0}")]
    Exited(u8),
    /// The guest did what no guest may do.
    #[error("trapped: {message}")]
    Trapped {
        /// wasmtime's text, such as `out of bounds memory access`.
        message: String,
        /// With the frames of the guest.
        backtrace: String,
    },
    /// It asked for more memory than it may have, and gave up.
    #[error("ran out of its {} of memory", size(*.0))]
    OverMemory(usize),
    /// It asked for more table elements than it may have, and gave up.
    #[error("asked for more table elements than it may have")]
    OverTables,
    /// It left more open at once than it may.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// It lasted too long.
    #[error("ran longer than its limit of {}", seconds(*.0))]
    OverTime(Duration),
    /// It computed too long.
    #[error("used more than its {} of CPU time", seconds(*.0))]
    OverCpu(Duration),
    /// It printed too much.
    #[error("printed more than it may")]
    OverOutput,
    /// It wrote too much into its working folder.
    #[error("wrote more into its working folder than its {} MiB or {entries} entries", bytes >> 20)]
    OverFolder {
        /// The limit in bytes.
        bytes: u64,
        /// The limit in entries.
        entries: u64,
    },
    /// The operator ended it.
    #[error("was ended: {0}")]
    Stopped(String),
    /// All places in the pool are taken.
    #[error("found no free place on the host")]
    Busy,
    /// The host could not run it.
    #[error("could not be started: {0}")]
    Failed(String),
}

impl Reason {
    /// 137 where the host ended the run, as for a process that was killed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exited(code) => *code,
            _ => 137,
        }
    }
}

fn size(bytes: usize) -> String {
    if bytes < 1 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// How often the working folder is looked at.
const FOLDER_LOOK: Duration = Duration::from_millis(250);

impl Plugin {
    /// Runs it once, in a store of its own, so that nothing is left for the next run. Dropping the future ends the run.
    ///
    /// All that was printed is in `request.output` when this returns; the output is closed.
    pub async fn run(&self, request: RunRequest) -> Ended {
        self.run_with(request, None).await
    }

    /// Runs what was linked for a stage once, with the stage's time and chance.
    pub async fn run_on_stage(&self, request: RunRequest, stage: Stage) -> Ended {
        self.run_with(request, Some(stage)).await
    }

    async fn run_with(&self, request: RunRequest, stage: Option<Stage>) -> Ended {
        let started = Instant::now();
        let output = request.output.clone();
        let closed_at_the_end = Closing(&output);
        let (reason, cpu) = match self.store(request, stage) {
            Ok((store, limits)) => self.fenced(store, &limits, &output).await,
            Err(error) => (Reason::Failed(format!("{error:#}")), Duration::ZERO),
        };
        drop(closed_at_the_end);
        Ended { reason, cpu, elapsed: started.elapsed() }
    }

    fn store(&self, request: RunRequest, stage: Option<Stage>) -> wasmtime::Result<(Store<RunState>, Limits)> {
        let wasi = wasi(&request, stage.as_ref())?;
        let limits = request.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let state = RunState {
            wasi,
            table,
            http: WasiHttpCtx::new(),
            http_hooks: Requests::new(request.outgoing),
            limiter: Limiter::new(&limits),
            reach: Arc::new(Reach {
                world: request.world,
                caller: request.caller,
                folder: request.folder,
                under_way: UnderWay::new(&limits),
            }),
            stage,
        };
        let mut store = Store::new(self.linked().engine.wasmtime(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        bound_handles(&mut store, limits.handles);
        store.set_epoch_deadline(1);
        // `yield_now` lets tokio's timers and the neighbours run first; wasmtime's own yield wakes the guest at once.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        Ok((store, limits))
    }

    async fn fenced(&self, mut store: Store<RunState>, limits: &Limits, output: &Output) -> (Reason, Duration) {
        let _ticking = self.linked().engine.ticking();
        let reach = store.data().reach.clone();
        let clock = store.data().stage.as_ref().map(|stage| stage.clock.clone());
        let mut guest = Fenced::new(call(&self.linked().command, &mut store), limits, output);
        let reason = tokio::select! {
            biased;
            ended = &mut guest => ended,
            () = wall(limits.wall, clock) => Err(Reason::OverTime(limits.wall)),
            () = folder_is_full(reach.folder.as_ref(), limits) =>
                Err(Reason::OverFolder { bytes: limits.folder_bytes, entries: limits.folder_entries }),
        };
        let cpu = guest.used();
        drop(guest);
        let reason = match reason {
            Ok(Ok(success)) => Reason::Exited(u8::from(!success)),
            Ok(Err(error)) => failure(&error, &store.data().limiter, limits, output),
            Err(reason) => reason,
        };
        (reason, cpu)
    }
}

/// Bounds what a guest can make the host remember: streams and tasks of its own, and what it has of the host's.
fn bound_handles(store: &mut Store<RunState>, handles: usize) {
    store.set_max_component_handles(handles);
    if let Some(table) = store.concurrent_resource_table() {
        // A stream or a task takes several places of this table.
        table.set_max_capacity(handles.saturating_mul(8));
    }
}

struct Closing<'a>(&'a Output);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// No sockets, no names, no folder but `.`, no input: that is what a fresh context has.
fn wasi(request: &RunRequest, stage: Option<&Stage>) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.args(&request.argv).envs(&request.env);
    wasi.stdout(request.output.pipe(Channel::Out)).stderr(request.output.pipe(Channel::Err));
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).max_random_size(1 << 20);
    if let Some(stage) = stage {
        stage.set(&mut wasi);
    }
    if let Some(folder) = &request.folder {
        wasi.preopened_dir(folder.path(), ".", FsPerms::ReadWrite)?;
    }
    Ok(wasi.build())
}

/// Calls `run`; true where the guest says success.
async fn call(command: &Command, store: &mut Store<RunState>) -> wasmtime::Result<bool> {
    match command {
        Command::P3(command) => {
            let command = command.instantiate_async(&mut *store).await?;
            let success = store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await).await??;
            Ok(success.is_ok())
        }
        Command::P2(command) => {
            let command = command.instantiate_async(&mut *store).await?;
            Ok(command.wasi_cli_run().call_run(&mut *store).await?.is_ok())
        }
    }
}

/// The end of the time that a run has.
async fn wall(limit: Duration, clock: Option<Arc<dyn Clock>>) {
    match clock {
        Some(clock) => clock.wait_until(clock.now().saturating_add(limit)).await,
        None => tokio::time::sleep(limit).await,
    }
}

async fn folder_is_full(folder: Option<&WorkFolder>, limits: &Limits) {
    let Some(folder) = folder else { return std::future::pending().await };
    loop {
        tokio::time::sleep(FOLDER_LOOK).await;
        // At most some thousand entries, and the kernel has them at hand: no need for another thread.
        if !folder.is_within(limits) {
            return;
        }
    }
}

pub(crate) fn failure(error: &wasmtime::Error, limiter: &Limiter, limits: &Limits, output: &Output) -> Reason {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Reason::Exited(u8::try_from(exit.0).unwrap_or(1));
    }
    if output.is_over() {
        return Reason::OverOutput;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Reason::Busy;
    }
    if let Some(too_many) = too_many(error, limits) {
        return too_many.into();
    }
    // A guest that gets no more memory aborts; `unreachable` alone would not tell why.
    if limiter.memory_denied {
        return Reason::OverMemory(limits.memory_bytes);
    }
    if limiter.tables_denied {
        return Reason::OverTables;
    }
    let message = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    };
    Reason::Trapped { message, backtrace: format!("{error:?}") }
}

fn too_many(error: &wasmtime::Error, limits: &Limits) -> Option<TooMany> {
    // wasmtime has no type for the handles that a guest makes for itself.
    const HANDLES: &str = "store handle limit exceeded";
    let is_full =
        matches!(error.downcast_ref(), Some(ResourceTableError::Full)) || error.root_cause().to_string().contains(HANDLES);
    error.downcast_ref().copied().or_else(|| is_full.then_some(TooMany::Handles(limits.handles)))
}
