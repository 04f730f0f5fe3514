//! A plugin: a component, what it asks for, and the same linked with what it was granted.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime_wasi::{p2, p3};

use crate::contract::Contract;
use crate::state::RunState;
use crate::{Engine, Grants, Interface, stage};

/// Why a file is no plugin, or not with these grants.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// Not a component at all.
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// A component that cannot be run.
    #[error(
        "exports no `wasi:cli/run`; a plugin is a WASI command (in Rust: `fn main()`, or `wasip3::cli::command::export!`) for WASI 0.2 or 0.3"
    )]
    NotACommand,
    /// A component that is no model of a pod.
    #[error("exports no `ocho:model/hooks`; a model is a component for the world `ocho:model/model`")]
    NotAModel,
    /// It asks for things that this host does not have.
    #[error("imports what this host does not have: {0}")]
    UnknownImports(String),
    /// It asks for more than it was granted.
    #[error("imports {0}, which it was not granted")]
    NotGranted(Grants),
    /// wasmtime refuses it.
    #[error("does not link: {0}")]
    Link(String),
}

/// What a component asks for, read without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The interfaces of the contract that it imports.
    pub imports: Grants,
    /// Imports of no package that this host serves.
    pub unknown: BTreeSet<String>,
    /// Whether it sees a working folder if there is one.
    pub uses_folder: bool,
    /// The same imports with the version of the contract that each was built for.
    wanted: BTreeSet<(Contract, Interface)>,
}

/// A compiled component, before grants.
#[derive(Clone)]
pub struct Code {
    engine: Engine,
    component: Component,
    inspection: Inspection,
}

/// A component linked with its grants, ready to run any number of times.
#[derive(Clone)]
pub struct Plugin(Arc<Linked>);

pub(crate) struct Linked {
    pub(crate) engine: Engine,
    pub(crate) command: Command,
    pub(crate) uses_folder: bool,
}

/// The two kinds of entry point.
pub(crate) enum Command {
    P3(p3::bindings::CommandPre<RunState>),
    P2(p2::bindings::CommandPre<RunState>),
}

impl Engine {
    /// Compiles a component, or takes it from the cache. Slow (a second for a megabyte): call it on a thread that may block.
    ///
    /// # Errors
    /// Where `wasm` is no component or no command.
    pub fn compile(&self, wasm: &[u8]) -> Result<Code, PluginError> {
        let component = match self.cache().and_then(|cache| cache.load(self.wasmtime(), wasm)) {
            Some(component) => component,
            None => self.compile_anew(wasm)?,
        };
        let inspection = inspect(self, &component);
        Ok(Code { engine: self.clone(), component, inspection })
    }

    fn compile_anew(&self, wasm: &[u8]) -> Result<Component, PluginError> {
        // `Component::new` would take the text format for a component too, if wasmtime was built so.
        let component = Component::from_binary(self.wasmtime(), wasm).map_err(|error| not_a_component(wasm, &error))?;
        if let Some(cache) = self.cache() {
            cache.store(self.wasmtime(), wasm, &component);
        }
        Ok(component)
    }
}

fn not_a_component(wasm: &[u8], error: &wasmtime::Error) -> PluginError {
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    PluginError::NotAComponent(if wasm.starts_with(MODULE) {
        "it is a core module; build it for the target wasm32-wasip2".to_owned()
    } else {
        format!("{error:#}")
    })
}

fn inspect(engine: &Engine, component: &Component) -> Inspection {
    let mut wanted = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    let mut uses_folder = false;
    for (name, _) in component.component_type().imports(engine.wasmtime()) {
        uses_folder |= name.starts_with("wasi:filesystem/preopens@");
        match Contract::of_import(name) {
            Some(interface) => {
                wanted.insert(interface);
            }
            None if name.starts_with("wasi:") || is_types(name) => {}
            None => {
                unknown.insert(name.to_owned());
            }
        }
    }
    Inspection { imports: wanted.iter().map(|(_, interface)| *interface).collect(), unknown, uses_folder, wanted }
}

/// Interfaces with only types need no grant.
pub(crate) fn is_types(import: &str) -> bool {
    Contract::ALL.iter().any(|contract| contract.has_types(import))
}

impl Code {
    /// The engine that compiled it, and what it compiled.
    pub(crate) fn compiled(&self) -> (&Engine, &Component) {
        (&self.engine, &self.component)
    }

    /// What the component asks for.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Links it with exactly what it was granted and imports.
    ///
    /// # Errors
    /// Where it imports more, or something that nobody has.
    pub fn link(&self, grants: &Grants) -> Result<Plugin, PluginError> {
        self.link_with(grants, |_| Ok(()))
    }

    /// Links it for runs on a stage ([`Plugin::run_on_stage`]).
    ///
    /// # Errors
    /// As [`Code::link`].
    pub fn link_for_stage(&self, grants: &Grants) -> Result<Plugin, PluginError> {
        self.link_with(grants, stage::add_to_linker)
    }

    fn link_with(
        &self,
        grants: &Grants,
        more: impl FnOnce(&mut Linker<RunState>) -> wasmtime::Result<()>,
    ) -> Result<Plugin, PluginError> {
        let unknown: Vec<&str> = self.inspection.unknown.iter().map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(PluginError::UnknownImports(unknown.join(", ")));
        }
        let missing = grants.missing(&self.inspection.imports);
        if !missing.is_empty() {
            return Err(PluginError::NotGranted(missing));
        }
        let mut linker = self.linker().map_err(|error| PluginError::Link(format!("{error:#}")))?;
        more(&mut linker).map_err(|error| PluginError::Link(format!("{error:#}")))?;
        let instance = linker.instantiate_pre(&self.component).map_err(|error| PluginError::Link(format!("{error:#}")))?;
        let command = command(&instance)?;
        Ok(Plugin(Arc::new(Linked { engine: self.engine.clone(), command, uses_folder: self.inspection.uses_folder })))
    }

    fn linker(&self) -> wasmtime::Result<Linker<RunState>> {
        let mut linker = Linker::new(self.engine.wasmtime());
        p2::add_to_linker_async(&mut linker)?;
        p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        for (contract, interface) in &self.inspection.wanted {
            contract.add_to_linker(&mut linker, *interface)?;
        }
        Ok(linker)
    }
}

fn command(instance: &InstancePre<RunState>) -> Result<Command, PluginError> {
    if let Ok(command) = p3::bindings::CommandPre::new(instance.clone()) {
        return Ok(Command::P3(command));
    }
    p2::bindings::CommandPre::new(instance.clone()).map(Command::P2).map_err(|_| PluginError::NotACommand)
}

impl Plugin {
    pub(crate) fn linked(&self) -> &Linked {
        &self.0
    }

    /// Whether a run of it sees a working folder if there is one.
    #[must_use]
    pub fn uses_folder(&self) -> bool {
        self.0.uses_folder
    }
}
