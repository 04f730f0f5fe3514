//! Where bundles are unpacked.

use std::fs::File;
use std::io;
use std::path::Path;

use ocho_runtime::WorkFolder;

use crate::places::Place;

/// The place of this process. Dropping it removes it, and the next process removes it where this one is killed.
#[derive(Debug)]
pub(super) struct JobFolders(Place);

impl JobFolders {
    /// Makes a place below `parent`, or where the system keeps temporary files.
    pub(super) fn open(parent: Option<&Path>) -> io::Result<Self> {
        Place::open("ocho-jobs-", parent).map(Self)
    }

    /// A folder for one bundle.
    pub(super) fn folder(&self) -> io::Result<WorkFolder> {
        WorkFolder::new(Some(self.0.path()))
    }

    /// A file without a name: gone when it is closed, however the process ends.
    pub(super) fn spool(&self) -> io::Result<File> {
        tempfile::tempfile_in(self.0.path())
    }

    /// A file to be moved into a bundle's folder.
    pub(super) fn beside(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new_in(self.0.path())
    }
}
