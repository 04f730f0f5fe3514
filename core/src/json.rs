//! JSON as the original's clients expect it: on one line, `", "` and `": "` between things, all beyond ASCII escaped.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Writes a value on one line in the original's style.
///
/// # Panics
/// Where a map has keys that are not texts, which only a bug can bring about.
#[must_use]
pub fn to_line<T: Serialize + ?Sized>(value: &T) -> String {
    let mut bytes = Vec::new();
    let mut out = serde_json::Serializer::with_formatter(&mut bytes, OneLine);
    value.serialize(&mut out).expect("plain values can be written as JSON");
    String::from_utf8(bytes).expect("the formatter writes ASCII")
}

struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let (mut rest, mut units) = (fragment, [0; 2]);
        // Plain text, which most of it is, goes as a whole.
        while let Some(plain) = rest.bytes().position(|byte| byte >= 0x7f) {
            let (head, tail) = rest.split_at(plain);
            out.write_all(head.as_bytes())?;
            let mut chars = tail.chars();
            if let Some(odd) = chars.next() {
                for unit in odd.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines() {
        let value = json!({"a": [1, 2.5, null], "b": {"c": true}, "d": "x\"\n\u{7f}é😀", "e": {}, "f": []});
        let line = to_line(&value);
        assert_eq!(line, r#"{"a": [1, 2.5, null], "b": {"c": true}, "d": "x\"\n\u007f\u00e9\ud83d\ude00", "e": {}, "f": []}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }
}
