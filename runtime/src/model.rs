//! The model of a pod: a component whose hooks a pod agent calls, in the same fence as tools.
//!
//! An instance is kept from call to call, since a model remembers what it was told; nothing else of a run is. Each call has the
//! whole processor time, wall time and output of its limits; memory is what the instance holds altogether. A call that traps,
//! breaks a limit or is dropped midway takes its instance with it, and the next call makes a fresh one.

mod instance;

use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, p2, p3};

use crate::host::Outgoing;
use crate::{Channel, Code, Engine, Limits, Output, PluginError};
use instance::ModelState;

pub use generated::ocho::model::types::{Cluster, Dependency, File, Launch, Pod, ToolOutput};
pub use instance::{Instance, ModelError};

#[allow(missing_docs, reason = "its documentation stands in the contract")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../wit/0.1/model",
        world: "ocho:model/model@0.1.0",
        exports: { default: async | store },
    });
}

/// A component linked as a model, to be started any number of times.
#[derive(Clone)]
pub struct Model(Arc<Linked>);

struct Linked {
    engine: Engine,
    component: generated::ModelPre<ModelState>,
}

/// What an instance is given.
#[derive(Clone)]
pub struct Setup {
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// What it sees as `.`.
    pub folder: Option<PathBuf>,
    /// Its fence: memory for the instance, all else for each call.
    pub limits: Limits,
    /// Which addresses its `wasi:http` may reach; without one it reaches none.
    pub outgoing: Option<Arc<dyn Outgoing>>,
    /// JSON for its hook `initialize`.
    pub settings: String,
    /// Where the lines go that it prints.
    pub log: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Code {
    /// Links it as a model: with WASI alone.
    ///
    /// # Errors
    /// Where it imports something else, or exports no hooks.
    pub fn link_model(&self) -> Result<Model, PluginError> {
        let (engine, component) = self.compiled();
        let names = component.component_type();
        let foreign = |name: &&str| !name.starts_with("wasi:") && !name.starts_with("ocho:model/types@0.1.");
        let unknown: Vec<&str> = names.imports(engine.wasmtime()).map(|(name, _)| name).filter(foreign).collect();
        if !unknown.is_empty() {
            return Err(PluginError::UnknownImports(unknown.join(", ")));
        }
        if !names.exports(engine.wasmtime()).any(|(name, _)| name.starts_with("ocho:model/hooks@0.1.")) {
            return Err(PluginError::NotAModel);
        }
        let link = |error: wasmtime::Error| PluginError::Link(format!("{error:#}"));
        let linker = linker(engine).map_err(link)?;
        let component = linker.instantiate_pre(component).and_then(generated::ModelPre::new).map_err(link)?;
        Ok(Model(Arc::new(Linked { engine: engine.clone(), component })))
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<ModelState>> {
    let mut linker = Linker::new(engine.wasmtime());
    p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}

impl Model {
    /// Prepares an instance. It is made at the first call.
    #[must_use]
    pub fn start(&self, setup: Setup) -> Instance {
        Instance::new(self.clone(), setup)
    }
}

/// No sockets, no names, no arguments, no input, and no folder but the one that is named.
fn wasi(setup: &Setup, output: &Output) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.envs(&setup.env).stdout(output.pipe(Channel::Out)).stderr(output.pipe(Channel::Err));
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false).max_random_size(1 << 20);
    if let Some(folder) = &setup.folder {
        wasi.preopened_dir(folder, ".", FsPerms::ReadWrite)?;
    }
    Ok(wasi.build())
}
