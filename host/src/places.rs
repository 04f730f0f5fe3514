//! A place on disk that is this process's alone, emptied of what a process before it left when it was killed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

const LOCK: &str = "lock";
const UNNAMED: &str = "lock.new";

/// The place of this process. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
    /// Held for as long as this process lives, however it ends.
    _lock: File,
}

impl Place {
    /// Makes a place below `parent`, or where the system keeps temporary files, and removes places of this prefix that
    /// nobody holds.
    pub(crate) fn open(prefix: &str, parent: Option<&Path>) -> io::Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        remove_abandoned(prefix, &parent);
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        // It gets its name once it is held: a host that starts at this moment must not take the place for an abandoned one.
        let unnamed = folder.path().join(UNNAMED);
        let lock = File::create_new(&unnamed)?;
        lock.lock()?;
        fs::rename(unnamed, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what was left by processes that were killed: their locks went with them.
fn remove_abandoned(prefix: &str, parent: &Path) {
    let Ok(listing) = fs::read_dir(parent) else { return };
    for place in listing.flatten().map(|entry| entry.path()).filter(|path| is_place(prefix, path)) {
        if is_abandoned(&place)
            && let Err(error) = fs::remove_dir_all(&place)
        {
            tracing::warn!(%error, folder = %place.display(), "what a killed host left cannot be removed");
        }
    }
}

fn is_place(prefix: &str, path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix));
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
        let open = || Place::open("ocho-x-", Some(parent.path())).unwrap();
        let alive = open();
        fs::create_dir(alive.path().join("in-use")).unwrap();
        let abandoned = parent.path().join("ocho-x-killed");
        fs::create_dir_all(abandoned.join("ocho-run-x/sub")).unwrap();
        fs::write(abandoned.join(LOCK), "").unwrap();
        fs::create_dir(parent.path().join("ocho-x-being-made")).unwrap();
        fs::create_dir(parent.path().join("other")).unwrap();
        std::os::unix::fs::symlink("/", parent.path().join("ocho-x-link")).unwrap();
        let second = open();
        assert!(!abandoned.exists() && alive.path().join("in-use").exists());
        assert_eq!(places(&parent), 5);
        drop(second);
        drop(alive);
        assert_eq!(places(&parent), 3);
    }

    #[test]
    fn places_that_are_made_at_the_same_time_stay() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let place = Place::open("ocho-x-", Some(parent.path())).unwrap();
                        assert!(place.path().join(LOCK).exists());
                    }
                });
            }
        });
        assert_eq!(places(&parent), 0);
    }
}
