//! Plain scalars, resolved as PyYAML does: `yes` is true, `0644` is octal, `1e3` is a text.

use ocho_sdk::{json, serde_json};

/// A value without parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// As Python shows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => json::to_line(value),
            Self::Text(value) => value.clone(),
        }
    }
}

/// Resolves a plain scalar without a tag.
pub(crate) fn resolve(text: &str) -> Result<Scalar, String> {
    if let Some(known) = null(text).or_else(|| bool(text)) {
        return Ok(known);
    }
    if is_base_60(text) {
        return Err(format!("`{text}` is a number to the base 60 in YAML 1.1; put it in quotes to have a text"));
    }
    if is_date(text) {
        return Err(format!("`{text}` is a date in YAML, which JSON has not; put it in quotes to have a text"));
    }
    if let Some(int) = int(text) {
        return int.map(Scalar::Int);
    }
    match float(text) {
        Some(float) => float.map(Scalar::Float),
        None => Ok(Scalar::Text(text.to_owned())),
    }
}

/// Resolves a scalar with a tag such as `!!int`.
pub(crate) fn resolve_as(tag: &str, text: &str) -> Result<Scalar, String> {
    let wrong = || format!("`{text}` does not read as `!!{tag}`");
    match tag {
        "str" => Ok(Scalar::Text(text.to_owned())),
        "null" => null(text).ok_or_else(wrong),
        "bool" => bool(text).ok_or_else(wrong),
        "int" => int(text).ok_or_else(wrong)?.map(Scalar::Int),
        "float" => match float(text).or_else(|| float(&format!("{text}."))) {
            Some(float) => float.map(Scalar::Float),
            None => Err(wrong()),
        },
        other => Err(format!("the tag `tag:yaml.org,2002:{other}` is not supported")),
    }
}

fn null(text: &str) -> Option<Scalar> {
    matches!(text, "" | "~" | "null" | "Null" | "NULL").then_some(Scalar::Null)
}

fn bool(text: &str) -> Option<Scalar> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Scalar::Bool(true)),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(Scalar::Bool(false)),
        _ => None,
    }
}

