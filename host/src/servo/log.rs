//! The log of a job: lines that the host adds and lines that the components print, in order, secrets masked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::masks::Masks;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host.
    Note,
    /// A component's standard output.
    Out,
    /// A component's standard error.
    Err,
    /// The same once more, for the reply of the compatible face, which shows the end of it where a job failed.
    Tail,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it comes from.
    pub kind: Kind,
    /// Without its end; what is not UTF-8 is replaced.
    pub text: String,
}

impl Line {
    /// As it is kept and shown in one text: standard error is told from the rest.
    #[must_use]
    pub fn kept(&self) -> String {
        format!("{}{}\n", self.mark(), self.text)
    }

    /// How long that is.
    fn kept_bytes(&self) -> usize {
        self.mark().len() + self.text.len() + 1
    }

    fn mark(&self) -> &'static str {
        if self.kind == Kind::Err { "[stderr] " } else { "" }
    }
}

/// What a log holds. A line may be empty, so it has a cost besides its text.
const LOG_BYTES: usize = 16 << 20;
const LINE_COST: usize = 32;

/// What stands where a log was too long to be kept.
const LEFT_OUT: &str = "... (the rest of the log is not kept)\n";
/// Notes that are kept of what is left out: why the host ended a part, how long it took, why the job failed.
const CLOSING_NOTES: usize = 3;
/// The most of each of them.
const CLOSING_NOTE_BYTES: usize = 4096;

/// A log that grows while any number of readers follow it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JobLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
    masks: RwLock<Masks>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Line>,
    /// What the lines cost.
    bytes: usize,
    full: bool,
    closed: bool,
}

