//! Where bundles are unpacked: a place of this process, emptied of what a process before it left when it was killed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use ocho_runtime::WorkFolder;
use tempfile::TempDir;

const PREFIX: &str = "ocho-jobs-";
const LOCK: &str = "lock";

/// The place of this process. Dropping it removes it.
#[derive(Debug)]
pub(super) struct JobFolders {
    place: TempDir,
    /// Held for as long as this process lives, however it ends.
    _lock: File,
}

impl JobFolders {
    /// Makes a place below `parent`, or where the system keeps temporary files, and removes places that nobody holds.
    pub(super) fn open(parent: Option<&Path>) -> io::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        remove_abandoned(&parent);
        let place = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::create_new(place.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { place, _lock: lock })
    }

    /// A folder for one bundle.
    pub(super) fn folder(&self) -> io::Result<WorkFolder> {
        WorkFolder::new(Some(self.place.path()))
    }

    /// A file without a name: gone when it is closed, however the process ends.
    pub(super) fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(self.place.path())
    }

    /// A file to be moved into a bundle's folder.
    pub(super) fn beside(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new_in(self.place.path())
    }
}

/// Removes what was left by processes that were killed: their locks went with them.
fn remove_abandoned(parent: &Path) {
    let Ok(listing) = fs::read_dir(parent) else { return };
    for place in listing.flatten().map(|entry| entry.path()).filter(|path| is_place(path)) {
        if is_abandoned(&place)
            && let Err(error) = fs::remove_dir_all(&place)
        {
            tracing::warn!(%error, folder = %place.display(), "what a killed host left cannot be removed");
        }
    }
}

fn is_place(path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    named && fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}

/// A place without a lock file is being made just now, or is none of ours.
fn is_abandoned(place: &Path) -> bool {
    let lock = place.join(LOCK);
    let is_file = fs::symlink_metadata(&lock).is_ok_and(|data| data.is_file());
    is_file && File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(parent: &TempDir) -> usize {
        fs::read_dir(parent.path()).unwrap().count()
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let alive = JobFolders::open(Some(parent.path())).unwrap();
        let folder = alive.folder().unwrap();
        let abandoned = parent.path().join("ocho-jobs-killed");
        fs::create_dir_all(abandoned.join("ocho-run-x/sub")).unwrap();
        fs::write(abandoned.join(LOCK), "").unwrap();
        fs::create_dir(parent.path().join("ocho-jobs-being-made")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        std::os::unix::fs::symlink("/", parent.path().join("ocho-jobs-link")).unwrap();
        let second = JobFolders::open(Some(parent.path())).unwrap();
        assert!(!abandoned.exists() && folder.path().exists());
        assert_eq!(places(&parent), 5);
        drop(folder);
        drop(second);
        drop(alive);
        assert_eq!(places(&parent), 3);
    }
}
