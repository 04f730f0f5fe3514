//! The hooks of a pod that is described in a file.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::fs;
use tracing::{info, warn};

use crate::cluster::{Address, Cluster, Pods, addresses};
use crate::command::{Errand, Finished, run};
use crate::description::template::Scene;
use crate::description::{CommandTemplate, Description, Need};
use crate::environment::Variables;
use crate::hooks::question::{ask_http, ask_tcp};
use crate::hooks::{Command, HookError, Hooks, Launch, done};
use crate::leader::Probe;
use crate::lifecycle::process::terminate_group;

/// What a hook's command may write.
const OUTPUT_BYTES: usize = 1 << 20;

/// Hooks made from a description.
#[derive(Clone)]
pub struct DescribedHooks {
    description: Arc<Description>,
    variables: Arc<Variables>,
    /// How long a hook's command may take.
    limit: Duration,
    /// What templates see, once the pod was configured.
    scene: Option<Scene>,
    /// What the launch added to the pod's variables.
    added: BTreeMap<String, String>,
    metrics: Map<String, Value>,
}

impl DescribedHooks {
    /// Takes a description and the variables that its commands and templates see.
    #[must_use]
    pub fn new(description: Arc<Description>, variables: Variables, limit: Duration) -> Self {
        Self { description, variables: Arc::new(variables), limit, scene: None, added: BTreeMap::new(), metrics: Map::new() }
    }

    async fn write_files(&self, scene: &Scene) -> Result<(), HookError> {
        for file in &self.description.file {
            let file = file.get_ref();
            let path = self.resolve(Path::new(&scene.fill_in(&file.path.0)?));
            let text = scene.fill_in(&file.template().0).map_err(|error| in_file(&path, &error.to_string()))?;
            write_file(&path, text.as_bytes(), file.mode.map(|mode| mode.0))
                .await
                .map_err(|error| in_file(&path, &error.to_string()))?;
            info!(file = %path.display(), bytes = text.len(), "wrote");
        }
        Ok(())
    }

    /// Relative names lead below the folder of the process.
    fn resolve(&self, path: &Path) -> PathBuf {
        self.description.process.folder.as_deref().unwrap_or(Path::new("")).join(path)
    }

    /// The command of a hook, with the variables that the process has.
    async fn run_hook(
        &self,
        command: Option<&CommandTemplate>,
        scene: Option<&Scene>,
        input: Vec<u8>,
    ) -> Result<Vec<u8>, HookError> {
        let Some(command) = command else { return Ok(Vec::new()) };
        let command = fill_in_command(command, self.description.hooks.shell, scene)?;
        let mut variables = (*self.variables).clone();
        variables.extend(self.added.clone());
        let folder = self.description.process.folder.as_deref();
        let errand = Errand {
            command: &command,
            variables: Some(&variables),
            folder,
            input,
            limit: self.limit,
            output_bytes: OUTPUT_BYTES,
        };
        success(&command, run(errand).await)
    }

    fn scene(&self, cluster: &Cluster) -> Scene {
        Scene::new(cluster.clone(), Arc::clone(&self.variables))
    }

    /// What the description says to run, with its files written. Without a command of its own it has no words: a model has them.
    pub(crate) async fn launch(&mut self, cluster: &Cluster) -> Result<Launch, HookError> {
        let scene = self.scene(cluster);
        let process = &self.description.process;
        if let Some(folder) = &process.folder {
            fs::create_dir_all(folder).await.map_err(|error| in_file(folder, &error.to_string()))?;
        }
        self.write_files(&scene).await?;
        let mut variables = super::plain::place(cluster);
        for (name, template) in &process.environment {
            let value = scene.fill_in(&template.0).map_err(|error| HookError::new(format!("environment `{name}`: {error}")))?;
            variables.insert(name.clone(), value);
        }
        let command = match &process.command {
            Some(command) => fill_in_command(command, process.shell, Some(&scene))?,
            None => Command::Words(Vec::new()),
        };
        self.scene = Some(scene);
        self.added = variables.clone();
        Ok(Launch { command, variables, folder: process.folder.clone() })
    }

