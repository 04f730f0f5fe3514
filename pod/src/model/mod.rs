//! Models: components in which a pod's author decides what a description has no words for. With the feature `model` only.
//!
//! A model does not take the place of the description: at each step the description's hooks come first, and what they refuse the
//! model is not asked. So a pod has checks, files, templates and tools from its description, and logic from its model.

mod hooks;
mod neighbours;
mod picture;

use std::sync::Arc;

use anyhow::Context as _;
use ocho_runtime::model::Setup;
use ocho_runtime::{Engine, EngineConfig, Limits};
use tracing::info;

use crate::description::Description;
use crate::environment::Variables;
use crate::hooks::DescribedHooks;
use crate::program::{Modelled, Models};
use hooks::{ModelHooks, ModelProbe, ModelTool};
use neighbours::Neighbours;

/// Loads models that are WebAssembly components.
#[derive(Debug, Clone, Copy, Default)]
pub struct Components;

/// Instances of one model at a time: the one that is kept, one for the probe, and one for each tool that runs.
const INSTANCES: u32 = 18;
/// The most memory that a description can give a model.
const MOST_MEMORY_MIB: u32 = 1024;

impl Models for Components {
    fn load(&self, description: &Description, hooks: DescribedHooks, variables: &Variables) -> anyhow::Result<Modelled> {
        let part = description.model.as_ref().context("the description names no model")?.get_ref();
        let file = description.model_file().context("the description names no model")?;
        let wrong = |what: &dyn std::fmt::Display| description.about_model(format_args!("`{}`: {what}", file.display()));
        let wasm = std::fs::read(&file).map_err(|error| wrong(&error))?;
        let limits = limits(part.memory_mib, part.cpu.map(|time| time.0), part.timeout.map(|time| time.0));
        let limits = limits.map_err(|error| description.about_model(error))?;
        let engine = Engine::new(EngineConfig { runs: INSTANCES, memory_bytes: limits.memory_bytes, cache: None })?;
        let model = engine.compile(&wasm).and_then(|code| code.link_model()).map_err(|error| wrong(&error))?;
        let neighbours = Arc::new(Neighbours::default());
        let setup = Setup {
            env: variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            folder: None,
            limits,
            outgoing: Some(neighbours.clone()),
            settings: serde_json::Value::Object(part.settings.clone()).to_string(),
            log: Arc::new(|line| info!("model: {line}")),
        };
        let tool = |name: &str| ModelTool { name: name.to_owned(), model: model.clone(), setup: setup.clone() };
        let tools = description.tools.iter().filter(|(_, tool)| tool.get_ref().model);
        let tools = tools.map(|(name, _)| (name.clone(), Arc::new(tool(name)) as Arc<dyn crate::tools::Tool>)).collect();
        let probe = ModelProbe { described: hooks.clone(), model: model.clone(), setup: setup.clone() };
        let folder = description.process.folder.clone();
        let hooks = ModelHooks { described: hooks, life: model.start(setup), neighbours, folder };
        Ok(Modelled { hooks: Box::new(hooks), probe: Arc::new(probe), tools })
    }
}

fn limits(
    memory_mib: Option<u32>,
    cpu: Option<std::time::Duration>,
    wall: Option<std::time::Duration>,
) -> Result<Limits, String> {
    let default = Limits::model();
    let memory_bytes = match memory_mib {
        None => default.memory_bytes,
        Some(mib @ 1..=MOST_MEMORY_MIB) => (mib as usize) << 20,
        Some(mib) => return Err(format!("`memory_mib` is {mib}: it can be 1 to {MOST_MEMORY_MIB}")),
    };
    Ok(Limits { memory_bytes, cpu: cpu.unwrap_or(default.cpu), wall: wall.unwrap_or(default.wall), ..default })
}
