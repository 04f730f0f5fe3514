//! Clusters that a pod depends on: how they are named, and which ones a name means.

use ocho_core::{ClusterGlob, ClusterName};

/// One entry of `depends_on`.
///
/// `db` is a cluster of the own namespace, `/other.ns.db` one of any. With `*`, `?` or `[` in it, the entry is a pattern for
/// qualified names; `*` matches dots too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    text: String,
    meant: Meant,
}

/// What an entry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// This cluster.
    One(ClusterName),
    /// Every cluster that matches, but the pod's own.
    Matching(ClusterGlob),
}

/// An entry that can name no cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dependency `{0}` does not read as `<cluster>` or `/<namespace>.<cluster>`")]
pub struct DependencyError(String);

impl Dependency {
    /// Reads an entry of a pod in `namespace`.
    ///
    /// # Errors
    /// Where it can name no cluster.
    pub fn read(text: &str, namespace: &str) -> Result<Self, DependencyError> {
        let wrong = || DependencyError(text.to_owned());
        let qualified = match text.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{namespace}.{text}"),
        };
        if text.trim_start_matches('/').is_empty() {
            return Err(wrong());
        }
        let meant = match text.contains(['*', '?', '[']) {
            true => Meant::Matching(ClusterGlob::new(&qualified)),
            false => Meant::One(qualified.parse().map_err(|_| wrong())?),
        };
        Ok(Self { text: text.to_owned(), meant })
    }

    /// The entry as it was written: the name that hooks and payloads know it by.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it means.
    #[must_use]
    pub fn meant(&self) -> &Meant {
        &self.meant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b24_a_pattern_is_what_has_a_wildcard() {
        let one = |text: &str| match Dependency::read(text, "lab").unwrap().meant {
            Meant::One(cluster) => cluster.to_string(),
            Meant::Matching(glob) => format!("pattern {}", glob.as_str()),
        };
        assert_eq!(one("db"), "lab.db");
        assert_eq!(one("/other.ns.db"), "other.ns.db");
        assert_eq!(one("db-*"), "pattern lab.db-*");
        assert_eq!(one("/prod*.db"), "pattern prod*.db");
        assert_eq!(one("zoo?"), "pattern lab.zoo?");
        assert_eq!(one("zoo[12]"), "pattern lab.zoo[12]");
        assert_eq!(one("local"), "lab.local");
        for bad in ["", "/", "a b", "a/b"] {
            assert!(Dependency::read(bad, "lab").is_err(), "{bad}");
        }
    }
}
