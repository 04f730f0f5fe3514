//! The tool store: which tool a name means now, in which revision, with which grants and limits.
//!
//! A name has up to three layers: what is built in, a file of the tools folder above it, and what was installed through
//! `/v1/tools` on top. Each layer has grants of its own. Built-in tools have exactly what they import, everything else starts
//! with the default grants. A revision is swapped whole: runs in flight keep theirs, and whatever fails changes nothing.
//!
//! Changes are made one after the other at the [`desk`](records): the new state is worked out on a copy, written to the
//! database in one transaction, and only then shown to callers. A component is written to its file before the transaction that
//! names it, so a host that is killed finds the old or the new revision whole.

mod change;
mod compile;
mod config;
mod entry;
mod failpoint;
mod files;
mod folder;
mod install;
mod load;
mod records;
mod refusal;
mod revision;
mod signatures;
mod view;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ocho_core::ToolName;
use ocho_core::tools::{ToolDetail, ToolSummary};
use ocho_runtime::{Engine, EngineError, Grants};

pub(crate) use compile::lower_priority;
pub use config::{DefaultLimits, StoreConfig, ToolArgs};
pub use folder::ToolsFolder;
pub use install::InstallOrder;
pub use load::BUILTIN;
pub use ocho_core::tools::Origin;
pub use refusal::Refusal;
pub use revision::{Full, Revision, Seat};
pub use signatures::{KeyError, SignatureError, SignaturePolicy, Signatures, read_key};

use compile::Compiler;
use entry::{Entry, Now};
use files::Shelf;
use records::Records;

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

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be used.
    #[error("the records of the tools cannot be read: {0}")]
    Records(#[from] rusqlite::Error),
    /// The folder of components cannot be used.
    #[error("the folder of the tools cannot be used: {0}")]
    Files(#[from] std::io::Error),
    /// The engine has no room for them.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// All tools of a host. Cheap to clone.
#[derive(Clone)]
pub struct ToolStore(Arc<Inner>);

struct Inner {
    compiler: Compiler,
    config: StoreConfig,
    shelf: Shelf,
    /// Held while a change is worked out, written and shown.
    desk: Mutex<Records>,
    tools: RwLock<Tools>,
}

type Tools = BTreeMap<ToolName, Entry>;

impl ToolStore {
    /// The store of a data folder, or one in memory. Nothing is compiled yet: [`ToolStore::load`] does that.
    ///
    /// # Errors
    /// Where the folder or the database in it cannot be used.
    pub fn open(engine: Engine, config: StoreConfig, data: Option<&Path>) -> Result<Self, StoreError> {
        let records = Records::open(data)?;
        let shelf = Shelf::open(data)?;
        shelf.sweep(&records.digests()?)?;
        let tools = records.load()?.into_iter().map(|(tool, persisted)| (tool, Entry::from(persisted))).collect();
        let compiler = Compiler::new(engine);
        Ok(Self(Arc::new(Inner { compiler, config, shelf, desk: Mutex::new(records), tools: RwLock::new(tools) })))
    }

    /// The active revision of a tool.
    ///
    /// # Errors
    /// Where there is none, with what is wrong.
    pub fn get(&self, name: &str) -> Result<Arc<Revision>, NoTool> {
        let tools = self.read();
        // No need to parse: what is no name is no key.
        let Some((tool, entry)) = tools.get_key_value(name) else { return Err(NoTool::Unknown(name.to_owned())) };
        match &entry.now {
            Now::Active(revision) => Ok(revision.clone()),
            Now::Nothing if entry.error.is_none() => Err(NoTool::Unknown(name.to_owned())),
            _ => Err(NoTool::Broken { tool: tool.clone(), why: entry.why_not(tool).unwrap_or_default() }),
        }
    }

    /// Names of the tools that can run, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<ToolName> {
        let tools = self.read();
        let active = tools.iter().filter(|(_, entry)| matches!(entry.now, Now::Active(_)));
        active.map(|(name, _)| name.clone()).collect()
    }

    /// All tools with their state, sorted by name; those that cannot run too.
    #[must_use]
    pub fn list(&self) -> Vec<ToolSummary> {
        self.read().iter().filter(|(_, entry)| entry.is_listed()).map(|(tool, entry)| view::summary(tool, entry, self)).collect()
    }

    /// All about one tool.
    ///
    /// # Errors
    /// Where nobody has this name.
    pub fn show(&self, tool: &ToolName) -> Result<ToolDetail, Refusal> {
        let tools = self.read();
        let entry = tools.get(tool).filter(|entry| entry.is_listed()).ok_or_else(|| Refusal::Unknown(tool.clone()))?;
        Ok(view::detail(tool, entry, self))
    }

    /// The most bytes of a component.
    #[must_use]
    pub fn component_bytes(&self) -> usize {
        self.0.config.component_bytes
    }

    /// What a layer of a tool may reach.
    fn grants(&self, tool: &ToolName, entry: &Entry, origin: Origin) -> Grants {
        let given = entry.grants.get(&origin).cloned();
        given.unwrap_or_else(|| match origin {
            Origin::Builtin => entry.builtin.as_ref().map(|part| part.report.wanted.clone()).unwrap_or_default(),
            Origin::Folder => self.0.config.granted.get(tool).unwrap_or(&self.0.config.default_grants).clone(),
            Origin::Installed => self.0.config.default_grants.clone(),
        })
    }

    /// Works a change out on a copy, writes it, shows it, and gives it back. Where anything fails, nothing changed.
    fn change<T>(&self, tool: &ToolName, change: impl FnOnce(&mut Entry) -> Result<T, Refusal>) -> Result<(T, Entry), Refusal> {
        let mut desk = self.desk();
        let before = self.read().get(tool).cloned().unwrap_or_default();
        let mut after = before.clone();
        let outcome = change(&mut after)?;
        self.settle(tool, &mut after);
        let (old, new) = (before.persisted(), after.persisted());
        if old != new {
            failpoint::reached("before-commit");
            if let Err(error) = desk.save(tool, &new) {
                self.forget_files(&new.digests());
                return Err(Refusal::Storage(error.to_string()));
            }
            failpoint::reached("committed");
        }
        after.tell_change(tool, &before);
        after.gate.set_epoch(after.epoch);
        self.write().insert(tool.clone(), after.clone());
        if old != new {
            failpoint::reached("swapped");
            self.forget_files(&old.digests());
        }
        Ok((outcome, after))
    }

    /// Removes files that no revision names any more. Called at the desk, or a file could go that is about to be named.
    fn forget_files(&self, digests: &[String]) {
        let tools = self.read();
        let used = |digest: &String| tools.values().any(|entry| entry.persisted_digests().any(|used| used == digest));
        digests.iter().filter(|digest| !used(digest)).for_each(|digest| self.0.shelf.remove(digest));
    }

    fn desk(&self) -> MutexGuard<'_, Records> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Tools> {
        self.0.tools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tools> {
        self.0.tools.write().unwrap_or_else(PoisonError::into_inner)
    }
}
