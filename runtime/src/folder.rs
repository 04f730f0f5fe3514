//! The working folder of a run: private, gone with the run.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use tempfile::TempDir;

use crate::host::Upload;
use crate::{Limits, removed};

/// A folder that a guest sees as `.`. It goes with its last clone: runs that follow each other can share one.
#[derive(Debug, Clone)]
pub struct WorkFolder(Arc<Removed>);

/// A folder that is removed at the end, also where the last write of a run comes after its end.
#[derive(Debug)]
struct Removed(Option<TempDir>);

/// How often, and how far apart, a folder is removed that is written to meanwhile.
const REMOVALS: u32 = 50;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(100);

impl Drop for Removed {
    fn drop(&mut self) {
        let Some(path) = self.0.take().map(TempDir::keep) else { return };
        if is_removed(&path) {
            return;
        }
        // A call of a guest that was ended may still be on its way to the disk, in a thread of the pool.
        let again = move || {
            for _ in 0..REMOVALS {
                std::thread::sleep(BETWEEN_REMOVALS);
                if is_removed(&path) {
                    return;
                }
            }
            tracing::warn!(folder = %path.display(), "a working folder could not be removed");
        };
        let _ = std::thread::Builder::new().name("folder".to_owned()).spawn(again);
    }
}

fn is_removed(path: &Path) -> bool {
    match std::fs::remove_dir_all(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound && !path.exists(),
    }
}

/// What is wrong with a file for or from a working folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The name would leave the folder, or is no name.
    #[error("file name `{0}` is not a plain relative path below the working folder")]
    Name(String),
    /// The file is larger than may be handed on.
    #[error("file `{name}` is larger than the {limit_bytes} bytes that may be handed on")]
    TooLarge {
        /// Its name.
        name: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// The disk refused.
    #[error("file `{name}`: {cause}")]
    Io {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl WorkFolder {
    /// Makes an empty one in `parent`, or in the system's place for temporary files.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn new(parent: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("ocho-run-");
        parent
            .map_or_else(|| builder.tempdir(), |parent| builder.tempdir_in(parent))
            .map(|folder| Self(Arc::new(Removed(Some(folder)))))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.0.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// Writes a file, with the folders on its way.
    ///
    /// # Errors
    /// Where the name leaves the folder or the disk refuses.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let relative = plain_relative(name)?;
        let path = self.path().join(relative);
        let io = |cause| FolderError::Io { name: name.to_owned(), cause };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        std::fs::write(path, content).map_err(io)
    }

    /// Reads a file that the guest names. Links are followed inside the folder only, whatever the guest made of them.
    ///
    /// # Errors
    /// Where the name or a link leaves the folder, it is no file, or larger than `limit_bytes`.
    pub fn read(&self, name: &str, limit_bytes: u64) -> Result<Upload, FolderError> {
        use std::io::Read as _;
        let relative = plain_relative(name)?;
        let io = |cause: io::Error| FolderError::Io { name: name.to_owned(), cause };
        let root = open(self.path(), OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()).map_err(|e| io(e.into()))?;
        let how =
            OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_BENEATH);
        let file = std::fs::File::from(openat2(&root, &relative, how).map_err(|e| io(e.into()))?);
        if !file.metadata().map_err(io)?.is_file() {
            return Err(io(io::Error::other("not a file")));
        }
        let mut content = Vec::new();
        file.take(limit_bytes + 1).read_to_end(&mut content).map_err(io)?;
        if content.len() as u64 > limit_bytes {
            return Err(FolderError::TooLarge { name: name.to_owned(), limit_bytes });
        }
        Ok(Upload { name: name.to_owned(), content: Bytes::from(content) })
    }

    /// Whether what lies in it is within the limits. Reads at most as many entries as may be there.
    pub(crate) fn is_within(&self, limits: &Limits) -> bool {
        let (mut bytes, mut entries) = (removed::bytes_below(self.path()), 0);
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            // A guest may remove a folder while we look: then there is nothing to count.
            let Ok(listing) = std::fs::read_dir(folder) else { continue };
            for entry in listing.flatten() {
                let Ok(data) = entry.metadata() else { continue };
                entries += 1;
                bytes += data.len();
                if entries > limits.folder_entries || bytes > limits.folder_bytes {
                    return false;
                }
                if data.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        bytes <= limits.folder_bytes
    }
}

/// A path of plain names only: no root, no `..`, not empty.
fn plain_relative(name: &str) -> Result<PathBuf, FolderError> {
    let wrong = || FolderError::Name(name.to_owned());
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(wrong()),
        }
    }
    if path.as_os_str().is_empty() || name.contains('\0') || name.ends_with('/') { Err(wrong()) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_inside() {
        let folder = WorkFolder::new(None).unwrap();
        folder.write("a/b.yml", b"x").unwrap();
        assert_eq!(&folder.read("a/b.yml", 10).unwrap().content[..], b"x");
        assert_eq!(&folder.read("./a/b.yml", 1).unwrap().content[..], b"x");
        for bad in ["", ".", "..", "../x", "/etc/passwd", "a/../../x", "a\0b", "a/"] {
            assert!(matches!(folder.write(bad, b""), Err(FolderError::Name(_))), "{bad:?}");
            assert!(folder.read(bad, 10).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn it_goes_although_somebody_still_writes() {
        let folder = WorkFolder::new(None).unwrap();
        let path = folder.path().to_owned();
        folder.write("a/b", b"x").unwrap();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (theirs, is_stopped) = (path.clone(), stop.clone());
        let writer = std::thread::spawn(move || {
            for number in 0_u64.. {
                let _ = std::fs::write(theirs.join("a").join(number.to_string()), b"");
                if is_stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        drop(folder);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while path.exists() {
            assert!(std::time::Instant::now() < end, "it stays");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn links_do_not_lead_out() {
        let folder = WorkFolder::new(None).unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("absolute")).unwrap();
        std::os::unix::fs::symlink("../../../../../../etc/passwd", folder.path().join("relative")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
        folder.write("real", b"x").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("inside")).unwrap();
        for bad in ["absolute", "relative", "root/etc/passwd", "missing"] {
            assert!(matches!(folder.read(bad, 1000), Err(FolderError::Io { .. })), "{bad}");
        }
        assert_eq!(&folder.read("inside", 10).unwrap().content[..], b"x");
    }

    #[test]
    fn large_and_odd_files_are_refused() {
        let folder = WorkFolder::new(None).unwrap();
        folder.write("large", &[0; 11]).unwrap();
        assert!(matches!(folder.read("large", 10), Err(FolderError::TooLarge { .. })));
        nix::unistd::mkfifo(&folder.path().join("pipe"), Mode::S_IRWXU).unwrap();
        assert!(folder.read("pipe", 10).is_err());
        folder.write("folder/x", b"").unwrap();
        assert!(folder.read("folder", 10).is_err());
    }

    #[test]
    fn limits_count_all_levels() {
        let folder = WorkFolder::new(None).unwrap();
        let limits = |folder_bytes, folder_entries| Limits { folder_bytes, folder_entries, ..Limits::tool() };
        folder.write("a/b/c", &[0; 100]).unwrap();
        assert!(folder.is_within(&limits(1 << 20, 3)));
        assert!(!folder.is_within(&limits(1 << 20, 2)));
        assert!(!folder.is_within(&limits(99, 100)));
    }
}
