//! What a tool prints, as it prints it.

use std::io::{self, ErrorKind, Write};

use super::harmless::Harmless;
use super::status::Status;
use super::tables::Tables;
use crate::blame::Failure;

/// Whether somebody still reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    There,
    /// `| head` has seen enough. That is no failure.
    Gone,
}

/// The two streams of one run: byte for byte on a pipe, without tricks on a terminal.
#[derive(Debug)]
pub(crate) struct Output {
    out: Channel,
    err: Channel,
    /// What a followed run waits for.
    status: Option<Status>,
}

#[derive(Debug, Default)]
struct Channel {
    /// Only a terminal needs one.
    filter: Option<Harmless>,
    /// Only results on a terminal have any.
    tables: Option<Tables>,
    /// The text so far ends within a line.
    within_line: bool,
    /// Anything was printed.
    used: bool,
}

impl Output {
    /// For streams that are terminals or not; `columns` is the width of standard output if it is one.
    pub(super) fn new(columns: Option<usize>, err_is_terminal: bool, colour: bool) -> Self {
        let filter = |is_terminal: bool| is_terminal.then(|| Harmless::new(colour));
        let out = Channel {
            filter: filter(columns.is_some()),
            tables: columns.map(|columns| Tables::new(columns, colour)),
            ..Channel::default()
        };
        let err = Channel { filter: filter(err_is_terminal), ..Channel::default() };
        Self { out, err, status: None }
    }

    pub(super) fn with_status(self, status: Option<Status>) -> Self {
        Self { status, ..self }
    }

    /// Prints some standard output of the tool.
    pub(crate) fn out(&mut self, text: &str) -> Result<Reader, Failure> {
        self.hide_status();
        let reader = write(&mut io::stdout().lock(), &self.out.take(text))?;
        self.show_status();
        Ok(reader)
    }

    /// Prints some standard error of the tool.
    pub(crate) fn err(&mut self, text: &str) {
        self.hide_status();
        let at_line_start = self.is_at_line_start();
        let told = self.status.as_mut().filter(|_| at_line_start).map(|status| status.take(text));
        self.err.used |= !text.is_empty();
        write_err(&self.err.take(told.as_deref().unwrap_or(text)));
        self.show_status();
    }

    /// The line of the status would cover text that stands before it.
    fn is_at_line_start(&self) -> bool {
        !self.out.within_line && !self.err.within_line
    }

    fn hide_status(&mut self) {
        if let Some(status) = &mut self.status {
            write_err(status.hide());
        }
    }

    fn show_status(&mut self) {
        let at_line_start = self.is_at_line_start();
        if let Some(status) = self.status.as_mut().filter(|_| at_line_start) {
            write_err(&status.show());
        }
    }

    /// Whether the tool printed anything at all.
    pub(crate) fn is_unused(&self) -> bool {
        !self.out.used && !self.err.used
    }

    /// Ends the last lines, so that what comes next begins a new one.
    pub(crate) fn end(&mut self) -> Result<Reader, Failure> {
        self.status = None;
        write_err(&self.err.end());
        write(&mut io::stdout().lock(), &self.out.end())
    }
}

impl Channel {
    fn take(&mut self, text: &str) -> String {
        let mut shown = self.filter.as_mut().map_or_else(|| text.to_owned(), |filter| filter.push(text));
        if let Some(tables) = &mut self.tables {
            shown = tables.push(&shown);
        }
        self.used |= !text.is_empty();
        if let Some(last) = text.chars().last() {
            self.within_line = last != '\n';
        }
        shown
    }

    fn end(&mut self) -> String {
        let mut shown = self.filter.as_mut().map(Harmless::finish).unwrap_or_default();
        if let Some(tables) = &mut self.tables {
            shown = tables.push(&shown) + &tables.finish();
        }
        if std::mem::take(&mut self.within_line) {
            shown.push('\n');
        }
        shown
    }
}

fn write_err(text: &str) {
    // Nobody is left to tell it to when standard error is closed.
    let _ = write(&mut io::stderr().lock(), text);
}

fn write(stream: &mut impl Write, text: &str) -> Result<Reader, Failure> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(cause) => Err(Failure::Machine { what: "cannot write to standard output", cause }),
    }
}
