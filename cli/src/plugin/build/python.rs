//! Plugins in Python: `componentize-py` over `src/app.py` and the world in `wit/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::finish;
use crate::plugin::PluginError;
use crate::plugin::project::Project;
use crate::screen::Screen;

/// The version that the contract and the SDK were tried with.
const COMPONENTIZE: &str = "componentize-py==0.25.1";
const BY_HAND: &str = "`pip install componentize-py==0.25.1` in an environment of yours, and have it on the PATH";
const NO_PYTHON: &str = "plugins in Python need Python, 3.10 or newer";

/// Builds the project's module and gives its component.
pub(super) fn build(project: &Project, screen: Screen) -> Result<Vec<u8>, PluginError> {
    let program = match find() {
        Some(program) => program,
        None => install(screen)?,
    };
    let room = tempfile::tempdir_in(project.dist()).map_err(|cause| PluginError::Write { path: project.dist(), cause })?;
    let file = room.path().join("app.wasm");
    let mut componentize = Command::new(program);
    componentize.args(["--quiet", "--wit-path", "wit", "--world", "plugin", "componentize"]);
    componentize.args(["--python-path", "src", "--python-path", ".ocho/python", "app", "--output"]);
    let out = std::path::absolute(&file).map_err(|cause| PluginError::Write { path: file.clone(), cause })?;
    componentize.arg(out).current_dir(project.folder());
    // Its other packages are none of the plugin's.
    componentize.env_remove("VIRTUAL_ENV").env("PYTHONDONTWRITEBYTECODE", "1");
    // What is wrong is wrong in the plugin: Python's own words say it, and its insides would only hide them.
    componentize.env("RUST_BACKTRACE", "0");
    let note = screen.after_a_while("building with componentize-py");
    finish(&mut componentize, BY_HAND)?;
    drop(note);
    fs::read(&file).map_err(|cause| PluginError::Read { path: file, cause })
}

/// On the PATH, in the environment that is active, or in ours.
fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let active = env::var_os("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("bin"));
    let folders = env::split_paths(&path).chain(active).chain(ours().map(|folder| folder.join("bin")));
    folders.map(|folder| folder.join("componentize-py")).find(|file| file.is_file())
}

/// The environment that all projects of this user share.
fn ours() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")))?;
    Some(cache.join("ocho").join(COMPONENTIZE.replace("==", "-")))
}

/// Makes an environment with componentize-py in it, once.
fn install(screen: Screen) -> Result<PathBuf, PluginError> {
    let venv = ours().ok_or(PluginError::NoHome { hint: BY_HAND })?;
    screen.note(&format!("installing {COMPONENTIZE} into {}", venv.display()));
    let made = make(&venv);
    if made.is_err() {
        // Half an environment would be taken for a whole one.
        let _ = fs::remove_dir_all(&venv);
    }
    made.map(|()| venv.join("bin/componentize-py"))
}

fn make(venv: &Path) -> Result<(), PluginError> {
    finish(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv).stderr(Stdio::inherit()), NO_PYTHON)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", COMPONENTIZE]);
    finish(&mut pip, BY_HAND).map_err(|error| match error {
        PluginError::Build { status, .. } => PluginError::NoComponentize { status, hint: BY_HAND },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_sdk() {
        assert_eq!(include_str!("../../../../sdk/python/requirements.txt").trim(), COMPONENTIZE);
        assert!(BY_HAND.contains(COMPONENTIZE));
    }
}
