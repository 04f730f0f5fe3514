//! An instance of a model: made when it is needed, kept while it behaves.

use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::fence::{Fenced, Limiter};
use crate::model::generated::Model as Hooks;
use crate::model::{Cluster, Launch, Model, Setup, ToolOutput, wasi};
use crate::outgoing::Requests;
use crate::run::failure;
use crate::{Output, Reason};

/// What the store of a model holds.
pub(crate) struct ModelState {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    http_hooks: Requests,
    limiter: Limiter,
}

impl WasiView for ModelState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for ModelState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.http_hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// A model that can be called.
pub struct Instance {
    model: Model,
    setup: Setup,
    alive: Option<Alive>,
}

/// An instance that was initialized and has not failed since.
struct Alive {
    store: Store<ModelState>,
    hooks: Hooks,
    output: Output,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The model says no.
    #[error("{0}")]
    Refused(String),
    /// The instance is gone: it trapped, broke a limit, or could not be made.
    #[error("the model {0}")]
    Ended(#[from] Reason),
}

/// One call: `$alive` stays only if the model came back, also where it came back with a refusal.
macro_rules! call {
    ($instance:expr, $hook:ident $(, $argument:expr)*) => {{
        let mut alive = $instance.awake().await?;
        let (hooks, store) = (&alive.hooks, &mut alive.store);
        let call = async {
            store.run_concurrent(async |store| hooks.ocho_model_hooks().$hook(store $(, $argument)*).await).await?
        };
        let said = fenced(&$instance.model, &$instance.setup, &alive.output, call).await;
        let said = $instance.settle(&alive, said)?;
        $instance.alive = Some(alive);
        said.map_err(ModelError::Refused)
    }};
}

impl Instance {
    pub(super) fn new(model: Model, setup: Setup) -> Self {
        Self { model, setup, alive: None }
    }

    /// Makes and initializes the instance, unless it is there.
    ///
    /// # Errors
    /// Where that fails.
    pub async fn initialize(&mut self) -> Result<(), ModelError> {
        let alive = self.awake().await?;
        self.alive = Some(alive);
        Ok(())
    }

    /// Whether the pod could be configured like this.
    ///
    /// # Errors
    /// Where it could not.
    pub async fn can_configure(&mut self, cluster: Cluster) -> Result<(), ModelError> {
        call!(self, call_can_configure, cluster)
    }

    /// What to run in this cluster.
    ///
    /// # Errors
    /// Where the model does not say.
    pub async fn configure(&mut self, cluster: Cluster) -> Result<Launch, ModelError> {
        call!(self, call_configure, cluster)
    }

    /// Tells that all pods are configured.
    ///
    /// # Errors
    /// Where the model does not like that.
    pub async fn configured(&mut self, cluster: Cluster) -> Result<(), ModelError> {
        call!(self, call_configured, cluster)
    }

    /// Whether the process is well; JSON with metrics.
    ///
    /// # Errors
    /// Where it is not.
    pub async fn sanity_check(&mut self, pid: u32) -> Result<String, ModelError> {
        call!(self, call_sanity_check, pid)
    }

    /// Tells that the process is gone for good.
    ///
    /// # Errors
    /// Where the model fails.
    pub async fn finalize(&mut self) -> Result<(), ModelError> {
        call!(self, call_finalize)
    }

    /// A line about the cluster.
    ///
    /// # Errors
    /// Where the model fails.
    pub async fn probe(&mut self, cluster: Cluster) -> Result<String, ModelError> {
        call!(self, call_probe, cluster)
    }

    /// Runs a tool.
    ///
    /// # Errors
    /// Where the model has no such tool, or fails.
    pub async fn tool(&mut self, name: String, arguments: Vec<String>) -> Result<ToolOutput, ModelError> {
        call!(self, call_tool, name, arguments)
    }

    /// The instance, taken out: who is dropped midway does not put it back.
    async fn awake(&mut self) -> Result<Alive, ModelError> {
        if let Some(alive) = self.alive.take() {
            return Ok(alive);
        }
        let output = Output::new(self.setup.limits.output_bytes);
        let mut store = self.store(&output).map_err(|error| Reason::Failed(format!("{error:#}")))?;
        let settings = self.setup.settings.clone();
        let component = &self.model.0.component;
        let begin = async {
            let hooks = component.instantiate_async(&mut store).await?;
            let answer = store.run_concurrent(async |store| hooks.ocho_model_hooks().call_initialize(store, settings).await);
            let answer = answer.await??;
            wasmtime::Result::Ok((hooks, answer))
        };
        let begun = fenced(&self.model, &self.setup, &output, begin).await;
        self.tell(&output);
        match begun {
            Ok(Ok((hooks, Ok(())))) => Ok(Alive { store, hooks, output }),
            Ok(Ok((_, Err(reason)))) => Err(ModelError::Refused(format!("initialize: {reason}"))),
            Ok(Err(error)) => Err(failure(&error, &store.data().limiter, &self.setup.limits, &output).into()),
            Err(reason) => Err(reason.into()),
        }
    }

    fn store(&self, output: &Output) -> wasmtime::Result<Store<ModelState>> {
        let limits = &self.setup.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let state = ModelState {
            wasi: wasi(&self.setup, output)?,
            table,
            http: WasiHttpCtx::new(),
            http_hooks: Requests::new(self.setup.outgoing.clone()),
            limiter: Limiter::new(limits),
        };
        let mut store = Store::new(self.model.0.engine.wasmtime(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_epoch_deadline(1);
        // As for runs: tokio's timers and the neighbours go first.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        Ok(store)
    }

    /// Hands on what was printed, and turns an error of wasmtime into a reason.
    fn settle<T>(&self, alive: &Alive, said: Result<wasmtime::Result<T>, Reason>) -> Result<T, Reason> {
        let said = match said {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(failure(&error, &alive.store.data().limiter, &self.setup.limits, &alive.output)),
            Err(reason) => Err(reason),
        };
        self.tell(&alive.output);
        said
    }

    fn tell(&self, output: &Output) {
        for chunk in output.take() {
            String::from_utf8_lossy(&chunk.bytes).lines().for_each(|line| (self.setup.log)(line));
        }
    }
}

/// Runs a call within its time; its processor time is counted as a run's.
async fn fenced<T>(
    model: &Model,
    setup: &Setup,
    output: &Output,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<wasmtime::Result<T>, Reason> {
    let _ticking = model.0.engine.ticking();
    let limits = &setup.limits;
    tokio::select! {
        biased;
        ended = Fenced::new(call, limits, output) => ended,
        () = tokio::time::sleep(limits.wall) => Err(Reason::OverTime(limits.wall)),
    }
}
