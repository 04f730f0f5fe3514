//! What the store of one run holds.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::WorkFolder;
use crate::fence::Limiter;
use crate::host::{Caller, World};
use crate::outgoing::Requests;
use crate::stage::Stage;
use crate::under_way::UnderWay;

/// Data of a run's store.
pub(crate) struct RunState {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) http: WasiHttpCtx,
    pub(crate) http_hooks: Requests,
    pub(crate) limiter: Limiter,
    pub(crate) reach: Arc<Reach>,
    pub(crate) stage: Option<Stage>,
}

/// What the granted interfaces need to know of the run.
pub(crate) struct Reach {
    pub(crate) world: World,
    pub(crate) caller: Caller,
    pub(crate) folder: Option<WorkFolder>,
    pub(crate) under_way: UnderWay,
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for RunState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.http_hooks, table: &mut self.table, ctx: &mut self.http }
    }
}
