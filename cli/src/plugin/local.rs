//! A component in a file: read without a host.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ocho_core::ToolName;
use ocho_runtime::{ComponentReport, Engine, EngineConfig};

use super::PluginError;
use crate::screen::Screen;

/// No host takes more.
const LIMIT_BYTES: u64 = 256 << 20;
/// As much as a run has by default.
const MEMORY_BYTES: usize = 256 << 20;

/// What a word names: a component in a file, or a tool of a host.
pub(super) enum Subject {
    File(PathBuf),
    Tool(ToolName),
}

impl Subject {
    /// A path or something that ends in `.wasm` is a file, a plain name is a tool.
    pub(super) fn of(word: &str) -> Result<Self, PluginError> {
        let path = Path::new(word);
        if word.contains('/') || path.extension().is_some_and(|end| end == "wasm") {
            return Ok(Self::File(path.to_owned()));
        }
        match word.parse() {
            Ok(tool) => Ok(Self::Tool(tool)),
            Err(_) if path.is_file() => Ok(Self::File(path.to_owned())),
            Err(error) => Err(PluginError::NoName { path: path.to_owned(), why: format!("{error}") }),
        }
    }
}

/// Reads a file, but no more than a host would take.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, PluginError> {
    let failed = |cause| PluginError::Read { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LIMIT_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(PluginError::TooLarge { path: path.to_owned(), limit_mib: LIMIT_BYTES >> 20 });
    }
    Ok(bytes)
}

/// Says what a component is and asks for.
pub(super) fn report(path: &Path, wasm: &[u8]) -> Result<ComponentReport, PluginError> {
    ComponentReport::read(wasm).map_err(|cause| PluginError::NotAComponent { path: path.to_owned(), cause })
}

/// Compiles a component and links it with all that it asks for, as a host of this version does.
pub(super) fn link(path: &Path, wasm: &[u8], report: &ComponentReport, screen: Screen) -> Result<(), PluginError> {
    if !report.misfits().is_empty() {
        return Err(PluginError::Misfit { path: path.to_owned(), reasons: report.misfits().to_vec() });
    }
    let _note = screen.after_a_while("compiling");
    let engine = Engine::new(EngineConfig { runs: 1, memory_bytes: MEMORY_BYTES, cache: None }).map_err(PluginError::Engine)?;
    let linked = engine.compile(wasm).and_then(|code| code.link(&report.wanted));
    linked.map(drop).map_err(|cause| PluginError::Link { path: path.to_owned(), cause })
}
