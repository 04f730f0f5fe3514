//! Paths of applications and groups: `/product/web`.

use std::fmt;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The absolute path of an application or a group. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathId(Arc<str>);

/// Last segments that would be mistaken for a part of the interface.
const RESERVED: [&str; 5] = ["restart", "tasks", "versions", ".", ".."];

/// Longer paths, and those with more segments, are a slip or an attack: all groups above an application exist, and answers
/// nest as deep.
const LONGEST: usize = 1024;
const DEEPEST: usize = 64;

static SEGMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])\.)*(?:[a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])$|^\.\.?$")
        .expect("the pattern is a constant that the tests compile")
});

impl PathId {
    /// The group that holds everything: `/`.
    pub(crate) fn root() -> Self {
        Self(Arc::from("/"))
    }

    /// Whether `text` has the size of a path, and every segment of it the letters that one may have. Says nothing about reserved
    /// words.
    pub(crate) fn is_well_formed(text: &str) -> bool {
        let fits = !text.is_empty() && text.len() <= LONGEST && segments(text).nth(DEEPEST).is_none();
        fits && segments(text).all(|segment| SEGMENT.is_match(segment))
    }

    /// Reads a path, relative ones against `base`. `.` and `..` are resolved, empty segments vanish, and nothing climbs
    /// above the root.
    pub(crate) fn resolve(text: &str, base: &PathId) -> Self {
        let mut parts: Vec<&str> = if text.starts_with('/') { Vec::new() } else { base.segments().collect() };
        for segment in segments(text) {
            match segment {
                "." => {}
                ".." => {
                    parts.pop();
                }
                other => parts.push(other),
            }
        }
        Self(Arc::from(format!("/{}", parts.join("/"))))
    }

    /// Reads a path that stands in a URL: always absolute.
    pub(crate) fn absolute(text: &str) -> Self {
        Self::resolve(text, &Self::root())
    }

    /// Whether this is `/`.
    pub(crate) fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The segments, none for the root.
    pub(crate) fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        segments(&self.0)
    }

    /// The group that holds this one; the root is its own parent.
    pub(crate) fn parent(&self) -> Self {
        match self.0.rfind('/') {
            Some(cut) if cut > 0 => Self(Arc::from(&self.0[..cut])),
            _ => Self::root(),
        }
    }

    /// The groups above, nearest first, the root last. Empty for the root.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = PathId> {
        let mut next = (!self.is_root()).then(|| self.parent());
        std::iter::from_fn(move || {
            let here = next.take()?;
            next = (!here.is_root()).then(|| here.parent());
            Some(here)
        })
    }

    /// Whether this lies below `group`, at any depth.
    pub(crate) fn is_below(&self, group: &PathId) -> bool {
        if group.is_root() {
            return !self.is_root();
        }
        self.0.strip_prefix(&*group.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// A lower bound, in the order of paths, of all that lies below this group and of nothing before it.
    pub(crate) fn first_below(&self) -> Self {
        Self(Arc::from(if self.is_root() { "/\u{1}".to_owned() } else { format!("{}/", self.0) }))
    }

    /// Whether the last segment is a word of the interface.
    pub(crate) fn is_reserved(&self) -> bool {
        self.segments().next_back().is_some_and(|last| RESERVED.contains(&last))
    }

    /// The form for task ids and text: segments joined by `_`.
    pub(crate) fn safe(&self) -> String {
        self.segments().collect::<Vec<_>>().join("_")
    }

    /// The path with its leading slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the last segment of an unresolved path is reserved. `..` has to be seen before it is resolved away.
pub(crate) fn ends_reserved(text: &str) -> bool {
    segments(text).next_back().is_some_and(|last| RESERVED.contains(&last))
}

fn segments(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

impl fmt::Display for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PathId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PathId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::absolute(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn resolves(text: &str, base: &str, want: &str) {
        assert_eq!(PathId::resolve(text, &PathId::absolute(base)).as_str(), want);
    }

    #[test]
    fn paths_resolve() {
        resolves("/a/b", "/x", "/a/b");
        resolves("b", "/x", "/x/b");
        resolves("//a///b/", "/", "/a/b");
        resolves("../b", "/x/y", "/x/b");
        resolves("../../../b", "/x/y", "/b");
        resolves("./b", "/x", "/x/b");
        resolves("", "/x", "/x");
        resolves("/", "/x", "/");
    }

    #[test]
    fn letters_of_a_path() {
        for good in ["/a", "a", "a-b/c.d-e", "/a//b/", "ochopod.local.hello-2015-06-01-10-20-30", "../a", "0"] {
            assert!(PathId::is_well_formed(good), "{good}");
        }
        for bad in ["", "/Upper", "a b", "/a_b", "-a", "a-", "a..b", "a.", "ü", "/a/*", "a\nb", "a\n"] {
            assert!(!PathId::is_well_formed(bad), "{bad}");
        }
        assert!(PathId::is_well_formed(&"/a".repeat(DEEPEST)) && PathId::is_well_formed(&"a".repeat(LONGEST)));
        assert!(!PathId::is_well_formed(&"/a".repeat(DEEPEST + 1)) && !PathId::is_well_formed(&"a".repeat(LONGEST + 1)));
    }

    #[test]
    fn family() {
        let web = PathId::absolute("/product/eu/web");
        assert_eq!(web.parent().as_str(), "/product/eu");
        assert_eq!(web.ancestors().map(|g| g.to_string()).collect::<Vec<_>>(), ["/product/eu", "/product", "/"]);
        assert_eq!(PathId::root().ancestors().count(), 0);
        assert!(web.is_below(&PathId::absolute("/product")));
        assert!(web.is_below(&PathId::root()));
        assert!(!web.is_below(&web));
        assert!(!PathId::absolute("/product2").is_below(&PathId::absolute("/product")));
        assert_eq!(web.safe(), "product_eu_web");
    }

    #[test]
    fn reserved_words() {
        assert!(PathId::absolute("/foo/restart").is_reserved());
        assert!(!PathId::absolute("/restart/foo").is_reserved());
        assert!(ends_reserved("/foo/.."));
        assert!(!ends_reserved("/foo"));
    }
}
