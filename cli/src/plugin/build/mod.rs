//! `ocho plugin build`: makes the component of a project, and writes into it what its description says.

mod metadata;
mod python;
mod rust;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use clap::Args;

use super::PluginError;
use super::project::{Language, Project};
use super::watch::Sources;
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;

/// A file system's clock goes in ticks, up to 10 ms of them: what is saved just after a moment may carry a date just before it.
const TICK: Duration = Duration::from_millis(20);

const EXAMPLES: &str = "\
Examples:
  ocho plugin build            the plugin in this folder, into dist/
  ocho plugin build ./hello    the one in that folder

Environment:
  CARGO_TARGET_DIR  of plugins in Rust: where cargo keeps what it compiled
  OCHO_BUILD_STD    of plugins in Rust: 1 compiles the standard library too, for toolchains without the target
  VIRTUAL_ENV       of plugins in Python: where componentize-py is, if not on the PATH. Without both, one
                    is made below ~/.cache/ocho";

/// Build the plugin in a folder: its component goes to dist/
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct BuildArguments {
    /// The folder of the plugin
    #[arg(default_value = ".")]
    folder: PathBuf,
}

/// Builds, and prints the path of the component.
pub(crate) fn run(arguments: &BuildArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let component = Project::open(&arguments.folder)?.build(screen)?;
    screen.result(&component.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Builds a project's component. What the compilers say goes to standard error.
pub(super) fn component(project: &Project, screen: Screen) -> Result<PathBuf, PluginError> {
    let component = project.component();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| PluginError::Write { path, cause }
    };
    fs::create_dir_all(project.dist()).map_err(failed(&project.dist()))?;
    let began = SystemTime::now();
    let wasm = match project.language() {
        Language::Rust => rust::build(project, screen)?,
        // Cargo knows what is current, componentize-py starts anew each time.
        Language::Python if is_current(project) => return Ok(component),
        Language::Python => python::build(project, screen)?,
    };
    let wasm = metadata::add(wasm, project.metadata());
    // Beside and renamed: whoever watches the folder never sees half a component.
    let part = component.with_extension("part");
    write(&part, &wasm, began).and_then(|()| fs::rename(&part, &component)).map_err(failed(&component))?;
    Ok(component)
}

/// Writes a component a little older than its build's beginning: what changed while it was built is younger, and is built anew.
fn write(file: &Path, wasm: &[u8], began: SystemTime) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(wasm)?;
    file.set_modified(began - TICK)
}

/// Whether the component is younger than all that it is made from.
fn is_current(project: &Project) -> bool {
    let built = fs::metadata(project.component()).and_then(|about| about.modified());
    built.is_ok_and(|built| built > Sources::of(project.folder()).newest())
}

/// Runs a program to its end; what it prints is for people.
fn finish(command: &mut Command, hint: &'static str) -> Result<(), PluginError> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(|cause| unstartable(&program, hint, cause))?;
    if status.success() { Ok(()) } else { Err(PluginError::Build { command: program, status: status.to_string() }) }
}

/// Why a program does not start.
fn unstartable(program: &str, hint: &'static str, cause: std::io::Error) -> PluginError {
    PluginError::NoProgram { program: program.to_owned(), hint, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_as_the_build_begins_is_built_anew() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("pyproject.toml"), "[project]\nname = \"a\"\n").unwrap();
        fs::create_dir(room.path().join("dist")).unwrap();
        let project = Project::open(room.path()).unwrap();
        assert!(!is_current(&project), "there is none");
        let saved = Sources::of(room.path()).newest();
        for (began, expected) in [(saved, false), (saved + TICK / 2, false), (saved + 2 * TICK, true)] {
            write(&project.component(), b"component", began).unwrap();
            assert_eq!(is_current(&project), expected);
        }
    }
}
