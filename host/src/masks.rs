//! Secrets in texts: the values of a job's secrets, in the spellings in which they show up, are masked in what is logged or kept.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ocho_core::masking::MASK;
use ocho_core::signature::hex;
use serde_json::Value;

/// Shorter texts are not looked for: they would be found in every other word.
const SECRET_BYTES: usize = 4;

/// Texts that get all spellings; more get none but their own.
const SPELLED: usize = 1000;

/// Base64 of less than this could be anything.
const ENCODED_BYTES: usize = 6;

/// What must not be read in a text. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Masks(Option<Arc<Known>>);

#[derive(Debug)]
struct Known {
    secrets: BTreeSet<String>,
    finder: AhoCorasick,
}

impl Masks {
    /// Masks these texts.
    #[must_use]
    pub fn of(secrets: impl IntoIterator<Item = String>) -> Self {
        let secrets: BTreeSet<String> = secrets.into_iter().filter(|text| text.len() >= SECRET_BYTES).collect();
        if secrets.is_empty() {
            return Self(None);
        }
        let spelled = secrets.iter().take(SPELLED).flat_map(|text| spellings(text));
        let patterns: BTreeSet<String> = spelled.chain(secrets.iter().cloned()).collect();
        // The longest, or what follows a secret's first line would be left.
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
        Self(finder.ok().map(|finder| Arc::new(Known { secrets, finder })))
    }

    /// Masks these texts too.
    #[must_use]
    pub fn and(&self, more: impl IntoIterator<Item = String>) -> Self {
        let known = self.0.iter().flat_map(|known| known.secrets.iter().cloned());
        Self::of(known.chain(more).collect::<Vec<_>>())
    }

    /// Whether there is nothing to mask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The text with its secrets masked.
    #[must_use]
    pub fn hide(&self, text: String) -> String {
        let Some(known) = &self.0 else { return text };
        let found = known.places(&text);
        if found.is_empty() { text } else { masked(&text, found) }
    }
}

impl Known {
    /// Where secrets stand in a text: as it is, and as it reads without the escapes of URLs, of forms, and of JSON.
    fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> = self.finder.find_iter(text).map(|found| found.range()).collect();
        for (escape, read) in [('%', percent as Unescape), ('+', form), ('\\', backslash)] {
            if text.contains(escape) {
                let view = View::of(text.as_bytes(), read);
                places
                    .extend(self.finder.find_iter(&view.bytes).map(|found| view.starts[found.start()]..view.starts[found.end()]));
            }
        }
        places
    }
}

/// Sorts and joins the places, so that none is masked twice.
fn masked(text: &str, mut places: Vec<Range<usize>>) -> String {
    places.sort_by_key(|place| (place.start, place.end));
    let (mut masked, mut end) = (String::with_capacity(text.len()), 0);
    for place in places {
        if place.start >= end {
            masked.push_str(&text[end..place.start]);
            masked.push_str(MASK);
        }
        end = end.max(place.end);
    }
    masked.push_str(&text[end..]);
    masked
}

/// Adds what the first character or escape of a text stands for, and gives from how many bytes it was read.
type Unescape = fn(&[u8], &mut Vec<u8>) -> usize;

/// A text without its escapes.
struct View {
    bytes: Vec<u8>,
    /// Where in the text each of the bytes began, and the text's end.
    starts: Vec<usize>,
}

impl View {
    fn of(text: &[u8], unescape: Unescape) -> Self {
        let (mut bytes, mut starts, mut at) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1), 0);
        while at < text.len() {
            let taken = unescape(&text[at..], &mut bytes);
            starts.resize(bytes.len(), at);
            at += taken;
        }
        starts.push(text.len());
        Self { bytes, starts }
    }
}

/// As in a URL, where everybody escapes another set of characters: `%2F`.
fn percent(text: &[u8], into: &mut Vec<u8>) -> usize {
    match text {
        [b'%', digits @ ..] if let Some(byte) = code(digits, 2) => {
            into.extend(u8::try_from(byte));
            3
        }
        _ => plain(text, into),
    }
}

/// As in a form: `+` is a blank too.
fn form(text: &[u8], into: &mut Vec<u8>) -> usize {
    match text {
        [b'+', ..] => plain(b" ", into),
        _ => percent(text, into),
    }
}

/// As in JSON, and in the strings of most languages: `\"`, `\u00fc`.
fn backslash(text: &[u8], into: &mut Vec<u8>) -> usize {
    match text {
        [b'\\', b'u', digits @ ..] if let Some(unit) = code(digits, 4) => {
            let pair = digits.get(4..).and_then(|rest| code(rest.strip_prefix(b"\\u")?, 4));
            let found = match pair.and_then(|low| char::decode_utf16([unit, low]).next()?.ok()) {
                Some(c) if c.len_utf16() == 2 => (c, 12),
                _ => (char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            };
            into.extend_from_slice(found.0.encode_utf8(&mut [0; 4]).as_bytes());
            found.1
        }
        [b'\\', c, ..] => {
            let meant = match c {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                other => *other,
            };
            into.push(meant);
            2
        }
        _ => plain(text, into),
    }
}

fn plain(text: &[u8], into: &mut Vec<u8>) -> usize {
    into.extend(text.first());
    1
}

/// So many hexadecimal digits at the start of a text.
fn code(text: &[u8], digits: usize) -> Option<u16> {
    let text = std::str::from_utf8(text.get(..digits)?).ok()?;
    text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(text, 16).ok())?
}

/// The secrets in the clear text of an encrypted file: each line; of a line `key: value` or `key=value` the value; of JSON each
/// text and number.
#[must_use]
pub(crate) fn secrets_in(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(content);
    let mut secrets: Vec<String> = text.lines().filter_map(secret_of_line).map(str::to_owned).collect();
    if let Ok(json) = serde_json::from_str(&text) {
        leaves(&json, &mut secrets);
    }
    secrets
}

