//! What a tool says beside its result: hints on standard error, and with `-d` what it does on standard output.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

static DEBUG: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_debug(is_on: bool) {
    DEBUG.store(is_on, Ordering::Relaxed);
}

/// Tells people something that programs do not read: a silent pod, a hint. It goes to standard error.
pub fn hint(text: impl Display) {
    #[cfg(target_family = "wasm")]
    eprintln!("{text}");
    #[cfg(not(target_family = "wasm"))]
    crate::pretend::hear_err(&text.to_string());
}

/// Tells with `-d` what goes on. It goes to standard output before the result, so that a line of JSON stays the last one.
pub fn debug(text: impl Display) {
    if DEBUG.load(Ordering::Relaxed) {
        #[cfg(target_family = "wasm")]
        println!("{text}");
        #[cfg(not(target_family = "wasm"))]
        crate::pretend::hear_out(&text.to_string());
    }
}
