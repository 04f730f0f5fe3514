//! Which form of reply a caller wants: the original's reading of `Accept`, with its one candidate `application/json`.

use axum::http::{HeaderMap, header};

/// Whether the reply is JSON; else it is text.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(takes_json)
}

/// Whether one range of the list covers JSON. A parameter other than `q` spoils it, and a quality of zero means never.
fn takes_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let covers = ["*/*", "application/*", "application/json"].iter().any(|one| name.eq_ignore_ascii_case(one));
    let quality = match parts.next() {
        None => 1.0,
        Some(parameter) => match parameter.strip_prefix("q=") {
            Some(quality) => quality_of(quality),
            None => return false,
        },
    };
    covers && quality > 0.0
}

/// Digits, a point, digits; what else stands there is not looked at, and where there is none of them it is one.
fn quality_of(text: &str) -> f32 {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text[..end].parse().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[&str]) -> bool {
        wants_json(&values.iter().map(|value| (header::ACCEPT, value.parse().unwrap())).collect())
    }

    #[test]
    fn as_the_original_reads_it() {
        for json in [
            "application/json",
            "APPLICATION/JSON",
            "application/*",
            "*/*",
            "text/plain, application/json",
            "text/plain, */*;q=0.1",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json;q=0.5",
            "application/json;q=.5",
            "application/json;q=nan",
            "application/json;q=-1",
            "application/json ; q=0.5; x=y",
        ] {
            assert!(check(&[json]), "{json}");
        }
        for text in [
            "text/plain",
            "text/raw",
            "text/*",
            "json",
            "*",
            "application/vnd.api+json",
            "application/json;q=0",
            "application/json; q=0.0",
            "application/json;q=0x",
            "application/json;q=0 ",
            "",
            "application/json; charset=utf-8",
            ";,;,q=",
        ] {
            assert!(!check(&[text]), "{text}");
        }
        assert!(!check(&[]));
        assert!(check(&["text/plain", "application/json"]));
    }
}
