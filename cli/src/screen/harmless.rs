//! Text for a terminal. A pod's log may hold anything: of all control sequences only colours remain, the rest is spelled
//! out, so that nobody's screen is cleared, renamed or forged by what a container printed.

/// A longer sequence is no colour.
const SEQUENCE_LIMIT_BYTES: usize = 32;

/// Makes text harmless, piece by piece: a sequence that is cut at the border of two pieces waits for its rest.
#[derive(Debug, Default)]
pub(super) struct Harmless {
    /// Whether colours remain.
    colour: bool,
    coloured: bool,
    held: String,
}

impl Harmless {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, ..Self::default() }
    }

    /// The whole text at once.
    pub(super) fn whole(text: &str, colour: bool) -> String {
        let mut filter = Self::new(colour);
        filter.push(text) + &filter.finish()
    }

    /// Takes the next piece, gives what can be shown.
    pub(super) fn push(&mut self, text: &str) -> String {
        let held = std::mem::take(&mut self.held);
        let text = format!("{held}{text}");
        let mut shown = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            if is_unfinished(rest) {
                rest.clone_into(&mut self.held);
                break;
            }
            rest = self.take(c, rest, &mut shown);
        }
        shown
    }

    /// What was held back, and the end of all colours.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let mut shown: String = held.chars().flat_map(char::escape_default).collect();
        if held == "\r" {
            "\n".clone_into(&mut shown);
        }
        if std::mem::take(&mut self.coloured) {
            shown.push_str("\x1b[0m");
        }
        shown
    }

    /// Shows the next character or sequence of `rest`, and gives what stands behind it.
    fn take<'a>(&mut self, c: char, rest: &'a str, shown: &mut String) -> &'a str {
        if let Some(sequence) = colour_sequence(rest) {
            if self.colour {
                shown.push_str(sequence);
                self.coloured = true;
            }
            return &rest[sequence.len()..];
        }
        let behind = &rest[c.len_utf8()..];
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if behind.starts_with('\n') => {}
            '\r' => shown.push('\n'),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
        behind
    }
}

/// Whether a text may become a colour sequence, or a line's end, with what follows it.
fn is_unfinished(text: &str) -> bool {
    text == "\r" || text == "\x1b" || text.len() < SEQUENCE_LIMIT_BYTES && text.strip_prefix("\x1b[").is_some_and(is_parameters)
}

/// The colour sequence (`ESC [ digits and semicolons m`) that a text begins with.
fn colour_sequence(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("\x1b[")?;
    // No further: a text full of beginnings would be looked through once for each of them.
    let end = inside.bytes().take(SEQUENCE_LIMIT_BYTES).position(|byte| byte == b'm')?;
    is_parameters(&inside[..end]).then(|| &text[..2 + end + 1])
}

fn is_parameters(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "a\x1b[1;31mred\x1b[0m\x1b[2J\x1b]0;title\x07 50%\r100%\r\nend\u{9b}2J";

    #[test]
    fn colours_remain_and_nothing_else() {
        assert_eq!(
            Harmless::whole(LOG, true),
            "a\x1b[1;31mred\x1b[0m\\u{1b}[2J\\u{1b}]0;title\\u{7} 50%\n100%\nend\\u{9b}2J\x1b[0m"
        );
        assert_eq!(Harmless::whole(LOG, false), "ared\\u{1b}[2J\\u{1b}]0;title\\u{7} 50%\n100%\nend\\u{9b}2J");
    }

    #[test]
    fn it_does_not_matter_where_text_is_cut() {
        for colour in [true, false] {
            let mut filter = Harmless::new(colour);
            let pieces: String = LOG.chars().map(|c| filter.push(&c.to_string())).collect();
            assert_eq!(pieces + &filter.finish(), Harmless::whole(LOG, colour));
        }
    }

    #[test]
    fn what_never_ends_is_shown() {
        assert_eq!(Harmless::whole("x\x1b", true), "x\\u{1b}");
        assert_eq!(Harmless::whole("x\r", true), "x\n");
        assert_eq!(Harmless::whole("\x1b[1;3", true), "\\u{1b}[1;3");
        let endless = format!("\x1b[{}", "1".repeat(100));
        for text in [endless.clone(), endless + "m"] {
            assert_eq!(Harmless::whole(&text, true), text.replace('\x1b', "\\u{1b}"));
        }
        let beginnings = "\x1b[".repeat(1_000_000);
        assert_eq!(Harmless::whole(&beginnings, true).len(), beginnings.len() * 7 / 2);
        assert_eq!(Harmless::whole("é\t😀\n", true), "é\t😀\n");
    }
}
