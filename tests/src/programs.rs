//! Where the built programs and components are.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the project.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in a folder of the project")
}

/// The folder of the programs of this build: `<target>/debug`, for a test in `<target>/debug/deps`.
#[must_use]
pub fn folder() -> PathBuf {
    let this = env::current_exe().expect("a test knows its program");
    let folder = this.parent().expect("a program is in a folder");
    if folder.ends_with("deps") { folder.parent().expect("`deps` is in a folder").to_owned() } else { folder.to_owned() }
}

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    folder().parent().expect("the programs are in a folder of the target folder").to_owned()
}

/// A program of this build, such as `ochod`.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    built(folder().join(name))
}

/// The component of a standard tool, such as `ls`.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    built(target().join("tools").join(format!("{name}.wasm")))
}

/// The component of a guest under `tests/guests`, such as `spin`.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    built(target().join("guests").join(format!("{name}.wasm")))
}

/// The component of an example job under `examples/jobs/rust`, such as `deploy`.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn job(name: &str) -> PathBuf {
    built(target().join("jobs").join(format!("{name}.wasm")))
}

/// The component of an example job under `examples/jobs/python`, such as `deploy`, if it could be built.
#[must_use]
pub fn python_job(name: &str) -> Option<PathBuf> {
    let file = target().join("jobs-python").join(format!("{name}.wasm"));
    // Written when the component is complete.
    file.with_extension("sources").is_file().then_some(file)
}

/// The Python with the clients of `tests/python/requirements.txt`, if it could be installed.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let venv = target().join("venv");
    // Written when everything is installed.
    venv.join("requirements.txt").is_file().then(|| venv.join("bin/python"))
}

/// The file that the PATH gives for a command.
#[must_use]
pub fn on_path(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
}

/// Writes a program that may be started at once.
///
/// Another process writes it. Were it this one, then a child that another test starts at this moment would hold the file open for
/// writing until it becomes its own program, and the system starts no file that somebody writes ("Text file busy").
///
/// # Panics
/// Where it cannot be written.
pub fn write_program(file: &Path, content: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(file).stdin(Stdio::piped());
    let mut shell = shell.spawn().expect("there is a shell");
    shell.stdin.take().expect("it is piped").write_all(content.as_bytes()).expect("the shell reads");
    let ended = shell.wait().expect("a child can be waited for");
    assert!(ended.success(), "`{}` cannot be written: {ended}", file.display());
}

fn built(file: PathBuf) -> PathBuf {
    assert!(file.is_file(), "`{}` is not there: `cargo xtask test` builds everything that the tests need", file.display());
    file
}
