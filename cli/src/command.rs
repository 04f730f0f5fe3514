//! A command line, as typed and as sent: its words, and what becomes of the ones that name files.

use ocho_core::command_line;

/// A line that can be sent: cut into words, without anything a header cannot carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    words: Vec<String>,
}

/// Why a line cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("the command line does not read")]
    Words(#[from] ocho_core::command_line::CommandLineError),
    #[error("the command line has {what} at character {at}, which cannot be sent")]
    Control { what: &'static str, at: usize },
    #[error("a word of the command is not text in UTF-8")]
    NotUtf8,
}

impl Line {
    /// Reads a line as typed at the prompt. What needs no change is sent as it was typed.
    pub(crate) fn parse(text: &str) -> Result<Self, LineError> {
        let text = text.trim();
        if let Some((at, c)) = text.chars().enumerate().find(|(_, c)| c.is_control() && *c != '\t') {
            let what = if c == '\n' || c == '\r' { "a line break" } else { "a control character" };
            return Err(LineError::Control { what, at: at + 1 });
        }
        Ok(Self { text: text.to_owned(), words: command_line::split(text)? })
    }

    /// Reads the words of a program's arguments. One word alone is a whole line (`"ls -j"`), several are quoted as needed.
    pub(crate) fn from_words(words: &[String]) -> Result<Self, LineError> {
        match words {
            [line] => Self::parse(line),
            words => Self::parse(&command_line::join(words)),
        }
    }

    /// The words, without their quotes.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// What is sent in the header, and signed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The same line with other words.
    pub(crate) fn with_words(self, words: Vec<String>) -> Self {
        if words == self.words {
            return self;
        }
        Self { text: command_line::join(&words), words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Line::from_words(&words).unwrap().text().to_owned()
    }

    #[test]
    fn arguments_become_a_line() {
        assert_eq!(sent(&["ls", "-j"]), "ls -j");
        assert_eq!(sent(&["grep  *web* -j"]), "grep  *web* -j");
        assert_eq!(sent(&["exec", "*", "--force", "run", "a b"]), "exec * --force run 'a b'");
        assert_eq!(sent(&[]), "");
        assert_eq!(sent(&["  help "]), "help");
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        let text = |line: &str| crate::blame::Failure::from(Line::parse(line).unwrap_err()).chain();
        assert_eq!(text("ls 'x"), "the command line does not read: the quote ' at character 4 is never closed");
        assert_eq!(text("a\nb"), "the command line has a line break at character 2, which cannot be sent");
        assert_eq!(text("a\u{1b}b"), "the command line has a control character at character 2, which cannot be sent");
    }

    #[test]
    fn a_line_that_is_not_changed_stays_as_typed() {
        let line = Line::parse("grep  '*web*' # what").unwrap();
        let words = line.words().to_vec();
        assert_eq!(line.clone().with_words(words).text(), "grep  '*web*' # what");
        assert_eq!(line.with_words(vec!["grep".into(), "a b".into()]).text(), "grep 'a b'");
    }
}
