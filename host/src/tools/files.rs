//! The components of installed tools, each in a file named by its SHA-256; in memory where there is no data folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use ocho_core::signature::{hex, sha256};

use super::failpoint;

/// Where components lie.
pub(super) enum Shelf {
    Disk(PathBuf),
    Memory(Mutex<BTreeMap<String, Bytes>>),
}

const STAGED: &str = "staged-";

impl Shelf {
    /// The shelf of a data folder: its folder `tools`.
    pub(super) fn open(data: Option<&Path>) -> io::Result<Self> {
        let Some(data) = data else { return Ok(Self::Memory(Mutex::default())) };
        let folder = data.join("tools");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self::Disk(folder))
    }

    /// Keeps a component. When this returns, it survives a crash.
    pub(super) fn put(&self, digest: &str, wasm: &Bytes) -> io::Result<()> {
        match self {
            Self::Memory(kept) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned(), wasm.clone());
                Ok(())
            }
            // One that is damaged is written anew.
            Self::Disk(_) if self.get(digest).is_ok() => Ok(()),
            Self::Disk(folder) => write(folder, digest, wasm),
        }
    }

    /// Gives a component back; one that is not what it was is an error.
    pub(super) fn get(&self, digest: &str) -> Result<Bytes, String> {
        let wasm = match self {
            Self::Memory(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned(),
            Self::Disk(folder) => match fs::read(path(folder, digest)) {
                Ok(wasm) => Some(Bytes::from(wasm)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(format!("its component cannot be read: {error}")),
            },
        };
        let wasm = wasm.ok_or_else(|| "its component is gone from the data folder; install it again".to_owned())?;
        if hex(&sha256(&wasm)) != digest {
            return Err("its component in the data folder was changed; install it again".to_owned());
        }
        Ok(wasm)
    }

    /// Lets a component go.
    pub(super) fn remove(&self, digest: &str) {
        match self {
            Self::Memory(kept) => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
            }
            Self::Disk(folder) => {
                if let Err(error) = fs::remove_file(path(folder, digest)) {
                    tracing::warn!(digest, %error, "a component that nobody needs stays on the disk");
                }
            }
        }
    }

    /// Removes what an interrupted installation left: whatever is not in use.
    pub(super) fn sweep(&self, in_use: &BTreeSet<String>) -> io::Result<()> {
        let Self::Disk(folder) = self else { return Ok(()) };
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let component = name.strip_suffix(".wasm").is_some_and(|digest| !in_use.contains(digest));
            if component || name.starts_with(STAGED) {
                tracing::info!(file = %path.display(), "removed what an interrupted installation left");
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn path(folder: &Path, digest: &str) -> PathBuf {
    folder.join(digest).with_extension("wasm")
}

/// Written beside and renamed, so that a file with this name is always whole; and on the disk before anybody counts on it.
fn write(folder: &Path, digest: &str, wasm: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(STAGED).tempfile_in(folder)?;
    let (first, rest) = wasm.split_at(wasm.len() / 2);
    file.write_all(first)?;
    failpoint::reached("half-written");
    file.write_all(rest)?;
    file.as_file().sync_all()?;
    failpoint::reached("staged");
    file.persist(path(folder, digest))?;
    File::open(folder)?.sync_all()?;
    failpoint::reached("placed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_told_and_written_anew() {
        let data = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(Some(data.path())).unwrap();
        let wasm = Bytes::from_static(b"component");
        let digest = hex(&sha256(&wasm));
        shelf.put(&digest, &wasm).unwrap();
        assert_eq!(shelf.get(&digest).unwrap(), wasm);
        fs::write(data.path().join("tools").join(format!("{digest}.wasm")), "changed").unwrap();
        assert!(shelf.get(&digest).unwrap_err().contains("was changed"));
        shelf.put(&digest, &wasm).unwrap();
        assert_eq!(shelf.get(&digest).unwrap(), wasm);
        shelf.remove(&digest);
        assert!(shelf.get(&digest).unwrap_err().contains("is gone"));
    }

    #[test]
    fn what_was_interrupted_is_swept() {
        let data = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(Some(data.path())).unwrap();
        let folder = data.path().join("tools");
        for name in ["staged-abc", "00ff.wasm", "used.wasm", "README"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        shelf.sweep(&BTreeSet::from(["used".to_owned()])).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["README", "used.wasm"]);
    }
}