    async fn look_after(&self, pid: u32) -> Result<(), HookError> {
        let scene = self.scene.as_ref();
        if let Some(check) = &self.description.check {
            let check = check.get_ref();
            match (&check.command, &check.http, &check.tcp) {
                (Some(command), ..) => drop(self.question(command, check.shell, check.limit(), pid).await?),
                (_, Some(url), _) => drop(ask_http(&fill_in(&url.0, scene)?, check.limit()).await?),
                (.., Some(address)) => ask_tcp(&fill_in(&address.0, scene)?, check.limit()).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What the process measures. A source that fails says nothing about the process, so the values before stay.
    async fn measure(&self, pid: u32) -> Result<Map<String, Value>, HookError> {
        let Some(metrics) = &self.description.metrics else { return Ok(Map::new()) };
        let metrics = metrics.get_ref();
        let text = match (&metrics.command, &metrics.http) {
            (Some(command), _) => self.question(command, metrics.shell, metrics.limit(), pid).await?,
            (_, Some(url)) => ask_http(&fill_in(&url.0, self.scene.as_ref())?, metrics.limit()).await?.to_vec(),
            _ => return Ok(Map::new()),
        };
        serde_json::from_slice(&text).map_err(|error| HookError::new(format!("the metrics are no JSON object: {error}")))
    }

    async fn question(&self, command: &CommandTemplate, shell: bool, limit: Duration, pid: u32) -> Result<Vec<u8>, HookError> {
        let command = fill_in_command(command, shell, self.scene.as_ref())?;
        let mut variables = (*self.variables).clone();
        variables.extend(self.added.clone());
        variables.insert("OCHO_POD_PID".to_owned(), pid.to_string());
        let folder = self.description.process.folder.as_deref();
        let errand = Errand {
            command: &command,
            variables: Some(&variables),
            folder,
            input: Vec::new(),
            limit,
            output_bytes: OUTPUT_BYTES,
        };
        success(&command, run(errand).await)
    }
}

impl Hooks for DescribedHooks {
    fn initialize(&mut self) -> BoxFuture<'_, Result<(), HookError>> {
        async { self.run_hook(self.description.hooks.initialize.as_ref(), None, Vec::new()).await.map(drop) }.boxed()
    }

    fn can_configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), HookError>> {
        async {
            for need in &self.description.needs {
                meet(need, cluster)?;
            }
            let scene = self.scene(cluster);
            self.run_hook(self.description.hooks.can_configure.as_ref(), Some(&scene), Vec::new()).await.map(drop)
        }
        .boxed()
    }

    fn configure<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<Launch, HookError>> {
        self.launch(cluster).boxed()
    }

    fn configured<'a>(&'a mut self, cluster: &'a Cluster) -> BoxFuture<'a, Result<(), HookError>> {
        async {
            let scene = self.scene(cluster);
            self.run_hook(self.description.hooks.configured.as_ref(), Some(&scene), Vec::new()).await.map(drop)
        }
        .boxed()
    }

    fn sanity_check(&mut self, pid: u32) -> BoxFuture<'_, Result<Map<String, Value>, HookError>> {
        async move {
            self.look_after(pid).await?;
            match self.measure(pid).await {
                Ok(metrics) => self.metrics = metrics,
                Err(error) => warn!(%error, "cannot measure"),
            }
            Ok(self.metrics.clone())
        }
        .boxed()
    }

