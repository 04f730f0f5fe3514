//! Where bundles are unpacked.

use std::fs::File;
use std::io;
use std::path::Path;

use ocho_runtime::WorkFolder;

use crate::places::Place;
use crate::room::{Held, Room};

/// What uploads may take of the disk together until their signatures are known: a stranger must not fill it.
const UPLOADS_KIB: usize = 4 << 20;

/// The place of this process. Dropping it removes it, and the next process removes it where this one is killed.
#[derive(Debug)]
pub(super) struct JobFolders {
    place: Place,
    room: Room,
}

impl JobFolders {
    /// Makes a place below `parent`, or where the system keeps temporary files.
    pub(super) fn open(parent: Option<&Path>) -> io::Result<Self> {
        Self::with_room(parent, UPLOADS_KIB)
    }

    /// With so much room for uploads.
    pub(super) fn with_room(parent: Option<&Path>, uploads_kib: usize) -> io::Result<Self> {
        Ok(Self { place: Place::open("ocho-jobs-", parent)?, room: Room::of_kib(uploads_kib) })
    }

    /// Room for one more upload.
    pub(super) fn room(&self) -> Held {
        self.room.begin()
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
