//! The built `ocho`, in a home of its own.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A user: a home, a current folder, an environment.
pub(crate) struct User {
    home: TempDir,
    environment: Vec<(String, String)>,
}

/// What a call left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The current folder, and the home.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file in the current folder.
    pub(crate) fn has(self, path: &str, content: &str) -> Self {
        let full = self.home().join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, content).unwrap();
        self
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocho"));
        self.dress(&mut command);
        command
    }

    fn dress(&self, command: &mut Command) {
        command.env_clear().current_dir(self.home()).env("HOME", self.home());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Name, value pairs that a call sees.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let home = ("HOME".to_owned(), self.home().to_str().unwrap().to_owned());
        [home].into_iter().chain(self.environment.iter().cloned()).collect()
    }

    pub(crate) fn ocho<S: AsRef<str>>(&self, words: &[S]) -> Ran {
        self.ocho_reading(words, "")
    }

    /// Runs with a text on standard input.
    pub(crate) fn ocho_reading<S: AsRef<str>>(&self, words: &[S], input: &str) -> Ran {
        let mut child = self
            .command()
            .args(words.iter().map(AsRef::as_ref))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
