//! The author of a plugin: a folder outside of this project, a shell, a toolchain, and the guide.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::command::{self, Ended};
use crate::programs::{folder, on_path, root, target};
use crate::{TestHost, ocho, skip};

/// A first build compiles the SDK and all that it stands on, on a machine that may have other work.
pub const BUILT_WITHIN: Duration = Duration::from_secs(900);

/// Somebody who writes plugins.
#[derive(Debug)]
pub struct Author {
    room: TempDir,
    host: Option<String>,
    target: PathBuf,
}

impl Author {
    /// An author without a host.
    ///
    /// # Panics
    /// Where there is no folder for them outside of the project.
    #[must_use]
    pub fn new() -> Self {
        let room = TempDir::with_prefix("author-").expect("a temporary folder can be made");
        assert!(!room.path().starts_with(root()), "the folder is to be outside of the project");
        // Tests share what was compiled: each would compile the whole SDK again.
        Self { room, host: None, target: target().join("scaffolds") }
    }

    /// An author whose `$OCHOPOD_PROXY` names a host.
    #[must_use]
    pub fn of(host: &TestHost) -> Self {
        Self { host: Some(host.address("portal")), ..Self::new() }
    }

    /// With a folder for what is compiled that nobody else uses.
    #[must_use]
    pub fn compiling_into(self, target: &Path) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    /// The folder that they work in.
    #[must_use]
    pub fn room(&self) -> &Path {
        self.room.path()
    }

    /// A program as this author starts it, in a folder of theirs.
    ///
    /// # Panics
    /// Where the target folder does not fit into a PATH.
    #[must_use]
    pub fn dress(&self, mut command: Command, folder: &str) -> Command {
        let path = env::join_paths(programs()).expect("the target folder fits into a PATH");
        command.current_dir(self.room.path().join(folder)).env("PATH", path).env("LANG", "C.UTF-8");
        for (name, place) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let there = env::var_os(name).map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(place)));
            command.envs(there.map(|folder| (name, folder)));
        }
        // Of this build and its runner, nothing is to be seen.
        for name in
            ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "RUSTFLAGS", "CARGO", "OCHOPOD_TOKEN", "OCHOPOD_PROXY", "VIRTUAL_ENV"]
        {
            command.env_remove(name);
        }
        // What the SDK needs was fetched for the project: a plugin needs no network for more.
        command.env("CARGO_NET_OFFLINE", "true");
        command.env("CARGO_TARGET_DIR", &self.target).env("HOME", self.room.path());
        command.envs(self.host.as_ref().map(|host| ("OCHOPOD_PROXY", host)));
        command
    }

    /// Runs `ocho` in a folder of the author's.
    ///
    /// # Panics
    /// Where it does not end.
    #[must_use]
    #[track_caller]
    pub fn ocho(&self, folder: &str, words: &[&str]) -> Ended {
        let mut ocho = self.dress(ocho::bare(self.room.path()), folder);
        command::run(ocho.args(words), BUILT_WITHIN)
    }

    /// Runs lines of a page as they stand there.
    ///
    /// # Panics
    /// Where they do not end.
    #[must_use]
    #[track_caller]
    pub fn follow(&self, lines: &str) -> Ended {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", lines]);
        command::run(&mut self.dress(shell, ""), BUILT_WITHIN)
    }
}

/// Ours first, then the Python programs that `cargo xtask test` installs, then what the machine has.
fn programs() -> Vec<PathBuf> {
    let python = componentize().and_then(|file| file.parent().map(Path::to_owned));
    let path = env::var_os("PATH").unwrap_or_default();
    [folder()].into_iter().chain(python).chain(env::split_paths(&path)).collect()
}

/// The lines of the block of `docs/plugins.md` that begins with this fence: `sh rust`, `sh python`.
///
/// # Panics
/// Where the page has no such block, or several.
#[must_use]
pub fn guide(fence: &str) -> String {
    let page = fs::read_to_string(root().join("docs/plugins.md")).expect("the guide is there");
    let mut blocks = page.split("\n```").filter_map(|block| block.strip_prefix(fence)?.strip_prefix('\n').map(str::to_owned));
    let found = blocks.next().unwrap_or_else(|| panic!("docs/plugins.md has no block `{fence}`"));
    assert_eq!(blocks.next(), None, "docs/plugins.md has one block `{fence}`");
    found
}

/// The program that makes components of Python, if it could be installed.
#[must_use]
pub fn componentize() -> Option<PathBuf> {
    let ours = target().join("job-venv/bin/componentize-py");
    Some(ours).filter(|file| file.is_file()).or_else(|| on_path("componentize-py"))
}

/// Whether plugins in Python can be built here; tells where not.
#[must_use]
pub fn has_python(test: &str) -> bool {
    let has = componentize().is_some();
    if !has {
        skip(test, "componentize-py is not installed");
    }
    has
}

impl Default for Author {
    fn default() -> Self {
        Self::new()
    }
}
