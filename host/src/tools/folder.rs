//! The tools folder: a new, changed or removed `<name>.wasm` takes effect at once.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecursiveMode, Watcher};
use ocho_core::ToolName;

use super::{ToolStore, lower_priority};

/// Watches a folder for a store. Dropping it ends the watch.
pub struct ToolsFolder {
    // Dropping the watcher closes the channel, and the thread ends.
    _watcher: notify::RecommendedWatcher,
}

/// What tells whether a file changed without reading it.
type Stamp = (SystemTime, u64, u64);

/// A tool's file and the signature beside it.
type Stamps = (Stamp, Option<Stamp>);

/// A signature file has four lines.
const SIGNATURE_BYTES: u64 = 4096;

/// An editor or a copy writes in several steps; the folder is read when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(60);

/// Changes that are missed by the kernel's queue are found at the next look.
const LOOK: Duration = Duration::from_secs(5);

impl ToolsFolder {
    /// Loads what is in the folder, then follows it. Compiling happens on the watch's own thread, so callers see no pause;
    /// what is there at the start is loaded before this returns.
    ///
    /// # Errors
    /// Where the folder cannot be watched.
    pub fn watch(store: ToolStore, folder: &Path) -> notify::Result<Self> {
        let (changed, changes) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                let _ = changed.send(());
            }
        })?;
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        let mut known = Known { store, folder: folder.to_owned(), files: BTreeMap::new() };
        known.look();
        std::thread::Builder::new()
            .name("tools-folder".to_owned())
            .spawn(move || {
                lower_priority();
                loop {
                    match changes.recv_timeout(LOOK) {
                        Ok(()) => while changes.recv_timeout(QUIET).is_ok() {},
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                    known.look();
                }
            })
            .map_err(notify::Error::io)?;
        Ok(Self { _watcher: watcher })
    }
}

struct Known {
    store: ToolStore,
    folder: PathBuf,
    files: BTreeMap<ToolName, Stamps>,
}

impl Known {
    fn look(&mut self) {
        let found = match self.list() {
            Ok(found) => found,
            Err(error) => return tracing::warn!(folder = %self.folder.display(), %error, "tools folder cannot be read"),
        };
        let gone: Vec<ToolName> = self.files.keys().filter(|tool| !found.contains_key(*tool)).cloned().collect();
        for tool in gone {
            self.store.forget_file(&tool);
            self.files.remove(&tool);
        }
        for (tool, (path, stamps)) in found {
            if self.files.get(&tool) != Some(&stamps) {
                self.load(&tool, &path, stamps);
                self.files.insert(tool, stamps);
            }
        }
    }

    fn load(&self, tool: &ToolName, path: &Path, ((_, bytes, _), signature): Stamps) {
        let most = self.store.component_bytes();
        if bytes > most as u64 {
            return self.store.refuse_file(tool, format!("{bytes} bytes are more than the {most} of a tool"));
        }
        let signature = match signature {
            Some((_, bytes, _)) if bytes > SIGNATURE_BYTES => Some(String::new()),
            Some(_) => Some(fs::read_to_string(signature_path(path)).unwrap_or_default()),
            None => None,
        };
        match fs::read(path) {
            Ok(wasm) => self.store.activate_file(tool, &wasm, signature.as_deref()),
            Err(error) => self.store.refuse_file(tool, format!("its file cannot be read: {error}")),
        }
    }

    fn list(&self) -> io::Result<BTreeMap<ToolName, (PathBuf, Stamps)>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".wasm")) else {
                continue;
            };
            // A file may go between the list and the look at it.
            let Ok(data) = fs::metadata(&path) else { continue };
            match name.parse::<ToolName>() {
                Ok(tool) if data.is_file() => {
                    let signature = fs::metadata(signature_path(&path)).and_then(|data| stamp(&data)).ok();
                    found.insert(tool, (path, (stamp(&data)?, signature)));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(file = %path.display(), %error, "not a tool's file"),
            }
        }
        Ok(found)
    }
}

fn stamp(data: &fs::Metadata) -> io::Result<Stamp> {
    Ok((data.modified()?, data.len(), data.ino()))
}

/// Where minisign puts it: `<name>.wasm.minisig`.
fn signature_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".minisig");
    PathBuf::from(path)
}
