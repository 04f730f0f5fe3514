//! The body of a request with files: `multipart/form-data`, kept in memory while small and on disk beyond.

use std::fs::File;
use std::io::{self, Seek, Write};

use ocho_core::signature::hex;
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use super::watch::{Cancel, Progress, Watched};
use super::{Kind, Upload, UploadError, archive};

/// Bodies up to here never touch the disk.
const IN_MEMORY_BYTES: usize = 1 << 20;
/// A home folder sent by mistake ends here.
const LIMIT_BYTES: u64 = 1 << 30;

/// A body that is complete and waits to be sent.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) content_type: String,
    pub(crate) length_bytes: u64,
    /// What the signature covers.
    pub(crate) sha256: [u8; 32],
    spool: SpooledTempFile,
}

impl Body {
    /// Bytes as they are.
    pub(crate) fn of(content_type: &str, bytes: &[u8]) -> Result<Self, UploadError> {
        let mut spool = SpooledTempFile::new(IN_MEMORY_BYTES);
        spool.write_all(bytes).and_then(|()| spool.rewind()).map_err(UploadError::Spool)?;
        let (length_bytes, sha256) = (bytes.len() as u64, Sha256::digest(bytes).into());
        Ok(Self { content_type: content_type.to_owned(), length_bytes, sha256, spool })
    }

    /// The bytes, from the first one on: a text in memory, or a file.
    pub(crate) fn into_source(self) -> Source {
        match self.spool.into_inner() {
            tempfile::SpooledData::InMemory(bytes) => Source::Memory(bytes.into_inner()),
            tempfile::SpooledData::OnDisk(file) => Source::Disk(file),
        }
    }
}

/// Where the bytes of a body are.
pub(crate) enum Source {
    Memory(Vec<u8>),
    Disk(File),
}

/// Writes all uploads into one body. Each part is called as the word that names it.
pub(crate) fn compose(uploads: &[Upload], cancel: &Cancel, progress: &Progress) -> Result<Body, UploadError> {
    let boundary = format!("ocho-{}", hex(&rand::random::<[u8; 16]>()));
    let mut sink = Sink::new(LIMIT_BYTES);
    let composed = uploads
        .iter()
        .try_for_each(|upload| write_part(&mut sink, &boundary, upload, cancel, progress))
        .and_then(|()| sink.write_all(format!("--{boundary}--\r\n").as_bytes()).map_err(UploadError::Spool));
    progress.finish();
    match composed {
        Ok(()) => sink.into_body(&boundary),
        // Which of the many reads and writes told of it does not matter.
        Err(_) if cancel.is_cancelled() => Err(UploadError::Cancelled),
        Err(error) => Err(sink.failure().unwrap_or(error)),
    }
}

fn write_part(sink: &mut Sink, boundary: &str, upload: &Upload, cancel: &Cancel, progress: &Progress) -> Result<(), UploadError> {
    let name = &upload.name;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    sink.write_all(head.as_bytes()).map_err(UploadError::Spool)?;
    match upload.kind {
        Kind::File => copy_file(sink, upload, cancel, progress)?,
        Kind::Folder => archive::pack(&upload.path, &upload.shown, sink, cancel, progress)?,
    }
    sink.write_all(b"\r\n").map_err(UploadError::Spool)
}

fn copy_file(sink: &mut Sink, upload: &Upload, cancel: &Cancel, progress: &Progress) -> Result<(), UploadError> {
    let unreadable = |cause| UploadError::Unreadable { path: upload.shown.clone(), cause };
    let file = File::open(&upload.path).map_err(unreadable)?;
    io::copy(&mut Watched::new(file, cancel, progress), sink).map_err(unreadable)?;
    Ok(())
}

/// Takes bytes up to a limit, and remembers its own failure: a copy does not say which of its two ends broke.
pub(super) struct Sink {
    spool: SpooledTempFile,
    length_bytes: u64,
    limit_bytes: u64,
    digest: Sha256,
    failure: Option<UploadError>,
}

impl Sink {
    fn new(limit_bytes: u64) -> Self {
        let spool = SpooledTempFile::new(IN_MEMORY_BYTES);
        Self { spool, length_bytes: 0, limit_bytes, digest: Sha256::new(), failure: None }
    }

    fn failure(&mut self) -> Option<UploadError> {
        self.failure.take()
    }

    fn into_body(mut self, boundary: &str) -> Result<Body, UploadError> {
        self.spool.flush().and_then(|()| self.spool.rewind()).map_err(UploadError::Spool)?;
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Ok(Body { content_type, length_bytes: self.length_bytes, sha256: self.digest.finalize().into(), spool: self.spool })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.length_bytes + bytes.len() as u64 > self.limit_bytes {
            self.failure = Some(UploadError::TooLarge { limit_mib: self.limit_bytes >> 20 });
            return Err(io::Error::other("too large"));
        }
        match self.spool.write(bytes) {
            Ok(written) => {
                self.length_bytes += written as u64;
                self.digest.update(&bytes[..written]);
                Ok(written)
            }
            Err(error) => {
                self.failure = Some(UploadError::Spool(io::Error::new(error.kind(), error.to_string())));
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.flush()
    }
}
