//! The sources of a project, as they are at one moment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// More files are no plugin; the ones beyond are not looked at.
const FILES_LIMIT: usize = 10_000;
/// What builds and tests write.
const WRITTEN: [&str; 4] = ["dist", "target", "__pycache__", "Cargo.lock"];

/// Which files there are, when they changed and how long they are. Compared by looking again: editors replace files, and network
/// folders tell nobody.
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
                    found.insert(entry.path(), (about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len()));
                }
            }
        }
        Self(found)
    }

    /// When the last of them changed.
    pub(super) fn newest(&self) -> SystemTime {
        self.0.values().map(|(changed, _)| *changed).max().unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
