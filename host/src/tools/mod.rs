//! The tool store: which tool a name means now, in which revision, with which grants.
//!
//! Built-in tools have exactly the grants that they import. Files of the tools folder have the default grants, or what the
//! operator gave them. A revision is swapped whole: runs in flight keep theirs, and a file that is no tool changes nothing but
//! the list, which shows its error.

mod folder;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use ocho_core::ToolName;
use ocho_core::signature::hex;
use ocho_runtime::{Engine, Grants, Interface, Limits, Plugin, PluginError};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use folder::ToolsFolder;

/// The standard tools, built with the daemon: name and component.
pub static BUILTIN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// A component that is ready to run under a name.
pub struct Revision {
    /// The tool's name.
    pub tool: ToolName,
    /// Counts the changes of this name since the host started, from 1.
    pub number: u32,
    /// SHA-256 of the component, in hexadecimal digits.
    pub digest: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What it may reach.
    pub grants: Grants,
    /// Its size.
    pub wasm_bytes: usize,
    /// The component.
    pub plugin: Plugin,
    /// The fence of its runs.
    pub limits: Limits,
}

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The host's own.
    Builtin,
    /// A file in the tools folder.
    Folder,
}

/// Why a tool does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTool {
    /// Nobody has this name.
    #[error("no tool `{0}`")]
    Unknown(String),
    /// There is one, and it cannot run.
    #[error("tool `{tool}` cannot run: {why}")]
    Broken {
        /// Its name.
        tool: ToolName,
        /// What is wrong and what to do.
        why: String,
    },
}

/// A line of the list of tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The tool's name.
    pub tool: ToolName,
    /// Whether a run of it can start.
    pub active: bool,
    /// The active revision, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Where the active revision comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// SHA-256 of the active revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Size of the active revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasm_bytes: Option<usize>,
    /// What the active revision may reach.
    pub grants: Grants,
    /// What is wrong with the file of this name, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How runs are fenced by default.
#[derive(Debug, Clone)]
pub struct DefaultLimits {
    /// CPU time.
    pub cpu: Duration,
    /// Time, waiting included.
    pub wall: Duration,
    /// Memory.
    pub memory_bytes: usize,
}

/// All tools of a host. Cheap to clone.
#[derive(Clone)]
pub struct ToolStore(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: DefaultLimits,
    granted: BTreeMap<ToolName, Grants>,
    tools: RwLock<BTreeMap<ToolName, Entry>>,
}

#[derive(Default)]
struct Entry {
    revisions: u32,
    builtin: Option<Arc<Revision>>,
    from_folder: Option<Arc<Revision>>,
    error: Option<String>,
}

impl Entry {
    fn active(&self) -> Option<&Arc<Revision>> {
        self.from_folder.as_ref().or(self.builtin.as_ref())
    }
}

/// Tools that wait for pods to come and go.
const PATIENT: [&str; 5] = ["bump", "deploy", "exec", "kill", "scale"];

impl ToolStore {
    /// An empty store.
    #[must_use]
    pub fn new(engine: Engine, limits: DefaultLimits, granted: Vec<(ToolName, Grants)>) -> Self {
        Self(Arc::new(Inner { engine, limits, granted: granted.into_iter().collect(), tools: RwLock::default() }))
    }

    /// The active revision of a tool.
    ///
    /// # Errors
    /// Where there is none, with what is wrong.
    pub fn get(&self, name: &str) -> Result<Arc<Revision>, NoTool> {
        let unknown = || NoTool::Unknown(name.to_owned());
        let tool: ToolName = name.parse().map_err(|_| unknown())?;
        let tools = self.read();
        let entry = tools.get(&tool).ok_or_else(unknown)?;
        match (entry.active(), &entry.error) {
            (Some(revision), _) => Ok(revision.clone()),
            (None, Some(why)) => Err(NoTool::Broken { tool, why: why.clone() }),
            (None, None) => Err(unknown()),
        }
    }

    /// Names of the tools that can run, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<ToolName> {
        self.read().iter().filter(|(_, entry)| entry.active().is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// All tools with their state, sorted by name; those that cannot run too.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.read().iter().filter(|(_, entry)| entry.active().is_some() || entry.error.is_some()).map(listed).collect()
    }

