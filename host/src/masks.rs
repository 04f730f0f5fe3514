//! Secrets in texts: the values of a job's secrets, in the spellings in which they show up, are masked in what is logged or kept.

use std::collections::BTreeSet;
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
        match &self.0 {
            Some(known) if known.finder.is_match(&text) => {
                let masks = vec![MASK; known.finder.patterns_len()];
                known.finder.replace_all(&text, &masks)
            }
            _ => text,
        }
    }
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

/// As a secret stands in JSON, in a URL, in hexadecimal digits and in base64, there also in the middle of something longer.
fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let url = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut spelled = vec![json.trim_matches('"').to_owned(), url.replace("%20", "+"), url];
    if secret.len() >= ENCODED_BYTES {
        spelled.push(hex(secret.as_bytes()));
        spelled.extend((0..3).flat_map(|before| inner_base64(secret, before)));
    }
    spelled.retain(|text| text.len() >= SECRET_BYTES);
    spelled
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
        for spelled in
            ["p\"a ss/wörd", "p\\\"a ss/wörd", "p%22a%20ss%2Fw%C3%B6rd", "p%22a+ss%2Fw%C3%B6rd", "7022612073732f77c3b67264"]
        {
            assert_eq!(hidden(&[secret], &format!("<{spelled}>")), "<******>", "{spelled}");
        }
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
}
