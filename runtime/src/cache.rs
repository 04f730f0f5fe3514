//! Compiled code on disk: keyed by what it was compiled from and for, bounded, private.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

/// A folder of compiled components. Only files that this user owns in a folder that only this user can write are trusted,
/// since compiled code runs unfenced.
#[derive(Debug, Clone)]
pub struct CodeCache {
    folder: PathBuf,
    limit_bytes: u64,
}

impl CodeCache {
    /// Opens a cache, makes its folder where it is missing, and bounds it to `limit_bytes`.
    ///
    /// # Errors
    /// Where the folder cannot be made, or somebody else owns it or may write to it.
    pub fn open(folder: &Path, limit_bytes: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let cache = Self { folder: folder.to_owned(), limit_bytes };
        cache.check_private(folder)?;
        cache.remove_oldest();
        Ok(cache)
    }

    /// Gives the compiled form of `wasm`, or nothing where it is not there or not to be trusted.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, wasm: &[u8]) -> Option<Component> {
        let path = self.path_for(engine, wasm);
        let now = SystemTime::now();
        self.check_private(&path).ok()?;
        // Marks it as used, so that it goes last.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(now));
        #[expect(unsafe_code, reason = "the file is ours alone: its owner and mode, and its folder's, have just been checked")]
        let component = unsafe { Component::deserialize_file(engine, &path) };
        component.inspect_err(|error| tracing::warn!(error = format!("{error:#}"), "cached code is not usable")).ok()
    }

    /// Keeps the compiled form. A full disk costs only the next start its speed.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, wasm: &[u8], component: &Component) {
        let stored =
            component.serialize().map_err(io::Error::other).and_then(|code| self.write(&self.path_for(engine, wasm), &code));
        if let Err(error) = stored {
            tracing::warn!(%error, folder = %self.folder.display(), "compiled code is not kept");
        }
        self.remove_oldest();
    }

    fn path_for(&self, engine: &wasmtime::Engine, wasm: &[u8]) -> PathBuf {
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        let mut digest = Sha256::new();
        digest.update(wasm);
        digest.update(settings.finish().to_be_bytes());
        digest.update(env!("CARGO_PKG_VERSION"));
        let name: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension("cwasm")
    }

    /// Written beside and renamed, so that nobody ever maps half a file.
    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(&self.folder)?;
        file.write_all(code)?;
        file.persist(path)?;
        Ok(())
    }

    fn check_private(&self, path: &Path) -> io::Result<()> {
        let data = fs::symlink_metadata(path)?;
        let own = data.uid() == nix::unistd::geteuid().as_raw();
        if own && data.mode() & 0o022 == 0 && !data.file_type().is_symlink() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("`{}` must belong to the user of this process and be writable by nobody else", path.display()),
        ))
    }

    /// Removes what was not used for longest until the rest fits.
    fn remove_oldest(&self) {
        let Ok(listing) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = listing
            .flatten()
            .filter_map(|entry| {
                let data = entry.metadata().ok()?;
                Some((data.modified().ok()?, data.len(), entry.path()))
            })
            .filter(|(_, _, path)| path.extension().is_some_and(|extension| extension == "cwasm"))
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, file_bytes, path) in files {
            if bytes <= self.limit_bytes {
                break;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= file_bytes;
            }
        }
    }
}
