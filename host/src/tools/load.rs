//! What is there without an installation: the built-in tools, installed ones at the start, files of the tools folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ocho_core::ToolName;
use ocho_core::signature::{hex, sha256};
use ocho_core::tools::{Origin, SignatureView};
use ocho_runtime::{ComponentReport, Plugin};

use super::entry::{Entry, Layer, Part};
use super::install::refused_by_wasmtime;
use super::records::RevisionRecord;
use super::{Refusal, ToolStore, lower_priority};

/// The standard tools, built with the daemon: name and component.
pub static BUILTIN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// What is to be compiled at the start.
enum Load {
    Builtin(&'static str, &'static [u8]),
    Installed(ToolName, Vec<Arc<RevisionRecord>>),
}

impl Load {
    fn name(&self) -> &str {
        match self {
            Self::Builtin(name, _) => name,
            Self::Installed(name, _) => name.as_str(),
        }
    }
}

impl ToolStore {
    /// Compiles the built-in and the installed tools on low-priority threads, `at_once` at a time, and says each name when it is
    /// ready, with how many are and how many there are.
    ///
    /// A tool that cannot run is listed with its error; the others run.
    pub fn load(&self, at_once: usize, progress: impl Fn(&str, usize, usize) + Send + Sync) {
        let builtin = BUILTIN.iter().map(|(name, wasm)| Load::Builtin(name, wasm));
        let loads: Vec<Load> = builtin.chain(self.installed()).collect();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..at_once.clamp(1, loads.len().max(1)) {
                scope.spawn(|| {
                    lower_priority();
                    while let Some(load) = loads.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match load {
                            Load::Builtin(name, wasm) => self.load_builtin(name, wasm),
                            Load::Installed(tool, revisions) => self.load_installed(tool, revisions),
                        }
                        progress(load.name(), done.fetch_add(1, Ordering::Relaxed) + 1, loads.len());
                    }
                });
            }
        });
    }

    /// The installed revisions that are in use. The others are compiled when somebody goes back to them.
    fn installed(&self) -> Vec<Load> {
        let tools = self.read();
        let in_use = |entry: &Entry| {
            let parts = entry.installed.active.iter().chain(entry.installed.waiting.iter());
            parts.filter_map(|part| entry.kept.get(&part.number).cloned()).collect::<Vec<_>>()
        };
        let loads = tools.iter().map(|(tool, entry)| (tool, in_use(entry))).filter(|(_, revisions)| !revisions.is_empty());
        loads.map(|(tool, revisions)| Load::Installed(tool.clone(), revisions)).collect()
    }

    fn load_builtin(&self, name: &str, wasm: &'static [u8]) {
        let tool: ToolName = name.parse().expect("standard tools have good names");
        let report = ComponentReport::read(wasm).unwrap_or_default();
        let part = Part {
            number: 1,
            origin: Origin::Builtin,
            digest: hex(&sha256(wasm)),
            key: None,
            installed_ms: None,
            report: Arc::new(report),
            plugin: self.0.compiler.compile(wasm).map_err(|error| error.to_string()),
        };
        self.take(&tool, |entry| {
            entry.last_number = entry.last_number.max(part.number);
            entry.builtin = Some(part);
        });
    }

    fn load_installed(&self, tool: &ToolName, revisions: &[Arc<RevisionRecord>]) {
        let parts: Vec<Part> = revisions.iter().map(|record| Part::installed(record, self.open_installed(record))).collect();
        self.take(tool, |entry| {
            for part in parts {
                let layer = &mut entry.installed;
                let places = [&mut layer.active, &mut layer.waiting];
                for place in places.into_iter().flatten().filter(|place| place.number == part.number) {
                    *place = part.clone();
                }
            }
        });
    }

    /// Reads an installed revision, checks its signature as if it came now, and compiles it. Blocks.
    fn open_installed(&self, record: &RevisionRecord) -> Result<Plugin, String> {
        let wasm = self.read_installed(record)?;
        self.0.compiler.compile(&wasm).map_err(|error| error.to_string())
    }

    pub(super) fn read_installed(&self, record: &RevisionRecord) -> Result<Bytes, String> {
        let wasm = self.0.shelf.get(&record.digest)?;
        self.0.config.signatures.check(&wasm, record.signature.as_deref()).map_err(|error| error.to_string())?;
        Ok(wasm)
    }

    /// Makes a file's component the active one, lets it wait for its grants, or notes why it cannot run. Blocks while it compiles.
    pub(super) fn activate_file(&self, tool: &ToolName, wasm: &[u8], signature: Option<&str>) {
        match self.open_file(wasm, signature) {
            Ok((report, plugin, key)) => self.take(tool, |entry| {
                let number = entry.next_number();
                let digest = hex(&sha256(wasm));
                let (report, installed_ms, plugin) = (Arc::new(report), None, Ok(plugin));
                let part = Part { number, origin: Origin::Folder, digest, key, installed_ms, report, plugin };
                let is_granted = self.grants(tool, entry, Origin::Folder).missing(&part.report.wanted).is_empty();
                entry.last_number = number;
                entry.error = None;
                entry.folder.take(part, is_granted);
            }),
            Err(refusal) => self.refuse_file(tool, refusal.to_string()),
        }
    }

    fn open_file(&self, wasm: &[u8], signature: Option<&str>) -> Result<(ComponentReport, Plugin, Option<String>), Refusal> {
        let key = match self.0.config.signatures.check(wasm, signature)? {
            SignatureView::Good { key, .. } => Some(key),
            SignatureView::Unsigned | SignatureView::Unchecked => None,
        };
        let report = ComponentReport::read(wasm)?;
        if !report.misfits().is_empty() {
            return Err(Refusal::Misfits(report.misfits().to_vec()));
        }
        let plugin = self.0.compiler.compile(wasm).map_err(refused_by_wasmtime)?;
        Ok((report, plugin, key))
    }

    /// Notes what is wrong with a file; what was active stays so.
    pub(super) fn refuse_file(&self, tool: &ToolName, why: String) {
        tracing::warn!(%tool, error = why, "the tool's file is not used");
        self.take(tool, |entry| entry.error = Some(why));
    }

    /// The file of this name is gone: what is built in shows again, or nothing.
    pub(super) fn forget_file(&self, tool: &ToolName) {
        self.take(tool, |entry| {
            entry.folder = Layer::default();
            entry.error = None;
        });
    }

    /// A change that is not the operator's, and that nothing can refuse but the disk.
    fn take(&self, tool: &ToolName, change: impl FnOnce(&mut Entry)) {
        let done = self.change(tool, |entry| {
            change(entry);
            Ok(())
        });
        if let Err(error) = done {
            tracing::error!(%tool, %error, "the tool stays as it was");
        }
    }
}