    fn signaled(&mut self, body: Value, _: Option<u32>) -> BoxFuture<'_, Result<Value, HookError>> {
        async move {
            let command = self.description.hooks.signaled.as_ref();
            let answer = self.run_hook(command, self.scene.as_ref(), body.to_string().into_bytes()).await?;
            match answer.trim_ascii().is_empty() {
                true => Ok(Value::Object(Map::new())),
                false => {
                    serde_json::from_slice(&answer).map_err(|error| HookError::new(format!("the answer is no JSON: {error}")))
                }
            }
        }
        .boxed()
    }

    fn tear_down(&mut self, pid: u32) -> BoxFuture<'_, Result<(), HookError>> {
        let this = &*self;
        match &this.description.hooks.tear_down {
            None => done(terminate_group(pid).map_err(|error| HookError::new(error.to_string()))),
            Some(command) => {
                let shell = this.description.hooks.shell;
                async move { this.question(command, shell, this.limit, pid).await.map(drop) }.boxed()
            }
        }
    }

    fn finalize(&mut self) -> BoxFuture<'_, Result<(), HookError>> {
        async { self.run_hook(self.description.hooks.finalize.as_ref(), self.scene.as_ref(), Vec::new()).await.map(drop) }.boxed()
    }
}

impl Probe for DescribedHooks {
    fn probe<'a>(&'a self, cluster: &'a Cluster) -> BoxFuture<'a, Result<String, HookError>> {
        async {
            let Some(probe) = &self.description.probe else { return Ok(String::new()) };
            let scene = self.scene(cluster);
            let command = fill_in_command(&probe.command, probe.shell, Some(&scene))?;
            let folder = self.description.process.folder.as_deref();
            let (limit, variables) = (probe.limit(), Some(&*self.variables));
            let errand = Errand { command: &command, variables, folder, input: Vec::new(), limit, output_bytes: OUTPUT_BYTES };
            let text = success(&command, run(errand).await)?;
            Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned())
        }
        .boxed()
    }
}

fn in_file(path: &Path, reason: &str) -> HookError {
    HookError::new(format!("`{}`: {reason}", path.display()))
}

/// Whether a need is met.
fn meet(need: &Need, cluster: &Cluster) -> Result<(), HookError> {
    let none = Pods::new();
    let (name, pods) = match need.dependency() {
        Some(name) => (name, cluster.dependencies.get(name).unwrap_or(&none)),
        None => ("this cluster", &cluster.pods),
    };
    if pods.len() < need.pods {
        return Err(HookError::new(format!("needs {} pods of {name}, there are {}", need.pods, pods.len())));
    }
    match need.port {
        Some(port) => addresses(name, pods, port, Address::Internal).map(drop).map_err(|error| HookError::new(error.to_string())),
        None => Ok(()),
    }
}

fn fill_in(text: &str, scene: Option<&Scene>) -> Result<String, HookError> {
    match scene {
        Some(scene) => Ok(scene.fill_in(text)?),
        None => Ok(text.to_owned()),
    }
}

/// Fills every word in. Before there is a cluster the words stand as they are written.
pub(crate) fn fill_in_command(command: &CommandTemplate, shell: bool, scene: Option<&Scene>) -> Result<Command, HookError> {
    Ok(match command {
        CommandTemplate::Words(words) => {
            Command::Words(words.iter().map(|word| fill_in(&word.0, scene)).collect::<Result<_, _>>()?)
        }
        CommandTemplate::Line(line) if shell => Command::Shell(fill_in(&line.0, scene)?),
        CommandTemplate::Line(line) => Command::split_at_spaces(&fill_in(&line.0, scene)?),
    })
}

fn success(command: &Command, ended: Result<Finished, crate::command::ErrandError>) -> Result<Vec<u8>, HookError> {
    let finished = ended.map_err(|error| HookError::new(error.to_string()))?;
    if finished.code == 0 {
        return Ok(finished.stdout);
    }
    let (program, code, words) = (crate::command::program(command), finished.code, finished.last_words());
    Err(HookError::new(format!("`{program}` ended with {code}: {words}")))
}

/// Writes beside the place and moves it there, so that nobody reads half a file.
pub(crate) async fn write_file(path: &Path, content: &[u8], mode: Option<u32>) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).await?;
    let beside = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(beside.path(), content).await?;
    fs::set_permissions(beside.path(), std::fs::Permissions::from_mode(mode.unwrap_or(0o644))).await?;
    beside.persist(path)?;
    Ok(())
}
