//! Runs tools and jobs: WASI components, each run in a fence of its own.
//!
//! Only this crate knows wasmtime. [`Engine`] compiles a component, [`Grants`] say which `ocho:*` interfaces it may reach,
//! [`Plugin`] is a component linked with its grants, and [`Plugin::run`] runs it once, in a fresh instance, within
//! [`Limits`]. What a run may ask of the world stands in [`host`] as traits.

pub mod host;

mod bindings;
mod cache;
mod contract;
mod engine;
mod fence;
mod folder;
mod inspect;
mod limits;
mod links;
pub mod model;
mod outgoing;
mod output;
mod plugin;
mod removed;
mod run;
mod stage;
mod state;
mod under_way;

pub use cache::CodeCache;
pub use engine::{Engine, EngineConfig, EngineError};
pub use folder::{FolderError, WorkFolder};
pub use inspect::{CONTRACTS, ComponentReport, ContractFit, Misfit, NotAComponent};
pub use limits::Limits;
pub use ocho_core::{Grants, Interface, UnknownInterface};
pub use output::{Channel, Chunk, Output, OutputReader};
pub use plugin::{Code, Inspection, Plugin, PluginError};
pub use run::{Ended, Reason, RunRequest};
pub use stage::Stage;
pub use under_way::TooMany;
