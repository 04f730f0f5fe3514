//! Files that were removed while they are open: they take room on the disk, and no folder shows them.
//!
//! Only the guests' open files matter, and these are files of this process, so its own list tells. It is read once for all runs
//! that ask at the same time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old a list may be.
const FRESH: Duration = Duration::from_millis(200);

/// What the kernel writes behind the path of a file that was removed.
const REMOVED: &str = " (deleted)";

/// Paths that files had before they were removed, with their bytes.
type Files = Vec<(PathBuf, u64)>;

static LAST: Mutex<Option<(Instant, Files)>> = Mutex::new(None);

/// The bytes of open files that were removed from a folder.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let Ok(folder) = folder.canonicalize() else { return 0 };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.as_ref().is_none_or(|(read, _)| read.elapsed() > FRESH) {
        *last = Some((Instant::now(), read()));
    }
    let files = last.iter().flat_map(|(_, files)| files);
    files.filter(|(path, _)| path.starts_with(&folder)).map(|(_, bytes)| bytes).sum()
}

fn read() -> Files {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let mut files = BTreeMap::new();
    for descriptor in open.flatten().map(|entry| entry.path()) {
        let Ok(target) = fs::read_link(&descriptor) else { continue };
        let Some(path) = target.to_str().and_then(|path| path.strip_suffix(REMOVED)) else { continue };
        // Through the descriptor, as there is no path any more. A file that is open twice counts once.
        if let Ok(data) = fs::metadata(&descriptor) {
            files.insert((data.dev(), data.ino()), (PathBuf::from(path), data.len()));
        }
    }
    files.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_what_was_removed_counts() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let mut file = fs::File::create(folder.path().join(name)).unwrap();
            file.write_all(&[0; 1000]).unwrap();
            file
        };
        let (kept, removed) = (open("kept"), open("removed"));
        let twice = removed.try_clone().unwrap();
        fs::remove_file(folder.path().join("removed")).unwrap();
        let bytes = || {
            read()
                .into_iter()
                .filter(|(path, _)| path.starts_with(folder.path().canonicalize().unwrap()))
                .map(|(_, bytes)| bytes)
                .sum::<u64>()
        };
        assert_eq!(bytes(), 1000);
        drop((kept, removed, twice));
        assert_eq!(bytes(), 0);
    }
}
