//! A folder as `<name>.tgz`: its entries stand at the root of the archive, names with a dot at its top are left out.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header, HeaderMode};

use super::UploadError;
use super::watch::{Cancel, Progress, Watched};

const ENTRIES_LIMIT: usize = 100_000;

/// Packs what `folder` holds. `shown` is how the user spelled it. Links inside stay links.
pub(super) fn pack(
    folder: &Path,
    shown: &str,
    out: &mut impl Write,
    cancel: &Cancel,
    progress: &Progress,
) -> Result<(), UploadError> {
    let mut packer = Packer { shown, folder, entries: 0, cancel, progress };
    let mut tar = Builder::new(GzEncoder::new(out, Compression::default()));
    let top: Vec<PathBuf> = packer.list(Path::new(""))?.into_iter().filter(|entry| !begins_with_dot(entry)).collect();
    if top.is_empty() {
        return Err(UploadError::EmptyFolder(shown.to_owned()));
    }
    packer.add_all(&mut tar, top)?;
    tar.into_inner().and_then(GzEncoder::finish).map_err(UploadError::Spool)?;
    Ok(())
}

fn begins_with_dot(entry: &Path) -> bool {
    entry.to_str().is_some_and(|name| name.starts_with('.'))
}

struct Packer<'a> {
    shown: &'a str,
    folder: &'a Path,
    entries: usize,
    cancel: &'a Cancel,
    progress: &'a Progress,
}

impl Packer<'_> {
    /// Adds entries and what is below them, parents first. A list instead of recursion: folders may be deep.
    fn add_all<W: Write>(&mut self, tar: &mut Builder<W>, top: Vec<PathBuf>) -> Result<(), UploadError> {
        let mut waiting = top;
        waiting.reverse();
        while let Some(entry) = waiting.pop() {
            let is_folder = self.add(tar, &entry)?;
            if is_folder {
                waiting.extend(self.list(&entry)?.into_iter().rev());
            }
        }
        Ok(())
    }

    /// Adds one entry, and says whether it is a folder.
    fn add<W: Write>(&mut self, tar: &mut Builder<W>, entry: &Path) -> Result<bool, UploadError> {
        self.count(entry)?;
        let path = self.folder.join(entry);
        let metadata = fs::symlink_metadata(&path).map_err(|cause| self.unreadable(entry, cause))?;
        let mut header = header_of(&metadata);
        let kind = metadata.file_type();
        if kind.is_dir() {
            header.set_size(0);
            self.write(entry, tar.append_data(&mut header, entry.join(""), io::empty()))?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(|cause| self.unreadable(entry, cause))?;
            header.set_size(0);
            self.write(entry, tar.append_link(&mut header, entry, target))?;
        } else if kind.is_file() {
            self.add_file(tar, header, entry, &path, metadata.len())?;
        } else {
            return Err(UploadError::Special(self.show(entry)));
        }
        Ok(kind.is_dir())
    }

    fn add_file<W: Write>(
        &self,
        tar: &mut Builder<W>,
        mut header: Header,
        entry: &Path,
        path: &Path,
        length_bytes: u64,
    ) -> Result<(), UploadError> {
        let file = File::open(path).map_err(|cause| self.unreadable(entry, cause))?;
        // The header promises a length. A file that grows is cut there, one that shrinks would break the archive.
        let mut content = Watched::new(file.take(length_bytes), self.cancel, self.progress);
        self.write(entry, tar.append_data(&mut header, entry, &mut content))?;
        if content.seen == length_bytes { Ok(()) } else { Err(UploadError::Changed(self.show(entry))) }
    }

    /// What is in a folder, sorted, as paths from the top.
    fn list(&self, below: &Path) -> Result<Vec<PathBuf>, UploadError> {
        let read = || -> io::Result<Vec<PathBuf>> {
            fs::read_dir(self.folder.join(below))?
                .take(ENTRIES_LIMIT + 1)
                .map(|entry| entry.map(|entry| below.join(entry.file_name())))
                .collect()
        };
        let mut entries = read().map_err(|cause| self.unreadable(below, cause))?;
        entries.sort();
        Ok(entries)
    }

    fn count(&mut self, entry: &Path) -> Result<(), UploadError> {
        self.entries += 1;
        if self.cancel.is_cancelled() {
            return Err(UploadError::Cancelled);
        }
        if self.entries > ENTRIES_LIMIT {
            return Err(UploadError::TooManyEntries { path: self.shown.to_owned(), limit: ENTRIES_LIMIT });
        }
        match entry.to_str() {
            Some(_) => Ok(()),
            None => Err(UploadError::Name { path: self.show(entry), rule: "it is not text in UTF-8" }),
        }
    }

    fn write(&self, entry: &Path, written: io::Result<()>) -> Result<(), UploadError> {
        written.map_err(|cause| self.unreadable(entry, cause))
    }

    fn unreadable(&self, entry: &Path, cause: io::Error) -> UploadError {
        UploadError::Unreadable { path: self.show(entry), cause }
    }

    fn show(&self, entry: &Path) -> String {
        Path::new(self.shown).join(entry).display().to_string()
    }
}

/// Mode and time of the file, without the numbers of its owner, which mean nothing elsewhere.
fn header_of(metadata: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata_in_mode(metadata, HeaderMode::Complete);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn packed(folder: &Path) -> Result<Vec<u8>, UploadError> {
        let mut out = Vec::new();
        pack(folder, "it", &mut out, &Cancel::default(), &Progress::packing(false)).map(|()| out)
    }

    fn names(archive: &[u8]) -> Vec<String> {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn entries_stand_at_the_root_and_dot_files_at_the_top_are_left_out() {
        let room = tempfile::tempdir().unwrap();
        let deep = room.path().join("b/".to_owned() + &"long-name-".repeat(12));
        fs::create_dir_all(&deep).unwrap();
        fs::write(room.path().join("a.py"), "print()").unwrap();
        fs::write(room.path().join(".git"), "").unwrap();
        fs::write(deep.join(".kept"), "kept").unwrap();
        symlink("a.py", room.path().join("link")).unwrap();
        let archive = packed(room.path()).unwrap();
        let long = format!("b/{}", "long-name-".repeat(12));
        assert_eq!(names(&archive), ["a.py", "b/", &format!("{long}/"), &format!("{long}/.kept"), "link"]);

        let unpacked = tempfile::tempdir().unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(&archive[..])).unpack(unpacked.path()).unwrap();
        assert_eq!(fs::read_to_string(unpacked.path().join(long).join(".kept")).unwrap(), "kept");
        assert_eq!(fs::read_link(unpacked.path().join("link")).unwrap(), Path::new("a.py"));
    }

    #[test]
    fn a_folder_without_anything_to_send_is_refused() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join(".env"), "secret").unwrap();
        assert_eq!(
            packed(room.path()).unwrap_err().to_string(),
            "the folder `it` holds nothing to send (names that begin with a dot are left out)"
        );
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let room = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(room.path().join("s")).unwrap();
        assert_eq!(packed(room.path()).unwrap_err().to_string(), "`it/s` is neither a file nor a folder");

        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        assert!(packed(room.path()).unwrap_err().to_string().ends_with("it is not text in UTF-8"));
    }

    #[test]
    fn packing_stops_when_it_is_cancelled() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("a"), "a").unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = pack(room.path(), "it", &mut Vec::new(), &cancel, &Progress::packing(false));
        assert!(matches!(stopped, Err(UploadError::Cancelled)));
    }
}
