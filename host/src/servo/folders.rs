//! Where bundles are unpacked.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ocho_runtime::WorkFolder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::places::Place;

/// What uploads may take of the disk together until their signatures are known: a stranger must not fill it.
const UPLOADS_MIB: usize = 4096;

/// The place of this process. Dropping it removes it, and the next process removes it where this one is killed.
#[derive(Debug)]
pub(super) struct JobFolders {
    place: Place,
    /// One permit for each MiB of an upload.
    room: Arc<Semaphore>,
}

impl JobFolders {
    /// Makes a place below `parent`, or where the system keeps temporary files.
    pub(super) fn open(parent: Option<&Path>) -> io::Result<Self> {
        Self::with_room(parent, UPLOADS_MIB)
    }

    /// With so much room for uploads.
    pub(super) fn with_room(parent: Option<&Path>, uploads_mib: usize) -> io::Result<Self> {
        Ok(Self { place: Place::open("ocho-jobs-", parent)?, room: Arc::new(Semaphore::new(uploads_mib)) })
    }

    /// Room for one more MiB of an upload, for as long as it is held; none where uploads have taken all of it.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
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
