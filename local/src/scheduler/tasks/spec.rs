//! The folder of a task, and the files in which the scheduler and the shim tell each other what they need.
//!
//! ```text
//! <data>/tasks/<task id>/
//!   spec.json    what to run: written once, by the scheduler
//!   state.json   what became of it: written by the shim, in place, so that a full disk cannot lose an exit code
//!   lock         held by the shim as long as it lives
//!   shim.log     what the shim itself has to say
//!   sandbox/     the task's own folder, with `stdout` and `stderr`
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fetch::FetchLimits;
use crate::scheduler::model::app::Fetch;
use crate::scheduler::model::time::Timestamp;

/// The state file has this size from the start.
const STATE_BYTES: usize = 4096;

/// The longest message that fits the state file whatever it consists of.
const MESSAGE_CHARS: usize = 500;

/// What to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskSpec {
    pub(crate) task: String,
    /// The program and its arguments. With a container: what replaces the image's command, if not empty.
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) user: Option<String>,
    /// How long the task may take to end after SIGTERM.
    pub(crate) grace_ms: u64,
    /// The size at which a file of captured output is put aside. Two are kept for each stream.
    pub(crate) output_bytes: u64,
    /// Files to bring before the start, and what that may cost.
    #[serde(default)]
    pub(crate) fetch: Vec<Fetch>,
    #[serde(default)]
    pub(crate) fetch_limits: FetchLimits,
    /// A control group to run in.
    pub(crate) cgroup: Option<PathBuf>,
    /// Run as a container of this engine instead of a process.
    pub(crate) container: Option<ContainerSpec>,
}

/// A container to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerSpec {
    /// The engine's socket.
    pub(crate) socket: PathBuf,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) always_pull: bool,
    /// The body of the request that creates it.
    pub(crate) create: serde_json::Value,
}

/// What became of a task, as far as its shim got.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShimState {
    pub(crate) shim: i32,
    /// The leader of the task's process group; none with a container.
    pub(crate) pid: Option<i32>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended: Option<Ended>,
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) at: Timestamp,
    pub(crate) how: How,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum How {
    Exited(i32),
    Signaled(i32),
    OutOfMemory,
    /// It could not be started, or its engine failed.
    Failed(String),
}

/// The folder of one task.
#[derive(Clone, Debug)]
pub(crate) struct TaskDir(PathBuf);

impl TaskDir {
    /// The folder of a task below the folder of all tasks.
    pub(crate) fn new(tasks: &Path, id: &str) -> Self {
        Self(tasks.join(id))
    }

    /// A folder that is known by its path.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn sandbox(&self) -> PathBuf {
        self.0.join("sandbox")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("shim.log")
    }

    fn lock_path(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Makes the folder. Nobody else may look in: the environment of a task is in it.
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        fs::DirBuilder::new().recursive(true).mode(0o755).create(self.sandbox())
    }

    /// Lets another user reach the sandbox, and owns it to them, with what was brought into it.
    pub(crate) fn open_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        fs::set_permissions(&self.0, std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        let mut open = vec![self.sandbox()];
        while let Some(path) = open.pop() {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
            if path.symlink_metadata()?.is_dir() {
                for entry in fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            }
        }
        Ok(())
    }

    /// Writes what to run, and makes room for what becomes of it.
    pub(crate) fn write_spec(&self, spec: &TaskSpec) -> io::Result<()> {
        let text = serde_json::to_vec(spec)?;
        let file = private(&self.0.join("spec.json"))?;
        file.write_all_at(&text, 0)?;
        self.write_state(&ShimState::default())
    }

    pub(crate) fn read_spec(&self) -> io::Result<TaskSpec> {
        Ok(serde_json::from_slice(&fs::read(self.0.join("spec.json"))?)?)
    }

    /// Writes the state in place: always the same bytes of the disk.
    pub(crate) fn write_state(&self, state: &ShimState) -> io::Result<()> {
        let mut text = serde_json::to_vec(state)?;
        text.resize(text.len().max(STATE_BYTES), b' ');
        private(&self.0.join("state.json"))?.write_all_at(&text, 0)
    }

    /// Reads the state; the shim may be about to write it.
    pub(crate) fn read_state(&self) -> io::Result<ShimState> {
        let text = fs::read(self.0.join("state.json"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Whether a shim recorded the end of the task.
    pub(crate) fn has_ended(&self) -> bool {
        self.read_state().is_ok_and(|state| state.ended.is_some())
    }

    /// Records the end of a task that no shim has, unless one recorded it already: a shim that comes late leaves again. Only for
    /// who has the lock.
    pub(crate) fn close(&self, message: &str) {
        let Ok(state @ ShimState { ended: None, .. }) = self.read_state() else { return };
        let ended = Some(Ended { at: Timestamp::now(), how: How::failed(message) });
        if let Err(error) = self.write_state(&ShimState { ended, ..state }) {
            tracing::warn!(%error, folder = %self.0.display(), "cannot record the end of a task");
        }
    }

    /// Takes the lock, for the life of the returned file. `None` when somebody holds it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<File>> {
        let file = private(&self.lock_path())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a shim lives. Without a folder there is none.
    pub(crate) fn is_held(&self) -> bool {
        self.0.is_dir() && matches!(self.try_lock(), Ok(None))
    }
}

/// Opens a file that only its owner may read; it is never cut, so that blocks once written stay.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

impl How {
    /// A failure, cut to what the state file can hold.
    pub(crate) fn failed(message: &str) -> Self {
        Self::Failed(message.chars().take(MESSAGE_CHARS).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_replace_each_other() {
        let home = tempfile::tempdir().expect("a folder");
        let dir = TaskDir::new(home.path(), "t");
        dir.create().expect("made");
        let long = ShimState {
            shim: 7,
            pid: Some(8),
            started_at: Some(Timestamp(1)),
            ended: Some(Ended { at: Timestamp(2), how: How::failed(&"\u{1}".repeat(9000)) }),
        };
        dir.write_state(&long).expect("written");
        assert_eq!(dir.read_state().expect("read"), long);
        let short = ShimState::default();
        dir.write_state(&short).expect("written");
        assert_eq!(dir.read_state().expect("read"), short);
        assert_eq!(fs::metadata(dir.path().join("state.json")).expect("there").len(), 4096);
    }

    #[test]
    fn what_was_brought_is_handed_over_without_following_links() {
        let home = tempfile::tempdir().expect("a folder");
        let dir = TaskDir::new(home.path(), "t");
        dir.create().expect("made");
        fs::create_dir(dir.sandbox().join("d")).expect("made");
        fs::write(dir.sandbox().join("d/f"), "").expect("written");
        // Following it would fail.
        std::os::unix::fs::symlink("/nonexistent", dir.sandbox().join("d/link")).expect("made");
        dir.open_to(nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()).expect("handed over");
    }

    #[test]
    fn a_lock_is_seen_by_others() {
        let home = tempfile::tempdir().expect("a folder");
        let dir = TaskDir::new(home.path(), "t");
        assert!(!dir.is_held());
        dir.create().expect("made");
        let lock = dir.try_lock().expect("readable").expect("free");
        assert!(dir.is_held());
        drop(lock);
        assert!(!dir.is_held());
    }
}
