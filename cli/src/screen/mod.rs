//! What the user sees: results on standard output, everything else on standard error.

mod harmless;
mod output;
mod spinner;
mod status;
mod tables;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use nu_ansi_term::{Color, Style};
use terminal_size::{Width, terminal_size_of};

use crate::blame::Failure;
use harmless::Harmless;
pub(crate) use output::{Output, Reader};
pub(crate) use spinner::Spinner;
use status::Status;

/// Of a terminal that does not tell.
const USUAL_COLUMNS: usize = 80;

/// Where things are printed, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    out_is_terminal: bool,
    err_is_terminal: bool,
    /// Whether a terminal can be told to go back in a line.
    moves: bool,
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
            moves: !dumb,
            colour: !no_colour && !dumb,
        }
    }

    /// Whether somebody watches standard error, so that progress has a reader.
    pub(crate) fn shows_progress(self) -> bool {
        self.err_is_terminal
    }

    /// Says what takes its time, after a moment and until the value is dropped.
    pub(crate) fn after_a_while(self, text: &str) -> Spinner {
        Spinner::start(self.err_is_terminal, text)
    }

    /// Whether text on a terminal has colours.
    pub(crate) fn has_colour(self) -> bool {
        self.colour
    }

    /// What a run prints goes through here.
    pub(crate) fn output(self) -> Output {
        Output::new(self.out_is_terminal.then(|| columns(io::stdout())), self.err_is_terminal, self.colour)
    }

    /// The same for a run that is followed: what it waits for is one line that changes, where somebody looks.
    pub(crate) fn live_output(self) -> Output {
        let status = (self.err_is_terminal && self.moves).then(|| Status::new(columns(io::stderr())));
        self.output().with_status(status)
    }

    /// Prints a result and ends its line. Nothing if it is empty.
    pub(crate) fn result(self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let mut output = self.output();
        output.out(text)?;
        output.out("\n")?;
        output.end()?;
        Ok(())
    }

    /// Prints why something did not work, and what to do.
    pub(crate) fn problem(self, failure: &Failure) {
        self.error(&failure.chain());
        if let Some(hint) = failure.hint() {
            self.hint(hint);
        }
    }

    /// Prints why something did not work.
    pub(crate) fn error(self, text: &str) {
        self.message("error", Color::Red, text);
    }

    /// Prints a piece of advice.
    pub(crate) fn hint(self, text: &str) {
        self.message("hint", Color::Cyan, text);
    }

    /// Prints a piece of advice where a person looks at the results.
    pub(crate) fn hint_if_watched(self, text: &str) {
        if self.out_is_terminal {
            self.hint(text);
        }
    }

    /// Prints a line that belongs to the conversation, not to the result.
    pub(crate) fn note(self, text: &str) {
        // Nobody is left to tell it to when standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn message(self, label: &str, colour: Color, text: &str) {
        let style = if self.colour && self.err_is_terminal { colour.bold() } else { Style::new() };
        self.note(&format!("{}: {}", style.paint(label), Harmless::whole(text, false)));
    }
}

fn columns(terminal: impl AsFd) -> usize {
    terminal_size_of(terminal).map_or(USUAL_COLUMNS, |(Width(width), _)| width.into())
}
