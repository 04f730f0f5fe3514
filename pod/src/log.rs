//! The pod's log: the last lines in memory, for `/log`, and the same on standard output.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The original kept one file of at most this size, and its clients know `/log` as that.
const KEPT_BYTES: usize = 32_764;
/// A longer line is cut: one line must not push everything else out.
const LINE_BYTES: usize = 4_096;

/// The last lines of the log. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Log {
    kept: Arc<Mutex<Kept>>,
    echo: bool,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Log {
    /// A log that shows its lines on standard output too.
    #[must_use]
    pub fn echoing() -> Self {
        Self { echo: true, ..Self::default() }
    }

    /// Adds a line, with the time before it and a newline behind it. Bytes that are no text have been replaced before.
    pub fn add(&self, level: Level, text: &str) {
        let text = cut(text);
        let line = format!("{} - {level} - {text}\n", Stamp(SystemTime::now()));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.len();
        kept.lines.push_back(line);
        while kept.bytes > KEPT_BYTES {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes -= oldest.len();
        }
        drop(kept);
        if self.echo {
            // A closed standard output is no reason to stop.
            let _ = writeln!(std::io::stdout().lock(), "{level} - {text}");
        }
    }

    /// The lines, oldest first, each with its newline: at most 32,764 bytes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    /// A layer for `tracing` that writes here.
    #[must_use]
    pub fn layer<S: Subscriber>(&self, debug: bool) -> impl Layer<S> + use<S> {
        LogLayer { log: self.clone(), own: if debug { Level::DEBUG } else { Level::INFO } }
    }
}

fn cut(text: &str) -> &str {
    let text = text.trim_end_matches(['\n', '\r']);
    &text[..text.floor_char_boundary(LINE_BYTES)]
}

struct LogLayer {
    log: Log,
    own: Level,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Of the libraries below only trouble is of interest.
        let most = if metadata.target().starts_with("ochopod") { self.own } else { Level::WARN };
        if *metadata.level() > most {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        self.log.add(*metadata.level(), &text.finish());
    }
}

/// Message first, then the fields as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// `2026-11-20 20:04:09,690`, in UTC.
struct Stamp(SystemTime);

impl fmt::Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{:03}", since.subsec_millis())
    }
}

/// Year, month and day of a number of days since 1970-01-01. Counts in eras of 400 years that begin in March, so that a
/// leap day is the last day of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn stamps() {
        let at = |seconds: u64, millis: u32| Stamp(UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000)).to_string();
        assert_eq!(at(0, 0), "1970-01-01 00:00:00,000");
        assert_eq!(at(951_782_400, 7), "2000-02-29 00:00:00,007");
        assert_eq!(at(1_795_205_049, 690), "2026-11-20 20:04:09,690");
        assert_eq!(at(4_107_542_399, 999), "2100-02-28 23:59:59,999");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01 00:00:00,000");
    }

    #[test]
    fn b29_the_log_keeps_the_last_lines_within_its_size() {
        let log = Log::default();
        for n in 0..2_000 {
            log.add(Level::INFO, &format!("line {n}"));
        }
        log.add(Level::WARN, &"é".repeat(5_000));
        let lines = log.lines();
        assert!(lines.iter().map(String::len).sum::<usize>() <= KEPT_BYTES);
        assert!(lines[lines.len() - 2].ends_with(" - INFO - line 1999\n"), "{}", lines[lines.len() - 2]);
        assert!(lines.last().unwrap().len() < LINE_BYTES + 40);
    }

    #[test]
    fn events_become_lines() {
        let log = Log::default();
        let subscriber = tracing_subscriber::registry().with(log.layer(false));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "ochopod::x", seq = 3, node = "n", "registered");
            tracing::debug!(target: "ochopod::x", "not at this level");
            tracing::info!(target: "hyper", "not from there");
        });
        let lines = log.lines();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with(" - INFO - registered seq=3 node=n\n"), "{}", lines[0]);
    }
}
