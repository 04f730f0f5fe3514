//! Plays scenes: one component, compiled once, in a fresh fence for each scene.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ocho_core::{ToolName, command_line};
use ocho_runtime::host::{Caller, Clock as _};
use ocho_runtime::{Channel, Code, CodeCache, Engine, EngineConfig, Limits, Output, Reason, RunRequest, WorkFolder};

use super::clock::VirtualClock;
use super::cluster::{Cluster, Heard};
use super::format::FilePart;
use super::idle::Stage;
use super::{Scene, SceneError};

/// The run's id in every scene.
const RUN: &str = "01J0000000000000000000000A";

/// The time of day at which scenes begin that say none: the first second of 2026.
const MORNING: Duration = Duration::from_secs(1_767_225_600);

/// Code of some dozen components: an author has few, and Python's are large.
const CACHE_BYTES: u64 = 1 << 30;

/// A component that is ready to play.
pub(crate) struct Theatre {
    code: Code,
    tool: ToolName,
    component: PathBuf,
}

/// What a run on the stage left.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) exit: u8,
    /// Why the host ended it, if it did.
    pub(crate) ended: Option<String>,
    /// Why it was not even started.
    pub(crate) refused: Option<String>,
    /// On the virtual clock.
    pub(crate) elapsed: Duration,
    pub(crate) heard: Vec<Heard>,
}

impl Theatre {
    /// Compiles a component, or takes its code from the user's cache.
    pub(crate) fn open(component: &Path) -> Result<Self, SceneError> {
        let wasm = std::fs::read(component).map_err(|cause| SceneError::Read { path: component.to_owned(), cause })?;
        let limits = Limits::tool();
        let config = EngineConfig { runs: at_once(usize::MAX), memory_bytes: limits.memory_bytes, cache: cache() };
        let engine = Engine::new(config).map_err(|error| SceneError::Engine(error.to_string()))?;
        let refused =
            |error: ocho_runtime::PluginError| SceneError::Component { path: component.to_owned(), why: error.to_string() };
        let code = engine.compile(&wasm).map_err(refused)?;
        Ok(Self { code, tool: tool_name(component), component: component.to_owned() })
    }

    /// The file that was compiled.
    pub(crate) fn component(&self) -> &Path {
        &self.component
    }

    /// Plays some scenes at once; gives what they left in the order of the scenes.
    pub(crate) fn play_all(&self, scenes: &[Scene]) -> Vec<Result<Played, SceneError>> {
        let next = AtomicUsize::new(0);
        let play = || {
            let mut played = Vec::new();
            while let Some((nth, scene)) = take(&next, scenes) {
                played.push((nth, self.play(scene)));
            }
            played
        };
        let mut all: BTreeMap<usize, Result<Played, SceneError>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once(scenes.len())).map(|_| scope.spawn(play)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a stage does not panic")).collect()
        });
        std::iter::from_fn(|| all.pop_first().map(|(_, played)| played)).collect()
    }

    /// Plays one scene.
    pub(crate) fn play(&self, scene: &Scene) -> Result<Played, SceneError> {
        let run = &scene.file.run;
        let grants = run.grants.as_ref().unwrap_or(&self.code.inspection().imports);
        let plugin = match self.code.link_for_stage(grants) {
            Ok(plugin) => plugin,
            Err(error) => return Ok(Played::refused(&format!("tool '{}' {error}", self.tool))),
        };
        let setting = scene.file.clock.clone().unwrap_or_default();
        let clock = Arc::new(VirtualClock::new(setting.now.map_or(MORNING, |time| time.0)));
        let cluster = Cluster::new(&scene.file, clock.clone());
        let limits = Limits { wall: run.wall.map_or(Limits::tool().wall, |span| span.0), ..Limits::tool() };
        let output = Output::new(limits.output_bytes);
        let mut env: Vec<(String, String)> = run.env.clone().into_iter().collect();
        env.push(("OCHO_RUN".to_owned(), RUN.to_owned()));
        let folder = if plugin.uses_folder() || !run.files.is_empty() { Some(folder(scene)?) } else { None };
        let request = RunRequest {
            caller: Caller { run: RUN.to_owned(), tool: self.tool.clone(), depth: 0 },
            argv: self.argv(scene)?,
            env,
            folder,
            limits,
            world: cluster.world(),
            outgoing: None,
            output: output.clone(),
        };
        let stage = ocho_runtime::Stage { clock: clock.clone(), seed: setting.seed };
        let ended = Stage::new(clock.clone()).map_err(SceneError::Stage)?.play(plugin.run_on_stage(request, stage));
        let text = |channel| String::from_utf8_lossy(&output.bytes(channel)).into_owned();
        Ok(Played {
            out: text(Channel::Out),
            err: text(Channel::Err),
            exit: ended.reason.exit_code(),
            ended: match &ended.reason {
                Reason::Exited(_) => None,
                reason => Some(format!("tool '{}' {reason}", self.tool)),
            },
            refused: None,
            elapsed: clock.now(),
            heard: cluster.heard(),
        })
    }

    fn argv(&self, scene: &Scene) -> Result<Vec<String>, SceneError> {
        let run = &scene.file.run;
        let words = match &run.line {
            Some(line) => command_line::split(line)
                .map_err(|error| SceneError::Syntax { path: scene.folder.join(&scene.name), why: error.to_string() })?,
            None => run.args.clone(),
        };
        Ok(std::iter::once(self.tool.to_string()).chain(words).collect())
    }
}

impl Played {
    fn refused(why: &str) -> Self {
        Self {
            out: String::new(),
            err: String::new(),
            exit: 137,
            ended: None,
            refused: Some(why.to_owned()),
            elapsed: Duration::ZERO,
            heard: Vec::new(),
        }
    }
}

fn take<'a>(next: &AtomicUsize, scenes: &'a [Scene]) -> Option<(usize, &'a Scene)> {
    let nth = next.fetch_add(1, Ordering::Relaxed);
    scenes.get(nth).map(|scene| (nth, scene))
}

/// How many scenes play at once: one a core.
fn at_once(scenes: usize) -> u32 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores.min(scenes).clamp(1, 16)).unwrap_or(1)
}

/// A tool is called like its file, as far as that is a name.
fn tool_name(component: &Path) -> ToolName {
    let stem = component.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    stem.parse().unwrap_or_else(|_| "tool".parse().expect("`tool` is a name"))
}

/// Where compiled code is kept, if there is such a place.
fn cache() -> Option<CodeCache> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    CodeCache::open(&base.join("ocho").join("code"), CACHE_BYTES).ok()
}

/// A working folder with the scene's files.
fn folder(scene: &Scene) -> Result<WorkFolder, SceneError> {
    let folder = WorkFolder::new(None).map_err(SceneError::Stage)?;
    for (name, file) in &scene.file.run.files {
        let content = match file {
            FilePart::Text(text) => text.clone().into_bytes(),
            FilePart::Path { path } => {
                let path = scene.folder.join(path);
                std::fs::read(&path).map_err(|cause| SceneError::Read { path, cause })?
            }
        };
        let wrong = |error: ocho_runtime::FolderError| SceneError::Syntax {
            path: scene.folder.join(&scene.name),
            why: error.to_string(),
        };
        folder.write(name, &content).map_err(wrong)?;
    }
    Ok(folder)
}
