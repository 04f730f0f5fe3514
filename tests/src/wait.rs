//! Waiting for something to become so.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `look` every 10 ms until it gives a value.
///
/// # Panics
/// Where it gives none `within` the time; the message says `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {within:?} for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks `is_so` every 10 ms until it is.
///
/// # Panics
/// Where it is not `within` the time.
#[track_caller]
pub fn until_so(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    until(what, within, || is_so().then_some(()));
}
