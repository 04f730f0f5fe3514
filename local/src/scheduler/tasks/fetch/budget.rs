//! What may be written for one task, counted over all of its files.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::Cause;

/// Files and folders that may come out of archives.
pub(super) const ENTRIES_MAX: usize = 100_000;

/// What is left to be written.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    bytes_left: AtomicU64,
    is_spent: AtomicBool,
    entries: AtomicUsize,
    halted: AtomicBool,
}

/// Stops whoever still spends, once dropped.
pub(super) struct Halt(pub(super) Arc<Budget>);

impl Drop for Halt {
    fn drop(&mut self) {
        self.0.halted.store(true, Ordering::Relaxed);
    }
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            bytes_left: AtomicU64::new(limit),
            is_spent: AtomicBool::new(false),
            entries: AtomicUsize::new(0),
            halted: AtomicBool::new(false),
        }
    }

    /// Counts bytes that are about to be written.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Cause> {
        let left = self.bytes_left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes as u64));
        if left.is_err() {
            self.is_spent.store(true, Ordering::Relaxed);
            return Err(Cause::TooLarge(self.limit));
        }
        Ok(())
    }

    /// Counts one more entry of an archive.
    pub(super) fn enter(&self) -> Result<(), Cause> {
        if self.entries.fetch_add(1, Ordering::Relaxed) >= ENTRIES_MAX { Err(Cause::TooMany) } else { Ok(()) }
    }

    /// The reason behind an error that came through somebody else's code.
    pub(super) fn judge(&self, cause: Cause) -> Cause {
        match cause {
            Cause::Io(_) | Cause::Archive(_) if self.is_spent.load(Ordering::Relaxed) => Cause::TooLarge(self.limit),
            other => other,
        }
    }
}

/// A reader whose bytes are counted.
pub(super) struct Metered<'a, R> {
    pub(super) inner: R,
    pub(super) budget: &'a Budget,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.budget.halted.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let bytes = self.inner.read(buffer)?;
        self.budget.spend(bytes).map_err(|spent| io::Error::other(spent.to_string()))?;
        Ok(bytes)
    }
}
