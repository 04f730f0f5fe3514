//! What goes on while files are read and sent: progress for the user, and a way to stop.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// 250 ms: short uploads stay quiet, long ones show life before one wonders.
const QUIET: Duration = Duration::from_millis(250);

/// Set by Ctrl-C: reading stops at the next block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(crate) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A progress bar on standard error that stays hidden for a moment, and for ever where nobody looks.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    since: Instant,
    wanted: bool,
}

impl Progress {
    /// Bytes without a known end, while files are packed.
    pub(crate) fn packing(wanted: bool) -> Self {
        Self::new(wanted, ProgressBar::no_length(), "{spinner} packing {bytes}")
    }

    /// Bytes of a known total, while they are sent.
    pub(crate) fn sending(wanted: bool, total: u64) -> Self {
        Self::new(wanted, ProgressBar::new(total), "sending {wide_bar} {bytes}/{total_bytes} {eta}")
    }

    fn new(wanted: bool, bar: ProgressBar, template: &str) -> Self {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::with_template(template).expect("the template is constant and reads"));
        Self { bar, since: Instant::now(), wanted }
    }

    /// Counts bytes, and shows itself when it has taken long enough.
    pub(crate) fn advance(&self, bytes: u64) {
        if self.wanted && self.bar.is_hidden() && self.since.elapsed() >= QUIET {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(bytes);
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A reader that counts what passes and ends when the user cancels.
pub(super) struct Watched<'a, R> {
    inner: R,
    cancel: &'a Cancel,
    progress: &'a Progress,
    pub(super) seen: u64,
}

impl<'a, R: Read> Watched<'a, R> {
    pub(super) fn new(inner: R, cancel: &'a Cancel, progress: &'a Progress) -> Self {
        Self { inner, cancel, progress, seen: 0 }
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            // Not `Interrupted`, which `io::copy` takes for "try again".
            return Err(io::Error::other("cancelled"));
        }
        let bytes = self.inner.read(block)?;
        self.seen += bytes as u64;
        self.progress.advance(bytes as u64);
        Ok(bytes)
    }
}
