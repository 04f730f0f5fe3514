//! Server-sent events: from bytes in any portions to events. No I/O.

use std::collections::VecDeque;

use tracing::warn;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentEvent {
    /// What `event:` said, or nothing.
    pub(super) name: String,
    /// The lines of `data:`, joined by line ends.
    pub(super) data: String,
}

/// Reads a stream of server-sent events.
#[derive(Debug)]
pub(super) struct Parser {
    /// Bytes of one event. A larger one is left out.
    limit: usize,
    is_first_line: bool,
    follows_return: bool,
    line: Vec<u8>,
    /// Bytes of this line, kept or not.
    line_bytes: usize,
    event: Event,
}

/// The event that is being read.
#[derive(Debug, Default)]
struct Event {
    name: String,
    data: Option<String>,
    /// Bytes so far, comments included.
    bytes: usize,
}

impl Parser {
    pub(super) fn new(limit: usize) -> Self {
        let (line, event) = (Vec::new(), Event::default());
        Self { limit, is_first_line: true, follows_return: false, line, line_bytes: 0, event }
    }

    /// Reads on; complete events go to `out`.
    pub(super) fn read(&mut self, bytes: &[u8], out: &mut VecDeque<SentEvent>) {
        for &byte in bytes {
            // A line ends by CR, by LF, or by both of them in this order.
            let follows_return = std::mem::replace(&mut self.follows_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\r' | b'\n' => out.extend(self.end_line()),
                other => self.take_byte(other),
            }
        }
    }

    fn take_byte(&mut self, byte: u8) {
        self.line_bytes += 1;
        self.event.bytes += 1;
        if self.is_too_large() {
            (self.line, self.event.data) = (Vec::new(), None);
        } else {
            self.line.push(byte);
        }
    }

    fn is_too_large(&self) -> bool {
        self.event.bytes > self.limit
    }

    fn end_line(&mut self) -> Option<SentEvent> {
        let line = std::mem::take(&mut self.line);
        let is_empty = std::mem::take(&mut self.line_bytes) == 0;
        let is_first = std::mem::take(&mut self.is_first_line);
        if is_empty {
            return self.end_event();
        }
        if !self.is_too_large() {
            let bare = if is_first { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) } else { &line };
            self.event.take_field(&String::from_utf8_lossy(bare));
        }
        None
    }

    fn end_event(&mut self) -> Option<SentEvent> {
        if self.is_too_large() {
            warn!(event = self.event.name, bytes = self.event.bytes, limit = self.limit, "left out an event that is too large");
        }
        // One without data is no event; comments keep a stream alive that way.
        let Event { name, data, .. } = std::mem::take(&mut self.event);
        Some(SentEvent { name, data: data? })
    }
}

impl Event {
    fn take_field(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("event", _) => value.clone_into(&mut self.name),
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", None) => self.data = Some(value.to_owned()),
            // `id` and `retry` are for clients that connect again by themselves; an empty field is a comment.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(portions: &[&[u8]], limit: usize) -> Vec<(String, String)> {
        let (mut parser, mut out) = (Parser::new(limit), VecDeque::new());
        for portion in portions {
            parser.read(portion, &mut out);
        }
        out.into_iter().map(|event| (event.name, event.data)).collect()
    }

    #[track_caller]
    fn check(text: &str, events: &[(&str, &str)]) {
        let events: Vec<_> = events.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect();
        assert_eq!(read(&[text.as_bytes()], 1_000), events, "{text:?}");
        let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes, 1_000), events, "{text:?} byte by byte");
    }

    #[test]
    fn streams() {
        check("event: a\r\ndata: {}\r\n\r\n", &[("a", "{}")]);
        check("event: a\ndata: {}\n\nevent: b\ndata: 1\n\n", &[("a", "{}"), ("b", "1")]);
        check("event: a\rdata: {}\r\revent: b\rdata: 1\r\r", &[("a", "{}"), ("b", "1")]);
        check("data:x\ndata: y\ndata\ndata:  z\n\n", &[("", "x\ny\n\n z")]);
        check("\u{feff}data: x\n\n\u{feff}data: y\n\n", &[("", "x")]);
        check(": comment\n\r\n\r\n\n:\n\nevent: a\n\nid: 7\nretry: 1\ndata: x\n\n", &[("", "x")]);
        check("event: a\nevent: b\nevent:c\ndata: x\n\n", &[("c", "x")]);
        check("data: {\"a\": \"b: c\"}\n\n", &[("", "{\"a\": \"b: c\"}")]);
        check("data: unfinished\n", &[]);
        check("garbage\n\nEVENT: a\n data: x\ndata: y\n\n", &[("", "y")]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(read(&[b"data: a\xff", b"\xc3", b"\xa4\n\n"], 100), [(String::new(), "a\u{fffd}\u{e4}".to_owned())]);
    }

    #[test]
    fn what_is_too_large_is_left_out_and_the_next_is_read() {
        for large in ["data: xxxxxxxxxxxxxxxxxxx\n\n", "data: 1\ndata: 2\ndata: 3\n\n", ": xxxxxxxxxxxxxxx\r\ndata: 1\r\n\r\n"] {
            let text = format!("{large}event: a\ndata: 1\n\n");
            assert_eq!(read(&[text.as_bytes()], 20), [("a".to_owned(), "1".to_owned())], "{large}");
        }
        let mut parser = Parser::new(20);
        parser.read(&[b'x'; 100_000], &mut VecDeque::new());
        assert!(parser.line.capacity() < 100);
    }

    proptest! {
        #[test]
        fn portions_make_no_difference(bytes: Vec<u8>, cut in 0_usize..64) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(read(&[&bytes[..cut], &bytes[cut..]], 32), read(&[&bytes], 32));
        }

        #[test]
        fn events_read_back(name in "[a-z_]{1,9}", data in "[ -~]{0,20}") {
            let text = format!("event: {name}\r\ndata: {data}\r\n\r\n");
            prop_assert_eq!(read(&[text.as_bytes()], 100), [(name, data)]);
        }
    }
}
