//! Variables of a job, from the headers `X-Var-<NAME>`.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use ocho_core::masking::{MASK, is_secret_key};

/// What a caller gives to its jobs, by name: upper case, with `-` where a header may also have `_`.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

/// What the host says itself, and nobody else.
const OWN: [&str; 2] = ["CALLBACK", "OCHO-RUN"];

/// A header `X-Var-` without a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header `X-Var-` has no name behind it")]
pub struct NoName;

impl Variables {
    /// Reads the headers. Of several with one name the last one wins; `CALLBACK` and `OCHO_RUN` are the host's own.
    ///
    /// # Errors
    /// Where one has no name.
    pub fn read(headers: &HeaderMap) -> Result<Self, NoName> {
        let mut variables = Vec::new();
        for (name, value) in headers {
            let Some(name) = name.as_str().strip_prefix("x-var-") else { continue };
            if name.is_empty() {
                return Err(NoName);
            }
            let value = String::from_utf8_lossy(value.as_bytes().trim_ascii()).into_owned();
            variables.push((name.to_owned(), value));
        }
        Ok(Self::of(variables))
    }

    /// Takes names and values.
    #[must_use]
    pub fn of(pairs: Vec<(String, String)>) -> Self {
        let spelled = |(name, value): (String, String)| (name.to_ascii_uppercase().replace('_', "-"), value);
        let mut variables: BTreeMap<String, String> = pairs.into_iter().map(spelled).collect();
        variables.retain(|name, _| !OWN.contains(&name.as_str()));
        Self(variables)
    }

    /// As lines of a log, `$NAME = value`; a value under a name such as `DB-PASSWORD` is masked.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(name, value)| format!("${name} = {}", if is_secret_key(name) { MASK } else { value }))
    }

    /// As environment variables: `MY-THING` also comes as `MY_THING`, since most languages know no other names.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let spellings = |(name, value): (&String, &String)| {
            let plain = name.replace('-', "_");
            let both = if plain == *name { vec![plain] } else { vec![name.clone(), plain] };
            both.into_iter().map(|name| (name, value.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(spellings).collect()
    }

    /// Values that must not be read in a log.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.0.iter().filter(|(name, _)| is_secret_key(name)).map(|(_, value)| value.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<Variables, NoName> {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(header) {
            map.append(name, value);
        }
        Variables::read(&map)
    }

    #[test]
    fn names_are_read_as_the_original_does() {
        let variables = read(&[
            ("X-Var-Foo", "bar"),
            ("x-var-my_thing", "a \"b\" c"),
            ("X-Variable", "no"),
            ("X-Var-Twice", "1"),
            ("X-Var-Twice", "2"),
            ("X-Var-Callback", "mine"),
            ("X-Var-Ocho_Run", "mine"),
            ("X-Var-Ocho-Run", "mine"),
            ("X-Var-Db-Password", "hunter22"),
            ("X-Var-Token", "x"),
            ("X-Var-Name", "grüße"),
        ])
        .unwrap();
        let lines: Vec<String> = variables.lines().collect();
        let expected =
            ["$DB-PASSWORD = ******", "$FOO = bar", "$MY-THING = a \"b\" c", "$NAME = grüße", "$TOKEN = ******", "$TWICE = 2"];
        assert_eq!(lines, expected);
        let environment = variables.environment();
        for (name, value) in [("FOO", "bar"), ("MY-THING", "a \"b\" c"), ("MY_THING", "a \"b\" c"), ("DB_PASSWORD", "hunter22")] {
            assert!(environment.contains(&(name.to_owned(), value.to_owned())), "{name}");
        }
        assert_eq!(environment.len(), 8);
        assert_eq!(variables.secrets(), ["hunter22", "x"]);
    }

    #[test]
    fn a_name_is_needed() {
        assert!(matches!(read(&[("X-Var-", "x")]), Err(NoName)));
    }
}
