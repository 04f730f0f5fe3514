//! The conversation: lines typed at a prompt, or read from a file, one command each.

mod catalog;
mod complete;
mod editor;
mod history;
mod topics;

use std::io::{BufRead, ErrorKind, Read};
use std::process::ExitCode;

use tokio::runtime::Runtime;

use crate::blame::Failure;
use crate::command::{Line, LineError};
use crate::runner::{Ending, Runner};
use catalog::Catalog;
use editor::{Editor, Input};
use topics::Topic;

/// A longer line is no command.
const LINE_LIMIT_BYTES: u64 = 1 << 20;

/// Talks with a person until they leave.
pub(crate) fn converse(runner: &Runner, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let screen = runner.screen;
    screen.note("welcome to the ocho CLI ! (CTRL-C or exit to get out)");
    if !runner.client.has_token() {
        screen.note("warning, $OCHOPOD_TOKEN is undefined");
    }
    let catalog = Catalog::of(runner.client.clone(), runtime.handle().clone());
    catalog.learn(&Topic::Tools);
    let mut editor = Editor::new(runner.client.target().label(), screen, catalog);
    loop {
        match editor.read()? {
            Input::Leave => return Ok(ExitCode::SUCCESS),
            Input::Nothing => {}
            Input::Line(line) if line.trim() == "exit" => return Ok(ExitCode::SUCCESS),
            Input::Line(line) => {
                let line = Line::parse(&line).map_err(Failure::from);
                runtime.block_on(runner.run(line));
            }
        }
    }
}

/// Runs the lines of a file or a pipe. The exit code is that of the last line that failed.
pub(crate) fn follow_lines(runner: &Runner, runtime: &Runtime, lines: &mut impl BufRead) -> Result<ExitCode, Failure> {
    let mut last_failed = Ending::Succeeded;
    while let Some(line) = next_line(lines)? {
        if line.as_ref().is_ok_and(|line| line.words() == ["exit"]) {
            break;
        }
        let ending = runtime.block_on(runner.run(line));
        if ending != Ending::Succeeded {
            last_failed = ending;
        }
    }
    Ok(last_failed.into())
}

/// The next line of the input, or why it is none; nothing at its end.
fn next_line(lines: &mut impl BufRead) -> Result<Option<Result<Line, Failure>>, Failure> {
    let unreadable = |cause| Failure::Machine { what: "cannot read standard input", cause };
    let mut bytes = Vec::new();
    let read = lines.by_ref().take(LINE_LIMIT_BYTES).read_until(b'\n', &mut bytes).map_err(unreadable)?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 == LINE_LIMIT_BYTES && !bytes.ends_with(b"\n") {
        let cause = std::io::Error::new(ErrorKind::InvalidData, "a line is longer than 1 MiB");
        return Err(unreadable(cause));
    }
    let text = String::from_utf8(bytes).map_err(|_| LineError::NotUtf8);
    Ok(Some(text.and_then(|text| Line::parse(&text)).map_err(Failure::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blame::Blame;

    #[test]
    fn lines_end_at_the_end_of_the_input() {
        let mut input = &b"ls -j\r\n\n\xff\n'x\nhelp"[..];
        let mut next =
            || next_line(&mut input).unwrap().map(|line| line.map(|line| line.text().to_owned()).map_err(|e| e.chain()));
        assert_eq!(next(), Some(Ok("ls -j".to_owned())));
        assert_eq!(next(), Some(Ok(String::new())));
        assert_eq!(next(), Some(Err("a word of the command is not text in UTF-8".to_owned())));
        assert_eq!(next(), Some(Err("the command line does not read: the quote ' at character 1 is never closed".to_owned())));
        assert_eq!(next(), Some(Ok("help".to_owned())));
        assert_eq!(next(), None);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut input = std::io::BufReader::new(std::io::repeat(b'x'));
        let failure = next_line(&mut input).unwrap_err();
        assert_eq!(failure.chain(), "cannot read standard input: a line is longer than 1 MiB");
        assert_eq!(failure.blame(), Blame::Host);
    }
}