    /// Compiles the built-in tools on low-priority threads, `at_once` at a time, and says each name when it is ready.
    ///
    /// A built-in tool that does not compile is listed with its error; the others run.
    pub fn load_builtin(&self, at_once: usize, progress: impl Fn(&str) + Send + Sync) {
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..at_once.clamp(1, BUILTIN.len().max(1)) {
                scope.spawn(|| {
                    lower_priority();
                    while let Some((name, wasm)) = BUILTIN.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                        let tool: ToolName = name.parse().expect("standard tools have good names");
                        self.activate_builtin(tool, wasm);
                        progress(name);
                    }
                });
            }
        });
    }

    fn activate_builtin(&self, tool: ToolName, wasm: &[u8]) {
        let compiled = self.0.engine.compile(wasm).and_then(|code| {
            let grants = code.inspection().imports.clone();
            Ok((code.link(&grants)?, grants))
        });
        match compiled {
            Ok((plugin, grants)) => self.swap(tool, Origin::Builtin, wasm, plugin, grants),
            Err(error) => self.refuse(tool, error.to_string()),
        }
    }

    /// Makes a file's component the active one, or notes why it cannot be. Blocks while it compiles.
    fn activate_file(&self, tool: ToolName, wasm: &[u8]) {
        let grants = self.0.granted.get(&tool).cloned().unwrap_or_else(Grants::observer);
        match self.0.engine.compile(wasm).and_then(|code| code.link(&grants)) {
            Ok(plugin) => self.swap(tool, Origin::Folder, wasm, plugin, grants),
            Err(PluginError::NotGranted(missing)) => {
                let all: Grants = grants.iter().chain(missing.iter()).collect();
                let list: Vec<&str> = all.iter().map(Interface::name).collect();
                let why =
                    format!("it imports {missing}, which it was not granted; start ochod with --grant {tool}={}", list.join(","));
                self.refuse(tool, why);
            }
            Err(error) => self.refuse(tool, error.to_string()),
        }
    }

    fn swap(&self, tool: ToolName, origin: Origin, wasm: &[u8], plugin: Plugin, grants: Grants) {
        let mut tools = self.write();
        let entry = tools.entry(tool.clone()).or_default();
        entry.revisions += 1;
        let revision = Arc::new(Revision {
            number: entry.revisions,
            digest: hex(&Sha256::digest(wasm)),
            origin,
            grants,
            wasm_bytes: wasm.len(),
            plugin,
            limits: self.limits_of(&tool),
            tool,
        });
        tracing::info!(tool = %revision.tool, revision = revision.number, digest = revision.digest, "tool is active");
        match origin {
            Origin::Builtin => entry.builtin = Some(revision),
            Origin::Folder => {
                entry.error = None;
                entry.from_folder = Some(revision);
            }
        }
    }

    /// Notes what is wrong with a file; what was active stays so.
    fn refuse(&self, tool: ToolName, why: String) {
        tracing::warn!(%tool, error = why, "tool cannot run");
        self.write().entry(tool).or_default().error = Some(why);
    }

    /// The file of this name is gone: the built-in tool shows again, or none.
    fn forget_file(&self, tool: &ToolName) {
        if let Some(entry) = self.write().get_mut(tool) {
            tracing::info!(%tool, "tool's file is gone");
            entry.from_folder = None;
            entry.error = None;
        }
    }

    fn limits_of(&self, tool: &ToolName) -> Limits {
        let DefaultLimits { cpu, wall, memory_bytes } = self.0.limits;
        let wall = if PATIENT.contains(&tool.as_str()) { wall.saturating_mul(6) } else { wall };
        Limits { cpu, wall, memory_bytes, ..Limits::tool() }
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ToolName, Entry>> {
        self.0.tools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<ToolName, Entry>> {
        self.0.tools.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listed((tool, entry): (&ToolName, &Entry)) -> Listed {
    let active = entry.active();
    Listed {
        tool: tool.clone(),
        active: active.is_some(),
        revision: active.map(|revision| revision.number),
        origin: active.map(|revision| revision.origin),
        digest: active.map(|revision| revision.digest.clone()),
        wasm_bytes: active.map(|revision| revision.wasm_bytes),
        grants: active.map(|revision| revision.grants.clone()).unwrap_or_default(),
        error: entry.error.clone(),
    }
}

/// Compiling must not push requests aside; on Linux a thread has a priority of its own.
pub(crate) fn lower_priority() {
    #[expect(unsafe_code, reason = "a system call without pointers; nix has no wrapper for it")]
    // SAFETY: takes numbers only, and changes nothing but the priority of the calling thread.
    let lowered = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
    if lowered != 0 {
        tracing::debug!(error = %std::io::Error::last_os_error(), "compiling at normal priority");
    }
}