/// A whole number: `12`, `1_000`, `0x1f`, `0b101`, `0644`. Nothing where the text is none.
fn int(text: &str) -> Option<Result<i64, String>> {
    let (sign, digits) = signed(text);
    let digits = digits.replace('_', "");
    if text[sign.len()..].starts_with('_') {
        return None;
    }
    let (base, digits) = match digits.as_bytes() {
        [b'0'] => (10, digits.as_str()),
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        [b'1'..=b'9', ..] => (10, digits.as_str()),
        _ => return None,
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    Some(i64::from_str_radix(&format!("{sign}{digits}"), base).map_err(|_| format!("the number `{text}` is too large")))
}

/// A number with a point: `1.5`, `.5`, `1.5e+3`. Nothing where the text is none.
fn float(text: &str) -> Option<Result<f64, String>> {
    let (sign, number) = signed(text);
    if matches!(number, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Some(Err(format!("`{text}` has no form in JSON; put it in quotes to have a text")));
    }
    let (whole, rest) = number.split_once('.')?;
    let (part, exponent) = rest.split_once(['e', 'E']).map_or((rest, None), |(part, exponent)| (part, Some(exponent)));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let starts_well = if whole.is_empty() { sign.is_empty() && !part.is_empty() } else { whole.as_bytes()[0] != b'_' };
    let exponent_is_fine = exponent.is_none_or(|e| e.len() > 1 && e.starts_with(['+', '-']) && digits(&e[1..]));
    if !starts_well || !digits(whole) || !digits(part) || !exponent_is_fine {
        return None;
    }
    Some(read_float(sign, whole, part, exponent).ok_or_else(|| format!("the number `{text}` is too large")))
}

/// Through JSON's reader, which is in every tool already; that of the standard library brings 18 KiB of tables with it.
fn read_float(sign: &str, whole: &str, part: &str, exponent: Option<&str>) -> Option<f64> {
    let minus = if sign == "-" { "-" } else { "" };
    let digits = |text: &str| text.replace('_', "");
    let (whole, part) = (digits(whole), digits(part));
    let exponent = exponent.map(|exponent| format!("e{}", digits(exponent))).unwrap_or_default();
    let whole = whole.trim_start_matches('0');
    let json = format!("{minus}{}.{part}0{exponent}", if whole.is_empty() { "0" } else { whole });
    serde_json::from_str(&json).ok()
}

fn signed(text: &str) -> (&str, &str) {
    let sign = usize::from(text.starts_with(['-', '+']));
    text.split_at(sign)
}

/// `8080:22`, `1:30:00`, `1:30.5`
fn is_base_60(text: &str) -> bool {
    let (_, number) = signed(text);
    let mut parts = number.split(':');
    let starts = parts.next().is_some_and(|first| {
        first.starts_with(|c: char| c.is_ascii_digit()) && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    });
    let rest: Vec<&str> = parts.collect();
    let below_60 = |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let Some((last, middle)) = rest.split_last() else { return false };
    let last = last
        .split_once('.')
        .filter(|(_, part)| part.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
        .map_or(*last, |(whole, _)| whole);
    // Without a point the number may not begin with a zero, so times such as `01:30` are texts.
    let is_fine_start = !number.starts_with('0') || number.contains('.');
    starts && is_fine_start && middle.iter().all(|part| below_60(part)) && below_60(last)
}

/// `2026-01-31`, `2026-1-31 10:00:00`, ...
fn is_date(text: &str) -> bool {
    let day = text.split(['T', 't', ' ', '\t']).next().unwrap_or_default();
    let has_time = day.len() < text.len();
    let numbers: Vec<&str> = day.split('-').collect();
    let digits =
        |text: &str, from: usize, to: usize| (from..=to).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let short = usize::from(!has_time) + 1;
    let is_day = matches!(numbers.as_slice(), [year, month, day] if digits(year, 4, 4) && digits(month, short, 2) && digits(day, short, 2));
    let time = text[day.len()..].trim_start_matches(['T', 't', ' ', '\t']);
    let is_time = time.split(':').count() >= 3 && time.bytes().all(|b| b.is_ascii_digit() || b":.Z+- \t".contains(&b));
    is_day && (!has_time || is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, scalar: Scalar) {
        assert_eq!(resolve(text), Ok(scalar), "{text}");
    }

    #[test]
    fn words() {
        for text in ["yes", "Yes", "YES", "true", "on", "On", "ON"] {
            check(text, Scalar::Bool(true));
        }
        for text in ["no", "No", "NO", "False", "off", "OFF"] {
            check(text, Scalar::Bool(false));
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, Scalar::Null);
        }
        for text in ["y", "n", "yES", "none", "None", "tRue", "a b", "=", "-", "+", "."] {
            check(text, Scalar::Text(text.to_owned()));
        }
    }

    #[test]
    fn numbers() {
        for (text, value) in [
            ("0", 0),
            ("12", 12),
            ("-12", -12),
            ("+12", 12),
            ("1_000", 1000),
            ("0x1F", 31),
            ("0b101", 5),
            ("0644", 420),
            ("-0x10", -16),
        ] {
            check(text, Scalar::Int(value));
        }
        for (text, value) in [("1.5", 1.5), ("-1.5", -1.5), (".5", 0.5), ("1.", 1.0), ("1.5e+3", 1500.0), ("1_0.5", 10.5)] {
            check(text, Scalar::Float(value));
        }
        for text in ["1e3", "1.5e3", "089", "0x", "0b2", "1.2.3", "12a", "0o17", "_1", "-.5", "1.5e+"] {
            check(text, Scalar::Text(text.to_owned()));
        }
        for text in ["99999999999999999999", "1.0e+999", ".inf", "-.INF", ".nan"] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base_60_and_dates_are_refused_with_a_hint() {
        for text in ["8080:22", "1:30:00", "-1:59", "1:30.5"] {
            assert!(resolve(text).unwrap_err().contains("base 60"), "{text}");
        }
        for text in ["2026-01-31", "2026-1-31 10:00:00", "2026-01-31T10:00:00Z", "2026-01-31 10:00:00.5 +02:00"] {
            assert!(resolve(text).unwrap_err().contains("a date"), "{text}");
        }
        for text in
            ["8080:80", "a:b", "1:", ":1", "2026-01", "2026-01-31-x", "2026-1-1", "10.0.0.1:99", "host:80", "01:30", "0:30"]
        {
            check(text, Scalar::Text(text.to_owned()));
        }
    }

    #[test]
    fn tags() {
        assert_eq!(resolve_as("str", "1"), Ok(Scalar::Text("1".to_owned())));
        assert_eq!(resolve_as("float", "1"), Ok(Scalar::Float(1.0)));
        assert!(resolve_as("int", "x").is_err() && resolve_as("binary", "x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in "[0-9a-fxeET:._+\\- é]{0,20}") {
            let _ = resolve(&text);
        }
    }
}
