//! The scenes of a plugin in a native test: the built component in the real engine, against the pretend cluster of
//! `scenes/*.toml`.
//!
//! It is the program `ocho` that plays them, so that a plugin's tests compile no engine:
//!
//! ```no_run
//! // in a plugin: #[test]
//! fn scenes() {
//!     ocho_sdk::scenes::check(env!("CARGO_MANIFEST_DIR"));
//! }
//! # scenes();
//! ```
//!
//! `$OCHO` says where the program is; without it, it is looked for in the PATH.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::report::chain;

/// What came of a plugin's scenes, in the order of their names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Played {
    /// How many went as expected.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// Each of them.
    pub scenes: Vec<Scene>,
}

/// What came of one scene.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Scene {
    /// Its name: the stem of its file.
    pub scene: String,
    /// Whether it went as expected.
    pub passed: bool,
    /// What was not as expected.
    #[serde(default)]
    pub differences: Vec<String>,
    /// The tool's standard output.
    #[serde(default)]
    pub out: String,
    /// Its standard error.
    #[serde(default)]
    pub err: String,
    /// Its exit code; none where it could not be played.
    pub exit_code: Option<u8>,
    /// What the cluster was ordered, with what came along.
    #[serde(default)]
    pub orders: Vec<String>,
}

/// Why no scene was played.
#[derive(Debug, thiserror::Error)]
pub enum ScenesError {
    /// There is no such program.
    #[error("`{}` cannot be run: set $OCHO to the program `ocho`, or put it into the PATH", .program.display())]
    NoOcho {
        /// What was tried.
        program: PathBuf,
        /// Why it could not be run.
        #[source]
        cause: std::io::Error,
    },
    /// The plugin does not build, a scene does not read, ...
    #[error("no scene was played\n{0}")]
    NotPlayed(String),
}

/// Builds the plugin in a folder and plays its scenes.
///
/// # Errors
/// Where none could be played. Scenes that fail are no error.
pub fn play(folder: impl AsRef<Path>) -> Result<Played, ScenesError> {
    play_with(folder.as_ref(), &[])
}

/// Plays the scenes in a folder with a component that is built already.
///
/// # Errors
/// As [`play`].
pub fn play_component(folder: impl AsRef<Path>, component: impl AsRef<Path>) -> Result<Played, ScenesError> {
    play_with(folder.as_ref(), &["--component".into(), component.as_ref().into()])
}

/// Builds the plugin in a folder and plays its scenes, for a test.
///
/// # Panics
/// Where one does not go as expected, with what differs; and where none could be played.
#[track_caller]
pub fn check(folder: impl AsRef<Path>) {
    match play(folder) {
        Ok(played) => assert!(played.failed == 0, "{played}"),
        Err(error) => panic!("{}", chain(&error)),
    }
}

fn play_with(folder: &Path, more: &[OsString]) -> Result<Played, ScenesError> {
    let program = PathBuf::from(std::env::var_os("OCHO").unwrap_or_else(|| "ocho".into()));
    let mut ocho = Command::new(&program);
    ocho.args(["plugin", "test", "--json"]).args(more).arg("--").arg(folder).stdin(Stdio::null());
    let ended = ocho.output().map_err(|cause| ScenesError::NoOcho { program, cause })?;
    serde_json::from_slice(&ended.stdout).map_err(|_| {
        let said = [ended.stderr, ended.stdout].concat();
        ScenesError::NotPlayed(String::from_utf8_lossy(&said).trim_end().to_owned())
    })
}

impl fmt::Display for Played {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} scenes went as expected, {} did not", self.passed, self.failed)?;
        for scene in self.scenes.iter().filter(|scene| !scene.passed) {
            write!(out, "\n{}: {}", scene.scene, scene.differences.join("\n"))?;
        }
        Ok(())
    }
}
