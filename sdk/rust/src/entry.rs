//! From words to exit code: reads the arguments, runs the tool, prints what it left.

use std::io::Write;

use crate::args::{Found, Usage};
use crate::report::{Failure, Report};

/// Makes a crate a plugin: `tool!(usage, run)`, where `usage` gives the tool's [`Usage`] and `run` is an
/// `async fn(Found) -> Result<Report, Failure>`.
#[macro_export]
macro_rules! tool {
    ($usage:path, $run:path) => {
        #[cfg(target_family = "wasm")]
        mod entry {
            #![expect(unsafe_code, reason = "the export crosses the component boundary")]
            struct Tool;

            impl $crate::wasip3::exports::cli::run::Guest for Tool {
                async fn run() -> Result<(), ()> {
                    $crate::enter($usage(), $run).await
                }
            }

            $crate::wasip3::cli::command::export!(Tool with_types_in $crate::wasip3);
        }
    };
}

/// Runs a tool with the process's arguments. `Err` is exit code 1.
///
/// # Errors
/// Where the arguments are wrong, or the tool failed.
pub async fn enter(usage: Usage, run: impl AsyncFnOnce(Found) -> Result<Report, Failure>) -> Result<(), ()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (text, is_ok) = answer(&usage, &words, run).await;
    // Nobody is left to be told that the output cannot be written.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if is_ok { Ok(()) } else { Err(()) }
}

/// Runs a tool with these words; gives what it prints on standard output at its end, and whether it succeeded.
pub async fn answer<S: AsRef<str>>(
    usage: &Usage,
    words: &[S],
    run: impl AsyncFnOnce(Found) -> Result<Report, Failure>,
) -> (String, bool) {
    let found = match usage.read(words) {
        Ok(found) => found,
        Err(stop) => return (format!("{}\n", stop.text()), stop.is_ok()),
    };
    crate::note::set_debug(found.flag("debug"));
    match run(found).await {
        Ok(report) => (report.output(), report.is_ok()),
        Err(failure) => (failure.output(), false),
    }
}
