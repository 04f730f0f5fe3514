//! The folder of a plugin that is being written: what it is, and its component.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::PluginError;

/// A folder that `ocho plugin new` wrote, or one like it.
#[derive(Debug)]
pub(crate) struct Project {
    folder: PathBuf,
}

impl Project {
    /// The project in a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, PluginError> {
        if folder.join("Cargo.toml").is_file() {
            return Ok(Self { folder: folder.to_owned() });
        }
        Err(PluginError::NoProject { folder: folder.to_owned(), why: "it has neither Cargo.toml nor pyproject.toml".to_owned() })
    }

    /// The folder, as it was given.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the component is once it is built: the one file of `dist/`.
    pub(crate) fn component(&self) -> Result<PathBuf, PluginError> {
        let dist = self.folder.join("dist");
        let read = |cause| PluginError::Read { path: dist.clone(), cause };
        for entry in std::fs::read_dir(&dist).map_err(read)? {
            let file = entry.map_err(read)?.path();
            if file.extension().is_some_and(|end| end == "wasm") {
                return Ok(file);
            }
        }
        Err(PluginError::NoProject { folder: self.folder.clone(), why: "nothing is built".to_owned() })
    }

    /// Builds the component and says where it is.
    pub(crate) fn build(&self) -> Result<PathBuf, PluginError> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--target", "wasm32-wasip2"]).current_dir(&self.folder).stdin(Stdio::null());
        let no_cargo = |_| PluginError::NoProgram { program: "cargo".to_owned(), hint: "Rust is installed with rustup" };
        let status = cargo.status().map_err(no_cargo)?;
        if !status.success() {
            return Err(PluginError::Build { command: "cargo build".to_owned(), status: status.to_string() });
        }
        self.component()
    }
}
