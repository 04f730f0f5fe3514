//! Label selectors: `a, b==1, c!=2, d in (x, y), e notin (z)`.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Terms that must all hold. None takes everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selector(Vec<Term>);

/// A condition for the value of one label, which must be there in any case.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    key: String,
    /// The values, and whether the label's is to be one of them; none means that being there is enough.
    values: Option<(Vec<String>, bool)>,
}

/// A text that is not a selector.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("Can not parse label selector `{0}`: {1}")]
pub(crate) struct NotASelector(String, &'static str);

impl Selector {
    /// Whether labels fit.
    pub(crate) fn takes(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|term| {
            let Some(value) = labels.get(&term.key) else { return false };
            term.values.as_ref().is_none_or(|(values, wanted)| values.contains(value) == *wanted)
        })
    }
}

impl FromStr for Selector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        let mut reader = Reader { rest: text.trim() };
        let mut terms = Vec::new();
        while !reader.rest.is_empty() {
            if !terms.is_empty() {
                reader.expect(",").map_err(|why| NotASelector(text.to_owned(), why))?;
            }
            terms.push(reader.term().map_err(|why| NotASelector(text.to_owned(), why))?);
        }
        Ok(Self(terms))
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn term(&mut self) -> Result<Term, &'static str> {
        let key = self.word()?;
        let values = if self.take("==") {
            Some((vec![self.word()?], true))
        } else if self.take("!=") {
            Some((vec![self.word()?], false))
        } else if self.rest.is_empty() || self.rest.starts_with(',') {
            None
        } else {
            let wanted = match self.word()?.as_str() {
                "in" => true,
                "notin" => false,
                _ => return Err("expected one of == != in notin or a comma"),
            };
            Some((self.values()?, wanted))
        };
        Ok(Term { key, values })
    }

    fn values(&mut self) -> Result<Vec<String>, &'static str> {
        self.expect("(")?;
        let mut values = vec![self.word()?];
        while !self.take(")") {
            self.expect(",")?;
            values.push(self.word()?);
        }
        Ok(values)
    }

    /// Letters, digits, `-`, `_`, `.`, and anything behind a backslash.
    fn word(&mut self) -> Result<String, &'static str> {
        let mut word = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => word.push(chars.next().ok_or("nothing is escaped")?.1),
                c if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') => word.push(c),
                _ => {
                    end = at;
                    break;
                }
            }
        }
        self.rest = self.rest[end..].trim_start();
        if word.is_empty() { Err("expected a name or a value") } else { Ok(word) }
    }

    fn take(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), &'static str> {
        let missing = match sign {
            "(" => "expected an opening bracket",
            _ => "expected a comma",
        };
        if self.take(sign) { Ok(()) } else { Err(missing) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn takes(selector: &str, want: bool) {
        let labels = [("a", "1"), ("b", "2"), ("odd key", "odd value")];
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(selector.parse::<Selector>().map(|selector| selector.takes(&labels)), Ok(want), "{selector}");
    }

    #[test]
    fn selectors() {
        takes("", true);
        takes("  ", true);
        takes("a", true);
        takes("c", false);
        takes("a==1", true);
        takes(" a == 1 , b == 2 ", true);
        takes("a==1,b==3", false);
        takes("a!=2", true);
        takes("c!=2", false);
        takes("a in (1, 5)", true);
        takes("a notin(1,5)", false);
        takes("c notin (1)", false);
        takes("in", false);
        takes(r"odd\ key == odd\ value", true);
    }

    #[test]
    fn what_is_not_a_selector() {
        for bad in ["foo test", "a==", "a in 1", "a in (1", "a in ()", ",a", "a,,b", "a,", "==", "a=1", r"a\"] {
            let error = bad.parse::<Selector>().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with("Can not parse label selector") || bad == "a,", "{bad}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in ".*") {
            let _ = text.parse::<Selector>();
        }
    }
}
