//! Callbacks: what a job started elsewhere reports back, as files that are dropped into its folder.

use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ocho_runtime::WorkFolder;

use super::jobs::Jobs;

/// How files are dropped into a job.
pub(super) struct Callback {
    /// 128 bits by chance; whoever knows them may.
    secret: String,
    pub(super) url: String,
    /// The job's folder, while there is one.
    folder: Mutex<Option<WorkFolder>>,
}

impl Callback {
    /// A new one below this URL.
    pub(super) fn new(base: &str) -> Self {
        let secret = format!("{:032x}", rand::random::<u128>());
        Self { url: format!("{base}/callback/{secret}"), secret, folder: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<WorkFolder>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files can be dropped into it from now on.
    pub(super) fn open(&self, folder: WorkFolder) {
        *self.lock() = Some(folder);
    }

    pub(super) fn take_folder(&self) -> Option<WorkFolder> {
        self.lock().take()
    }
}

/// No component is larger; see [`super::find`].
const MODULE_BYTES: u64 = 64 << 20;

fn is_module(content: &[u8]) -> bool {
    content.starts_with(b"\0asm")
}

fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// What came of a file for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DroppedIn {
    Taken,
    /// No job has this secret, or it is over.
    Unknown,
    /// The name cannot be written, or code would come in.
    Refused,
}

impl Jobs {
    /// Whether a job with a folder has this secret.
    pub(super) fn has_callback(&self, secret: &str) -> bool {
        self.folder_of(secret).is_some()
    }

    fn folder_of(&self, secret: &str) -> Option<WorkFolder> {
        let mut found = None;
        // Each job is looked at, so the time does not tell how much of a secret was right.
        for job in self.list() {
            if same(&job.callback.secret, secret) {
                found = job.callback.lock().clone();
            }
        }
        found
    }

    /// Drops a file into the job that this secret belongs to, in one step, over what may be there.
    pub(super) async fn drop_in(&self, secret: &str, name: &str, content: Bytes) -> DroppedIn {
        let Some(folder) = self.folder_of(secret) else { return DroppedIn::Unknown };
        // The secret stands in the job's log, so it must not be good for bringing in code that then runs as a part of the job.
        if name.ends_with(".wasm") || is_module(&content) {
            return DroppedIn::Refused;
        }
        let (inner, name) = (self.0.clone(), name.to_owned());
        let write = move || {
            if folder.read(&name, MODULE_BYTES).is_ok_and(|file| is_module(&file.content)) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let mut file = inner.folders.beside()?;
            file.write_all(&content)?;
            // Renamed, so that a reader never sees half a file, and a link that a job put there is not followed.
            file.persist(folder.path().join(name)).map_err(|error| error.error)?;
            io::Result::Ok(())
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => DroppedIn::Taken,
            Ok(Err(_)) | Err(_) => DroppedIn::Refused,
        }
    }
}
