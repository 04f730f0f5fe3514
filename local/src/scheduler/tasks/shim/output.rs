//! Captured output: bounded, put aside when it is full, and never in the way of the task.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// A file that is renamed to `<name>.1` when it is full.
pub(crate) struct Rotating {
    path: PathBuf,
    limit: u64,
    /// `None` until the first write, and after a failure to open.
    file: Option<File>,
    written: u64,
    /// Bytes that could not be written since the last that could.
    lost: u64,
}

impl Rotating {
    /// Output at `path`, at most `limit` bytes in one file.
    pub(crate) fn new(path: PathBuf, limit: u64) -> Self {
        Self { path, limit: limit.max(1), file: None, written: 0, lost: 0 }
    }

    /// Keeps what fits and counts what does not: a full disk must not stop the task.
    pub(crate) fn keep(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let room = usize::try_from(self.limit.saturating_sub(self.written)).unwrap_or(usize::MAX);
            let part = &chunk[..chunk.len().min(room.max(1))];
            if let Err(cause) = self.try_keep(part) {
                if self.lost == 0 {
                    say!("output is lost: {cause}");
                }
                self.lost += chunk.len() as u64;
                return;
            }
            chunk = &chunk[part.len()..];
        }
    }

    fn try_keep(&mut self, part: &[u8]) -> io::Result<()> {
        if self.written >= self.limit {
            self.put_aside()?;
        }
        let note = (self.lost > 0).then(|| format!("\n[ocho: {} bytes of output were lost here]\n", self.lost));
        let file = self.open()?;
        if let Some(note) = note {
            file.write_all(note.as_bytes())?;
            self.lost = 0;
        }
        let file = self.open()?;
        file.write_all(part)?;
        self.written += part.len() as u64;
        Ok(())
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            // The task owns the folder: what it puts in the place of the file is neither followed nor waited for.
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let file = OpenOptions::new().create(true).append(true).custom_flags(flags).open(&self.path)?;
            self.written = file.metadata()?.len();
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("the file was just opened"))
    }

    fn put_aside(&mut self) -> io::Result<()> {
        self.file = None;
        self.written = 0;
        let mut aside = self.path.clone().into_os_string();
        aside.push(".1");
        rename(&self.path, aside)
    }
}

/// Copies a stream until its end.
pub(crate) async fn copy(mut from: impl AsyncRead + Unpin, mut to: Rotating) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        to.keep(&chunk[..length]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_hold_the_end_of_the_output() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("stdout");
        let mut out = Rotating::new(path.clone(), 10);
        out.keep(b"0123456789abcdefghij");
        out.keep(b"klm");
        assert_eq!(std::fs::read(&path).expect("there"), b"klm");
        assert_eq!(std::fs::read(home.path().join("stdout.1")).expect("there"), b"abcdefghij");
    }

    #[test]
    fn what_a_task_puts_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().expect("a folder");
        let (path, elsewhere) = (home.path().join("stdout"), home.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).expect("made");
        Rotating::new(path.clone(), 10).keep(b"lost");
        assert!(!elsewhere.exists());
        std::fs::remove_file(&path).expect("there");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        Rotating::new(path, 10).keep(b"lost");
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("not-yet").join("stdout");
        let mut out = Rotating::new(path.clone(), 1000);
        out.keep(b"lost");
        std::fs::create_dir(home.path().join("not-yet")).expect("made");
        out.keep(b"kept");
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text, "\n[ocho: 4 bytes of output were lost here]\nkept");
    }
}
