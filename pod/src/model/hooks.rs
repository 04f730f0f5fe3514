//! A description's hooks with a model behind them.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ocho_core::command_line;
use ocho_runtime::model::{self as wit, Instance, Model, ModelError, Setup};
use serde_json::{Map, Value};

use crate::cluster::Cluster;
use crate::hooks::described::write_file;
use crate::hooks::{Command, DescribedHooks, HookError, Hooks, Launch};
use crate::leader::Probe;
use crate::model::neighbours::Neighbours;
use crate::model::picture::picture;
use crate::tools::{Output, Tool};

/// The hooks of a pod with a model.
pub(super) struct ModelHooks {
    pub(super) described: DescribedHooks,
    /// The instance that is kept.
    pub(super) life: Instance,
    pub(super) neighbours: Arc<Neighbours>,
    /// Where the process runs.
    pub(super) folder: Option<PathBuf>,
}

impl From<ModelError> for HookError {
    fn from(error: ModelError) -> Self {
        Self::new(error.to_string())
    }
}

impl ModelHooks {
    async fn launch(&mut self, cluster: &Cluster) -> Result<Launch, HookError> {
        let mut launch = self.described.launch(cluster).await?;
        self.neighbours.learn(cluster);
        let said = self.life.configure(picture(cluster)).await?;
        for file in &said.files {
            write(self.folder.as_deref(), file).await?;
        }
        if !said.command.is_empty() {
            launch.command = Command::Words(said.command);
        }
        launch.variables.extend(said.environment);
        Ok(launch)
    }
}

/// Writes a model's file below the folder of the process, and nowhere else.
async fn write(folder: Option<&Path>, file: &wit::File) -> Result<(), HookError> {
    let name = Path::new(&file.path);
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || file.path.is_empty() {
        return Err(HookError::new(format!("the model's file `{}` is not below the folder of the process", file.path)));
    }
    let path = folder.unwrap_or(Path::new("")).join(name);
    let written = write_file(&path, &file.content, None).await;
    written.map_err(|error| HookError::new(format!("the model's file `{}`: {error}", file.path)))
}

impl Hooks for ModelHooks {
    fn initialize(&mut self) -> BoxFuture<'_, Result<(), HookError>> {
        async {
            self.described.initialize().await?;
            Ok(self.life.initialize().await?)
        }
        .boxed()
    }

    fn can_configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), HookError>> {
        async {
            self.described.can_configure(cluster).await?;
            self.neighbours.learn(cluster);
            Ok(self.life.can_configure(picture(cluster)).await?)
        }
        .boxed()
    }

    fn configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<Launch, HookError>> {
        self.launch(cluster).boxed()
    }

    fn configured<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), HookError>> {
        async {
            self.described.configured(cluster).await?;
            self.neighbours.learn(cluster);
            Ok(self.life.configured(picture(cluster)).await?)
        }
        .boxed()
    }

    fn sanity_check(&mut self, pid: u32) -> BoxFuture<'_, Result<Map<String, Value>, HookError>> {
        async move {
            let mut metrics = self.described.sanity_check(pid).await?;
            let text = self.life.sanity_check(pid).await?;
            let more: Map<String, Value> = serde_json::from_str(&text)
                .map_err(|error| HookError::new(format!("the model's metrics are no JSON object: {error}")))?;
            metrics.extend(more);
            Ok(metrics)
        }
        .boxed()
    }

    fn signaled(&mut self, body: Value, pid: Option<u32>) -> BoxFuture<'_, Result<Value, HookError>> {
        self.described.signaled(body, pid)
    }

    fn tear_down(&mut self, pid: u32) -> BoxFuture<'_, Result<(), HookError>> {
        self.described.tear_down(pid)
    }

    fn finalize(&mut self) -> BoxFuture<'_, Result<(), HookError>> {
        async {
            // The model too is told where the description's command fails.
            let described = self.described.finalize().await;
            self.life.finalize().await?;
            described
        }
        .boxed()
    }
}

/// Both probes; the model's line counts where it has one.
pub(super) struct ModelProbe {
    pub(super) described: DescribedHooks,
    pub(super) model: Model,
    pub(super) setup: Setup,
}

impl Probe for ModelProbe {
    fn probe<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<String, HookError>> {
        async {
            let text = self.model.start(self.setup.clone()).probe(picture(cluster)).await?;
            match text.lines().next().map(str::trim) {
                Some(line) if !line.is_empty() => Ok(line.to_owned()),
                _ => self.described.probe(cluster).await,
            }
        }
        .boxed()
    }
}

/// A tool that the model runs.
pub(super) struct ModelTool {
    pub(super) name: String,
    pub(super) model: Model,
    pub(super) setup: Setup,
}

impl ModelTool {
    async fn run_words(&self, arguments: &str, folder: &Path) -> Output {
        let failed = |text: String| Output { code: 1, stdout: vec![text], stderr: Vec::new() };
        let words = match command_line::split(arguments) {
            Ok(words) => words,
            Err(error) => return failed(error.to_string()),
        };
        let setup = Setup { folder: Some(folder.to_owned()), ..self.setup.clone() };
        match self.model.start(setup).tool(self.name.clone(), words).await {
            Ok(said) => {
                let lines = |text: &str| text.lines().map(str::to_owned).collect();
                Output { code: said.code.into(), stdout: lines(&said.stdout), stderr: lines(&said.stderr) }
            }
            Err(ModelError::Refused(reason)) => failed(reason),
            Err(error) => failed(format!("unexpected failure -> {error}")),
        }
    }
}

impl Tool for ModelTool {
    fn run<'a>(&'a self, arguments: &'a str, folder: &'a Path) -> BoxFuture<'a, Output> {
        self.run_words(arguments, folder).boxed()
    }
}
