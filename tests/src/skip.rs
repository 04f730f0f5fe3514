//! Tests that cannot run on this machine say so.

use std::env;
use std::io::{Write, stderr};

/// Says that the test `name` does not run and why; the test returns after it. `cargo xtask test` counts these lines.
///
/// # Panics
/// With `CI=true`: there, everything that tests need is to be installed.
pub fn skip(name: &str, why: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "`{name}` cannot be skipped here: {why}");
    // Not `eprintln!`: the test runner would keep that to itself.
    let line = format!("skipped: {name}: {}\n", why.replace('\n', " "));
    let _ = stderr().write_all(line.as_bytes());
}