impl JobLog {
    /// An empty log that masks these secrets.
    #[must_use]
    pub fn new(masks: Masks) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), news: Notify::new(), masks: RwLock::new(masks) }))
    }

    /// What it masks.
    #[must_use]
    pub fn masks(&self) -> Masks {
        self.0.masks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Masks these texts too, from now on.
    pub fn mask(&self, secrets: Vec<String>) {
        let masks = self.masks().and(secrets);
        *self.0.masks.write().unwrap_or_else(PoisonError::into_inner) = masks;
    }

    /// Adds a line of the host.
    pub fn note(&self, text: impl Into<String>) {
        self.add(Kind::Note, text.into());
    }

    /// Adds a line of a component.
    pub fn printed(&self, kind: Kind, bytes: &[u8]) {
        self.add(kind, String::from_utf8_lossy(bytes).into_owned());
    }

    fn add(&self, kind: Kind, text: String) {
        let text = self.masks().hide(text);
        let mut state = self.lock();
        // What the host has to say is little, and always kept.
        let is_kept = kind == Kind::Note || state.bytes < LOG_BYTES;
        if is_kept {
            state.bytes += text.len() + LINE_COST;
            state.lines.push(Line { kind, text });
        } else if !state.full {
            state
                .lines
                .push(Line { kind: Kind::Note, text: "... (the log is full, the rest of the output is not kept)".to_owned() });
        }
        state.full |= !is_kept;
        drop(state);
        self.0.news.notify_waiters();
    }

    /// How much it holds, with what each line costs the host.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Says that nothing more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.0.news.notify_waiters();
    }

    /// What the compatible face replies with.
    #[must_use]
    pub fn compatible(&self) -> Vec<String> {
        let state = self.lock();
        state.lines.iter().filter(|line| line.kind != Kind::Err).map(|line| line.text.clone()).collect()
    }

    /// All lines as they came.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lock().lines.iter().filter(|line| line.kind != Kind::Tail).cloned().collect()
    }

    /// Its text, or of one that is longer than this the beginning and the last notes, which tell how it ended.
    #[must_use]
    pub fn kept(&self, bytes: usize) -> String {
        let lines = self.lines();
        if lines.iter().map(Line::kept_bytes).sum::<usize>() <= bytes {
            return lines.iter().map(Line::kept).collect();
        }
        let mut text = String::new();
        let room = bytes.saturating_sub(CLOSING_NOTES * CLOSING_NOTE_BYTES + LEFT_OUT.len());
        let mut rest = lines.iter().peekable();
        while let Some(line) = rest.next_if(|line| text.len() + line.kept_bytes() <= room) {
            text.push_str(&line.kept());
        }
        text.push_str(LEFT_OUT);
        let notes: Vec<&Line> = rest.filter(|line| line.kind == Kind::Note).collect();
        for note in &notes[notes.len().saturating_sub(CLOSING_NOTES)..] {
            text.push_str(&note.text[..note.text.floor_char_boundary(CLOSING_NOTE_BYTES - 1)]);
            text.push('\n');
        }
        text
    }

    /// Gives lines from `seen` on, which it moves; waits for some; nothing once the job is over and all is read.
    pub async fn next(&self, seen: &mut usize) -> Option<Vec<Line>> {
        loop {
            let mut news = std::pin::pin!(self.0.news.notified());
            // From here on a notification is not missed, also before the first poll.
            news.as_mut().enable();
            let fresh = {
                let state = self.lock();
                let fresh: Vec<Line> = state.lines[*seen..].to_vec();
                if fresh.is_empty() && state.closed {
                    return None;
                }
                fresh
            };
            *seen += fresh.len();
            let fresh: Vec<Line> = fresh.into_iter().filter(|line| line.kind != Kind::Tail).collect();
            if !fresh.is_empty() {
                return Some(fresh);
            }
            news.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts what comes in pieces into lines: at `\n` only, as the original does; the last one needs no end.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// The lines that are complete with these bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.0);
            line.extend_from_slice(&rest[..end]);
            lines.push(line);
            rest = &rest[end + 1..];
        }
        self.0.extend_from_slice(rest);
        lines
    }

    /// What came behind the last end of a line.
    pub(super) fn rest(self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_line_feeds_only() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"a\r\n\nb\t"), [b"a\r".to_vec(), b"".to_vec()]);
        assert_eq!(lines.take(b"\0\nx"), [b"b\t\0".to_vec()]);
        assert_eq!(lines.rest(), Some(b"x".to_vec()));
        assert_eq!(Lines::default().rest(), None);
    }

    #[test]
    fn a_full_log_takes_only_what_the_host_says() {
        let log = JobLog::new(Masks::default());
        (0..=LOG_BYTES / LINE_COST).for_each(|_| log.printed(Kind::Out, b""));
        log.printed(Kind::Err, b"lost");
        log.note("failure (x)");
        let lines = log.lines();
        assert_eq!(lines.len(), LOG_BYTES / LINE_COST + 2);
        let last: Vec<&str> = lines[lines.len() - 2..].iter().map(|line| line.text.as_str()).collect();
        assert_eq!(last, ["... (the log is full, the rest of the output is not kept)", "failure (x)"]);
    }

    #[test]
    fn what_is_kept_of_a_long_log_tells_its_end() {
        const KEPT: usize = 64 << 10;
        let log = JobLog::new(Masks::default());
        log.note("$CALLBACK = x");
        log.printed(Kind::Err, b"one");
        assert_eq!(log.kept(KEPT), "$CALLBACK = x\n[stderr] one\n");
        (0..KEPT).for_each(|_| log.printed(Kind::Out, b"line"));
        ["early", "ended", &"\u{e9}".repeat(KEPT), "failure (x)"].into_iter().for_each(|note| log.note(note));
        let kept = log.kept(KEPT);
        assert!(kept.starts_with("$CALLBACK = x\n[stderr] one\nline\n") && kept.len() <= KEPT, "{}", kept.len());
        let closing: Vec<&str> = kept.lines().skip_while(|line| !line.starts_with("...")).collect();
        assert_eq!((closing[0], closing[1], closing[3]), (LEFT_OUT.trim_end(), "ended", "failure (x)"));
        assert_eq!((closing[2].chars().count(), closing.len()), ((CLOSING_NOTE_BYTES - 1) / 2, 4));
        // One line can be all that is too long.
        let log = JobLog::new(Masks::default());
        log.printed(Kind::Out, &vec![b'x'; KEPT]);
        log.note("failure (y)");
        assert_eq!(log.kept(KEPT), format!("{LEFT_OUT}failure (y)\n"));
    }

    #[tokio::test]
    async fn readers_follow_to_the_end() {
        let log = JobLog::new(Masks::of(["hunter22".to_owned()]));
        log.note("$A = 1");
        log.printed(Kind::Err, b"it is hunter22, \xff");
        log.printed(Kind::Tail, b"tail");
        let mut seen = 0;
        let line = |kind, text: &str| Line { kind, text: text.to_owned() };
        let first = log.next(&mut seen).await.unwrap();
        assert_eq!(first, [line(Kind::Note, "$A = 1"), line(Kind::Err, "it is ******, \u{fffd}")]);
        let (theirs, mut at) = (log.clone(), seen);
        let waiting = tokio::spawn(async move { (theirs.next(&mut at).await, theirs.next(&mut at).await) });
        tokio::task::yield_now().await;
        log.printed(Kind::Out, b"x");
        log.close();
        assert_eq!(waiting.await.unwrap(), (Some(vec![line(Kind::Out, "x")]), None));
        assert_eq!(log.compatible(), ["$A = 1", "tail", "x"]);
    }
}
