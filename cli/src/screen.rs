//! What the user sees: results on standard output, everything else on standard error.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use nu_ansi_term::{Color, Style};

use crate::blame::Failure;

/// Where things are printed, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    out_is_terminal: bool,
    err_is_terminal: bool,
    colour: bool,
}

impl Screen {
    /// Looks at the two streams and at `NO_COLOR` and `TERM`.
    pub(crate) fn detect() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            colour: !no_colour && !dumb,
        }
    }

    /// Whether somebody watches standard error, so that progress has a reader.
    pub(crate) fn shows_progress(self) -> bool {
        self.err_is_terminal
    }

    /// Whether text on a terminal has colours.
    pub(crate) fn has_colour(self) -> bool {
        self.colour
    }

    /// Prints what a tool printed: byte for byte on a pipe, without tricks on a terminal. Nothing if it is empty.
    pub(crate) fn result(self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let shown = if self.out_is_terminal { harmless(text, self.colour) } else { Cow::Borrowed(text) };
        let mut out = io::stdout().lock();
        quietly(out.write_all(shown.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
            .map_err(|cause| Failure::Machine { what: "cannot write to standard output", cause })
    }

    /// Prints why something did not work, and what to do.
    pub(crate) fn problem(self, failure: &Failure) {
        self.message("error", Color::Red, &failure.chain());
        if let Some(hint) = failure.hint() {
            self.hint(hint);
        }
    }

    /// Prints a piece of advice.
    pub(crate) fn hint(self, text: &str) {
        self.message("hint", Color::Cyan, text);
    }

    /// Prints a line that belongs to the conversation, not to the result.
    pub(crate) fn note(self, text: &str) {
        self.line(text);
    }

    /// Says that a tool printed nothing, where a person looks at nothing.
    pub(crate) fn hint_if_watched(self, text: &str) {
        if self.out_is_terminal {
            self.hint(text);
        }
    }

    fn message(self, label: &str, colour: Color, text: &str) {
        let style = if self.colour && self.err_is_terminal { colour.bold() } else { Style::new() };
        self.line(&format!("{}: {}", style.paint(label), harmless(text, false)));
    }

    fn line(self, text: &str) {
        // Nobody is left to tell it to when standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn quietly(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Text for a terminal. A pod's log may hold anything: of all control sequences only colours remain, the rest is
/// spelled out, so that nobody's screen is cleared, renamed or forged by what a container printed.
fn harmless(text: &str, colour: bool) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut coloured = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = colour_sequence(rest) {
            if colour {
                shown.push_str(sequence);
                coloured = true;
            }
            rest = &rest[sequence.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if rest.starts_with('\n') => {}
            '\r' => shown.push('\n'),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if coloured {
        shown.push_str("\x1b[0m");
    }
    Cow::Owned(shown)
}

/// The colour sequence (`ESC [ digits and semicolons m`) that a text begins with.
fn colour_sequence(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then(|| &text[..2 + end + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_colours_and_no_other_sequences() {
        let log = "a\x1b[1;31mred\x1b[0m\x1b[2J\x1b]0;title\x07 50%\r100%\r\nend\u{9b}2J";
        assert_eq!(harmless(log, true), "a\x1b[1;31mred\x1b[0m\\u{1b}[2J\\u{1b}]0;title\\u{7} 50%\n100%\nend\\u{9b}2J\x1b[0m");
        assert_eq!(harmless(log, false), "ared\\u{1b}[2J\\u{1b}]0;title\\u{7} 50%\n100%\nend\\u{9b}2J");
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in ["", "a\tb\nc", "é😀"] {
            assert!(matches!(harmless(text, true), Cow::Borrowed(same) if same == text));
        }
    }
}
