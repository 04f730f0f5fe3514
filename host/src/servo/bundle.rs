//! A bundle unpacked: a gzipped tar, entry by entry, each checked before anything of it is written.
//!
//! Only files and folders come out, with modes of ours. What would lead out of the folder, links and devices end the
//! unpacking, named. The archive's reader skips nothing by itself: long names and extended headers are read here, since
//! they too have limits.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

/// What a bundle may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BundleLimits {
    /// All of it, unpacked, headers included.
    pub bytes: u64,
    /// Files and folders, those included that are made on the way to a file.
    pub entries: u64,
    /// How many times larger it may get, once it is larger than `free_bytes`.
    pub ratio: u64,
    /// Unpacked bytes for which the ratio does not count: small texts compress well.
    pub free_bytes: u64,
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self { bytes: 256 << 20, entries: 10_000, ratio: 100, free_bytes: 16 << 20 }
    }
}

/// The longest path of an entry, and the deepest.
const PATH_BYTES: usize = 1024;
const DEPTH: usize = 32;

/// The longest header that only describes another entry.
const HEADER_BYTES: u64 = 64 * 1024;

/// Why a bundle is not unpacked. The texts stand in parentheses behind `unable to open the archive`.
#[derive(Debug, thiserror::Error)]
pub(super) enum BundleError {
    /// No gzipped tar, or a cut one. The text is the one that clients of the original know.
    #[error("bogus payload ?")]
    Bogus,
    /// The name is absolute, leads out, or is none.
    #[error("`{0}` does not stay in the bundle's folder; pack plain relative names")]
    Outside(String),
    /// A link, a device, a pipe, or something that no tar should hold.
    #[error("`{name}` is {what}; a bundle holds files and folders only")]
    Kind {
        /// Its name.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// The name cannot be written here.
    #[error("`{name}` {rule}")]
    Name {
        /// The name, shortened.
        name: String,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// A file where a folder stands, or the reverse.
    #[error("`{0}` is there already, and of another kind")]
    Twice(String),
    /// Too much comes out.
    #[error("it unpacks to more than {} MiB", .0 >> 20)]
    TooLarge(u64),
    /// Too much comes out of too little.
    #[error("it unpacks to more than {0} times its size")]
    Bomb(u64),
    /// Too many names.
    #[error("it holds more than {0} files and folders")]
    TooMany(u64),
    /// The disk refused.
    #[error("`{name}` cannot be written: {cause}")]
    Disk {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Unpacks `archive` into `folder`, which is empty and private. Blocks. What was written before an error stays there: the
/// folder goes as a whole.
///
/// # Errors
/// At the first entry that may not be, and where a limit is reached.
pub(super) fn unpack(archive: impl Read, folder: &Path, limits: BundleLimits) -> Result<(), BundleError> {
    let compressed = Counted { inner: BufReader::new(archive), count: 0 };
    let mut tar = Archive::new(Metered { inner: MultiGzDecoder::new(compressed), limits, bytes: 0 });
    let mut unpacker = Unpacker { folder, limits, entries: 0, name: None };
    for entry in tar.entries().map_err(read_error)?.raw(true) {
        unpacker.take(&mut entry.map_err(read_error)?)?;
    }
    // Behind the last entry there may be a checksum that does not fit, or something that is no archive.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(read_error)?;
    Ok(())
}

struct Unpacker<'a> {
    folder: &'a Path,
    limits: BundleLimits,
    entries: u64,
    /// The name of the next entry, where a header before it gave one.
    name: Option<Vec<u8>>,
}

impl Unpacker<'_> {
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), BundleError> {
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = header_text(entry)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                self.name = Some(name);
                Ok(())
            }
            EntryType::XHeader => self.take_extension(entry),
            // Defaults for all entries, such as a comment, and the target of a link, which is refused when it comes.
            EntryType::XGlobalHeader | EntryType::GNULongLink => header_text(entry).map(drop),
            kind => {
                let name = self.name.take().unwrap_or_else(|| entry.header().path_bytes().into_owned());
                self.take_entry(kind, &name, entry)
            }
        }
    }

    fn take_extension<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), BundleError> {
        let text = header_text(entry)?;
        for extension in PaxExtensions::new(&text) {
            let extension = extension.map_err(|_| BundleError::Bogus)?;
            match extension.key_bytes() {
                b"path" => self.name = Some(extension.value_bytes().to_vec()),
                // Readers disagree on which size counts, and so on what an archive holds; such files are larger than a bundle.
                b"size" => return Err(BundleError::Bogus),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(BundleError::Kind { name: "an entry".to_owned(), what: "a file with holes" });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_entry<R: Read>(&mut self, kind: EntryType, name: &[u8], entry: &mut Entry<'_, R>) -> Result<(), BundleError> {
        let shown = shown(name);
        let Some(path) = plain_path(name)? else { return Ok(()) };
        match kind {
            // The oldest tars mark a folder by the end of its name.
            EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => self.make_folder(&path, &shown),
            EntryType::Regular | EntryType::Continuous => self.write_file(&path, &shown, entry),
            EntryType::Directory => self.make_folder(&path, &shown),
            EntryType::Symlink => Err(BundleError::Kind { name: shown, what: "a symbolic link" }),
            EntryType::Link => Err(BundleError::Kind { name: shown, what: "a hard link" }),
            EntryType::Char | EntryType::Block => Err(BundleError::Kind { name: shown, what: "a device" }),
            EntryType::Fifo => Err(BundleError::Kind { name: shown, what: "a pipe" }),
            EntryType::GNUSparse => Err(BundleError::Kind { name: shown, what: "a file with holes" }),
            _ => Err(BundleError::Kind { name: shown, what: "of an unknown kind" }),
        }
    }

    fn make_folder(&mut self, path: &Path, shown: &str) -> Result<(), BundleError> {
        let mut way = self.folder.to_owned();
        for part in path.components() {
            way.push(part);
            match fs::DirBuilder::new().mode(0o700).create(&way) {
                Ok(()) => self.count()?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Nothing but this makes anything here, and it makes no links.
                    if !way.is_dir() {
                        return Err(BundleError::Twice(shown.to_owned()));
                    }
                }
                Err(cause) => return Err(BundleError::Disk { name: shown.to_owned(), cause }),
            }
        }
        Ok(())
    }

    fn write_file<R: Read>(&mut self, path: &Path, shown: &str, content: &mut R) -> Result<(), BundleError> {
        if let Some(parent) = path.parent() {
            self.make_folder(parent, shown)?;
        }
        self.count()?;
        let path = self.folder.join(path);
        if path.is_dir() {
            return Err(BundleError::Twice(shown.to_owned()));
        }
        let disk = |cause| BundleError::Disk { name: shown.to_owned(), cause };
        // Of entries with one name the last one wins.
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(disk)?;
        let mut block = vec![0; 64 * 1024];
        loop {
            match content.read(&mut block).map_err(read_error)? {
                0 => return Ok(()),
                read => file.write_all(&block[..read]).map_err(disk)?,
            }
        }
    }

    fn count(&mut self) -> Result<(), BundleError> {
        self.entries += 1;
        if self.entries > self.limits.entries { Err(BundleError::TooMany(self.limits.entries)) } else { Ok(()) }
    }
}

/// The content of an entry that only describes another one.
fn header_text<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, BundleError> {
    let mut text = Vec::new();
    entry.take(HEADER_BYTES + 1).read_to_end(&mut text).map_err(read_error)?;
    if text.len() as u64 > HEADER_BYTES { Err(BundleError::Bogus) } else { Ok(text) }
}

/// The path below the folder; nothing for the folder itself.
fn plain_path(name: &[u8]) -> Result<Option<PathBuf>, BundleError> {
    let refuse = |rule| BundleError::Name { name: shown(name), rule };
    let text = std::str::from_utf8(name).map_err(|_| refuse("is not text in UTF-8"))?;
    if text.contains('\0') || text.len() > PATH_BYTES {
        return Err(refuse("is longer than a name may be, or holds a zero byte"));
    }
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) if part.len() > 255 => return Err(refuse("is longer than a name may be")),
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(BundleError::Outside(shown(name))),
        }
    }
    if path.components().count() > DEPTH {
        return Err(refuse("lies deeper than 32 folders"));
    }
    if text.is_empty() {
        return Err(BundleError::Outside(String::new()));
    }
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

/// A name for a message: on one line, and not too long.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Limits travel through the readers as errors of the system, and come out here.
fn read_error(error: io::Error) -> BundleError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Over>()) {
        Some(Over::Bytes(limit)) => BundleError::TooLarge(*limit),
        Some(Over::Ratio(ratio)) => BundleError::Bomb(*ratio),
        None => BundleError::Bogus,
    }
}

#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("too large")]
    Bytes(u64),
    #[error("too much out of too little")]
    Ratio(u64),
}

/// Counts what is taken out of the upload.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count += amount as u64;
        self.inner.consume(amount);
    }
}

/// What comes out of the gzip, with its limits.
struct Metered<R> {
    inner: MultiGzDecoder<Counted<R>>,
    limits: BundleLimits,
    bytes: u64,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        let (limits, bytes) = (self.limits, self.bytes);
        if bytes > limits.bytes {
            return Err(io::Error::other(Over::Bytes(limits.bytes)));
        }
        if bytes > limits.free_bytes && bytes / limits.ratio > self.inner.get_ref().count {
            return Err(io::Error::other(Over::Ratio(limits.ratio)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
