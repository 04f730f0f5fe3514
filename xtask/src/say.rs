//! Progress lines on standard error: `[ 1:23] building the tools`.

use std::sync::LazyLock;
use std::time::Instant;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Starts the clock of the progress lines.
pub(crate) fn start() {
    LazyLock::force(&STARTED);
}

/// Says what happens next, with the minutes and seconds since the start.
pub(crate) fn step(what: impl std::fmt::Display) {
    let seconds = STARTED.elapsed().as_secs();
    eprintln!("[{:>2}:{:02}] {what}", seconds / 60, seconds % 60);
}

/// Says something about the step that runs.
pub(crate) fn note(what: impl std::fmt::Display) {
    eprintln!("        {what}");
}
