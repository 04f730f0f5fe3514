//! What a tool says beside its result: hints on standard error, and with `-d` what it does on standard output.

use std::cell::Cell;
use std::fmt::Display;

thread_local! {
    // A guest has one thread. Unit tests have many, each with a run of its own.
    static DEBUG: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn set_debug(is_on: bool) {
    DEBUG.set(is_on);
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
    if DEBUG.get() {
        #[cfg(target_family = "wasm")]
        println!("{text}");
        #[cfg(not(target_family = "wasm"))]
        crate::pretend::hear_out(&text.to_string());
    }
}
