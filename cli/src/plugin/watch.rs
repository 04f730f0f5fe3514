//! The sources of a project, as they are at one moment.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// More files are no plugin; the ones beyond are not looked at.
const FILES_LIMIT: usize = 10_000;
/// What builds and tests write.
const WRITTEN: [&str; 4] = ["dist", "target", "__pycache__", "Cargo.lock"];

/// Which files there are, when they changed and how long they are. Compared by looking again: editors replace files, and network
/// folders tell nobody. A file that was moved here changed when it came, whatever its date says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sources(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Sources {
    /// Looks at a project's folder. What begins with a dot, and what builds write, is no source.
    pub(super) fn of(folder: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with('.') || WRITTEN.contains(&&*name) || found.len() >= FILES_LIMIT {
                    continue;
                }
                // Files may go while one looks.
                let Ok(about) = entry.metadata() else { continue };
                if about.is_dir() {
                    waiting.push(entry.path());
                } else {
                    found.insert(entry.path(), (changed(&about), about.len()));
                }
            }
        }
        Self(found)
    }

    /// When the last of them came or changed.
    pub(super) fn newest(&self) -> SystemTime {
        self.0.values().map(|(changed, _)| *changed).max().unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// The later one of a file's date and of the moment at which the system last touched its entry.
fn changed(about: &Metadata) -> SystemTime {
    let touched = u64::try_from(about.ctime()).ok().zip(u32::try_from(about.ctime_nsec()).ok());
    let touched = touched.map(|(seconds, nanos)| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos));
    about.modified().ok().max(touched).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_file_that_is_moved_here_is_new() {
        let room = tempfile::tempdir().unwrap();
        let (away, here) = (room.path().join("app.bak"), room.path().join("src"));
        fs::create_dir(&here).unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::create(&away).unwrap().set_modified(old).unwrap();
        fs::rename(&away, here.join("app.py")).unwrap();
        assert!(Sources::of(&here).newest() > old + Duration::from_secs(1));
    }

    #[test]
    fn changes_are_seen_and_what_builds_write_is_not() {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir_all(room.path().join("src")).unwrap();
        fs::write(room.path().join("src/lib.rs"), "a").unwrap();
        let before = Sources::of(room.path());
        for written in ["dist/x.wasm", "target/y", ".git/z", "src/__pycache__/c"] {
            let file = room.path().join(written);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "b").unwrap();
        }
        assert_eq!(Sources::of(room.path()), before);
        fs::write(room.path().join("src/lib.rs"), "ab").unwrap();
        let changed = Sources::of(room.path());
        assert_ne!(changed, before);
        assert!(changed.newest() >= before.newest());
        fs::write(room.path().join("src/new.rs"), "").unwrap();
        assert_ne!(Sources::of(room.path()), changed);
        assert_eq!(Sources::of(&room.path().join("nowhere")), Sources::default());
    }
}
