//! The daemon's log: to standard error, and the last part kept at hand for `log *portal*`.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// What is kept, as much as the original's log file holds.
const KEPT_BYTES: usize = 32_764;

static RECENT: Mutex<Recent> = Mutex::new(Recent { lines: VecDeque::new(), bytes: 0 });

struct Recent {
    lines: VecDeque<String>,
    bytes: usize,
}

/// The last lines of the log, oldest first, each with its newline.
#[must_use]
pub fn recent() -> Vec<String> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
}

/// Starts the log: `$OCHOD_LOG` says how much (`info`, `debug`, `ocho_host=debug`, ...), `$OCHOD_LOG_FORMAT=json` makes it JSON.
pub fn start() {
    let filter =
        || EnvFilter::try_from_env("OCHOD_LOG").unwrap_or_else(|_| EnvFilter::new("warn,ocho_host=info,ocho_local=info"));
    let as_json = std::env::var("OCHOD_LOG_FORMAT").is_ok_and(|format| format == "json");
    let out = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let out = if as_json { out.json().boxed() } else { out.boxed() };
    let kept = fmt::layer().with_writer(|| Keep).with_ansi(false);
    tracing_subscriber::registry().with(filter()).with(out).with(kept).init();
}

/// Takes one line at a time: the formatter writes each event whole.
struct Keep;

impl Write for Keep {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += line.len();
        recent.lines.push_back(String::from_utf8_lossy(line).into_owned());
        while recent.bytes > KEPT_BYTES {
            let Some(oldest) = recent.lines.pop_front() else { break };
            recent.bytes = recent.bytes.saturating_sub(oldest.len());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