fn secret_of_line(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("- ").trim_start();
    let value = line.split_once(": ").or_else(|| line.split_once('=')).map_or(line, |(_, value)| value);
    let value = value.trim().trim_end_matches(',').trim_matches(['"', '\'']);
    let is_word = ["true", "false", "null", "none"].iter().any(|word| value.eq_ignore_ascii_case(word));
    let is_secret = !is_word && !value.ends_with(':') && value.chars().any(char::is_alphanumeric);
    is_secret.then_some(value)
}

fn leaves(json: &Value, into: &mut Vec<String>) {
    match json {
        Value::String(text) => into.push(text.clone()),
        Value::Number(number) => into.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, into)),
        Value::Object(members) => members.values().for_each(|member| leaves(member, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// As a secret stands in hexadecimal digits and in base64, there also in the middle of something longer.
fn spellings(secret: &str) -> Vec<String> {
    if secret.len() < ENCODED_BYTES {
        return Vec::new();
    }
    let digits = hex(secret.as_bytes());
    let base64 = (0..3).flat_map(|before| inner_base64(secret, before));
    [digits.to_uppercase(), digits].into_iter().chain(base64).collect()
}

/// The part of the base64 of something with `before` bytes (modulo 3) in front of the secret that only the secret decides.
fn inner_base64(secret: &str, before: usize) -> [String; 2] {
    let padded = [&[0; 2][..before], secret.as_bytes()].concat();
    let (skipped, cut) = ([0, 2, 3][before], [0, 3, 2][padded.len() % 3]);
    [STANDARD.encode(&padded), URL_SAFE.encode(&padded)].map(|encoded| encoded[skipped..encoded.len() - cut].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secrets: &[&str], text: &str) -> String {
        Masks::of(secrets.iter().map(|&secret| secret.to_owned())).hide(text.to_owned())
    }

    #[test]
    fn all_spellings_are_masked() {
        let secret = "p\"a ss/wörd";
        for spelled in [
            "p\"a ss/wörd",
            "p\\\"a ss/wörd",
            "p\\\"a ss\\/w\\u00F6rd",
            "\\u0070\\\"a\\u0020ss/wörd",
            "p%22a%20ss%2Fw%C3%B6rd",
            "p%22a+ss%2fw%c3%b6rd",
            "p%22a%20ss/wörd",
            "7022612073732f77c3b67264",
            "7022612073732F77C3B67264",
        ] {
            assert_eq!(hidden(&[secret], &format!("ü<{spelled}>+%é\\")), "ü<******>+%é\\", "{spelled}");
        }
        // What a URL need not escape stands there as it is.
        assert_eq!(hidden(&["p@ss-w_r.d~1"], "http://u:p%40ss-w_r.d~1@h/"), "http://u:******@h/");
        assert_eq!(hidden(&["two\nlines", "\u{1f600}\u{1f600}"], "two\\nlines \\ud83d\\ude00\\uD83D\\uDE00"), "****** ******");
        assert_eq!(hidden(&["a+b+c", "a b c"], "a+b+c a%2Bb%2bc a%20b+c"), "****** ****** ******");
        for (before, behind) in [("", ""), ("u:", ""), ("me:", "\n"), ("four", "four"), ("", "x"), ("a", "bc")] {
            let encoded = STANDARD.encode(format!("{before}{secret}{behind}"));
            let said = hidden(&[secret], &encoded);
            assert!(said.contains(MASK) && said.len() < encoded.len() - 4, "{encoded}: {said}");
        }
    }

    #[test]
    fn the_longest_one_wins_and_short_ones_stay() {
        assert_eq!(hidden(&["hunter22", "hunter22-hunter22"], "is hunter22-hunter22."), "is ******.");
        assert_eq!(hidden(&["abc"], "abc"), "abc");
        assert_eq!(hidden(&[], "x"), "x");
        let more = Masks::of(["first".to_owned()]).and(["second".to_owned()]);
        assert_eq!(more.hide("first second".to_owned()), "****** ******");
        assert_eq!(hidden(&["abcd", "abcd/ef"], "abcd%2Fef abcd\\/ef"), "****** ******");
        assert!(Masks::default().is_empty() && Masks::of(["abc".to_owned()]).is_empty() && !more.is_empty());
    }

    #[test]
    fn files_are_read_line_by_line_and_as_json() {
        let yaml = b"# of the shop\ndb:\n  password: \"hunter22\"\n  on: true\nexport KEY=abcdef\n- plain-item\n---\nsingle\r\n";
        assert_eq!(secrets_in(yaml), ["# of the shop", "hunter22", "abcdef", "plain-item", "single"]);
        let found = secrets_in(br#"{"a": {"b": ["hunter22", 12345, null, true]}}"#);
        assert!(found.contains(&"hunter22".to_owned()) && found.contains(&"12345".to_owned()));
        assert_eq!(secrets_in(b""), [""; 0]);
        let _ = secrets_in("\u{0}\u{fffd}: \n=\n: ".as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_masked_and_none_is_a_panic(text in r#"([a-dü+%\\u0-9😀 ]|%C3|%BC|\\u00fc|\\ud83d)*"#, secret in r"[a-dü+%\\😀 ]{4,8}") {
            let masks = Masks::of([secret.clone()]);
            let hidden = masks.hide(text.clone());
            proptest::prop_assert!(!hidden.contains(&secret));
            let with_it = masks.hide(format!("{text}|{secret}|{text}"));
            proptest::prop_assert!(with_it.contains(MASK));
        }
    }
}
