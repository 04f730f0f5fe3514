//! Patterns for cluster names, by the rules that Python's `fnmatch` has.

use std::fmt;

use crate::ClusterName;

/// A pattern for qualified cluster names: `*` (any run, dots included), `?`, `[abc]`, `[a-z]`, `[!abc]`.
///
/// Case counts, and the whole name has to match. Every text is a pattern: a `[` that is never closed stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterGlob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Run,
    Any,
    One(char),
    Class { inverted: bool, ranges: Vec<(char, char)> },
}

impl ClusterGlob {
    /// Reads a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            at += 1;
            match c {
                // Several stars in a row mean the same as one, and cost more.
                '*' if parts.last() == Some(&Part::Run) => {}
                '*' => parts.push(Part::Run),
                '?' => parts.push(Part::Any),
                '[' => match read_class(&chars[at..]) {
                    Some((class, used)) => {
                        parts.push(class);
                        at += used;
                    }
                    None => parts.push(Part::One('[')),
                },
                other => parts.push(Part::One(other)),
            }
        }
        Self { text: text.to_owned(), parts }
    }

    /// A pattern that matches this one cluster, whatever characters its name has.
    #[must_use]
    pub fn exactly(cluster: &ClusterName) -> Self {
        let text = cluster.as_str();
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '*' | '?' | '[' => escaped.extend(['[', c, ']']),
                other => escaped.push(other),
            }
        }
        Self::new(&escaped)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `name` matches. Takes at most pattern length × name length steps.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        // Where to go on after a mismatch: the part behind the last `*`, and how far that star reaches.
        let mut retry: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.parts.get(part) {
                Some(Part::Run) => {
                    retry = Some((part + 1, at));
                    part += 1;
                }
                Some(one) if one.takes(name[at]) => {
                    part += 1;
                    at += 1;
                }
                _ => match retry {
                    Some((behind, reach)) => {
                        retry = Some((behind, reach + 1));
                        (part, at) = (behind, reach + 1);
                    }
                    None => return false,
                },
            }
        }
        self.parts[part..].iter().all(|left| *left == Part::Run)
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Run => false,
            Self::Any => true,
            Self::One(one) => *one == c,
            Self::Class { inverted, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted,
        }
    }
}

/// Reads a class behind its `[`; gives it with the number of characters used, or nothing where it is never closed.
fn read_class(chars: &[char]) -> Option<(Part, usize)> {
    let inverted = chars.first() == Some(&'!');
    let start = usize::from(inverted);
    // A `]` in the first place belongs to the class.
    let end = start + 1 + chars.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let mut ranges = Vec::new();
    let mut at = start;
    while at < end {
        if at + 2 < end && chars[at + 1] == '-' {
            ranges.push((chars[at], chars[at + 2]));
            at += 3;
        } else {
            ranges.push((chars[at], chars[at]));
            at += 1;
        }
    }
    Some((Part::Class { inverted, ranges }, end + 1))
}

impl fmt::Display for ClusterGlob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let glob = ClusterGlob::new(pattern);
        for name in matching {
            assert!(glob.matches(name), "{pattern} should match {name}");
        }
        for name in others {
            assert!(!glob.matches(name), "{pattern} should not match {name}");
        }
    }

    #[test]
    fn patterns() {
        check("*", &["", "a", "a.b"], &[]);
        check("*web*", &["test.web", "web", "a.web-2"], &["a.we", "a.WEB"]);
        check("test.*", &["test.web", "test.a.b"], &["xtest.web", "test"]);
        check("web", &["web"], &["test.web", "web2"]);
        check("a?c", &["abc", "a.c"], &["ac", "abbc"]);
        check("a[a-c]", &["aa", "ac"], &["ad", "aA", "a"]);
        check("a[!a-c]", &["ad", "a-"], &["aa", "a"]);
        check("a[]x]", &["a]", "ax"], &["a[", "a"]);
        check("a[b", &["a[b"], &["ab"]);
        check("a[", &["a["], &["a"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("*a*b*c", &["abc", "xaxbxc", "abcabc"], &["ab", "acb"]);
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let glob = ClusterGlob::new(&"*a".repeat(2_000));
        assert!(!glob.matches(&"a".repeat(1_999)));
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern(pattern in ".*", name in ".*") {
            let _ = ClusterGlob::new(&pattern).matches(&name);
        }

        #[test]
        fn an_exact_pattern_matches_its_name_only(name in "[a-z*?\\[\\].!-]{1,12}", other in "[a-z*?\\[\\].!-]{1,12}") {
            let glob = ClusterGlob::exactly(&name.parse().unwrap_or_else(|_| "x".parse().unwrap()));
            prop_assume!(name != "." && name != "..");
            prop_assert!(glob.matches(&name));
            prop_assert_eq!(glob.matches(&other), name == other);
        }
    }
}
