//! Scenes: a built component plays against a pretend cluster in the real engine, and what it leaves is compared with what was
//! expected.
//!
//! `format` and `values` are the file, `load` reads it; `cluster` is the pretend cluster, with `clock` and `idle` for its time;
//! `stage` plays one scene, `check` compares, `verdict` shows what came of it.

mod check;
mod clock;
mod cluster;
mod diff;
mod error;
mod format;
mod idle;
mod load;
mod stage;
mod values;
mod verdict;

pub(super) use check::got_line as order_line;
pub(super) use error::SceneError;
pub(super) use load::{Scene, load, load_all};
pub(super) use stage::Theatre;
pub(super) use verdict::{Verdict, Verdicts};

/// The scene of who plays by hand without one: an empty cluster.
pub(super) fn empty() -> Scene {
    Scene { name: "empty".to_owned(), folder: std::path::PathBuf::new(), file: format::SceneFile::default() }
}

impl Scene {
    /// The same scene with other words for the tool.
    pub(super) fn with_args(mut self, args: Vec<String>) -> Self {
        (self.file.run.args, self.file.run.line) = (args, None);
        self
    }

    /// What an author says about it.
    pub(super) fn about(&self) -> Option<&str> {
        self.file.about.as_deref()
    }
}
