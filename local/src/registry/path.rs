//! Paths of nodes: which ones are valid, and how they split.

use super::code::Code;

/// Paths that come with the server and that nobody deletes.
pub(super) const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// Says whether `path` can name a node.
pub(super) fn validate(path: &str) -> Result<(), Code> {
    if is_valid(path) { Ok(()) } else { Err(Code::BadArguments) }
}

fn is_valid(path: &str) -> bool {
    match path.strip_prefix('/') {
        None => false,
        Some("") => true,
        Some(rest) => rest.split('/').all(is_name),
    }
}

fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.chars().all(is_allowed)
}

/// Controls, the private use area and all above U+FFEF are refused. The last includes what needs two UTF-16 units,
/// because the original looks at the units one by one.
fn is_allowed(char: char) -> bool {
    !matches!(char, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// The parent of a path, as text before the last slash: empty for what hangs on the root. It says nothing about
/// whether either is valid.
pub(super) fn parent(path: &str) -> Result<&str, Code> {
    match path.rfind('/') {
        Some(slash) if !path.contains('\0') => Ok(&path[..slash]),
        _ => Err(Code::BadArguments),
    }
}

/// The last name in a valid path.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The one way to write a path: the root is `/`, though lookups may call it the empty text.
pub(super) fn canonical(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// The path and all above it, up to `/`.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(canonical(path)), |path| {
        if *path == "/" {
            return None;
        }
        path.rfind('/').map(|slash| canonical(&path[..slash]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, valid: bool) {
        assert_eq!(validate(path).is_ok(), valid, "{path:?}");
    }

    #[test]
    fn paths() {
        check("/", true);
        check("/a/b-c.d", true);
        check("/a/...", true);
        check("/a b/ü/中", true);
        check("", false);
        check("a", false);
        check("/a/", false);
        check("//a", false);
        check("/a//b", false);
        check("/a/.", false);
        check("/a/../b", false);
        check("/a\0", false);
        check("/a\u{1f}", false);
        check("/a\u{7f}", false);
        check("/a\u{9f}", false);
        check("/a\u{a0}", true);
        check("/a\u{d7ff}", true);
        check("/a\u{e000}", false);
        check("/a\u{f8ff}", false);
        check("/a\u{f900}", true);
        check("/a\u{ffef}", true);
        check("/a\u{fffd}", false);
        check("/a🙂", false);
    }

    #[test]
    fn parents() {
        assert_eq!(parent("/a/b"), Ok("/a"));
        assert_eq!(parent("/a"), Ok(""));
        assert_eq!(parent("/"), Ok(""));
        assert_eq!(parent("a"), Err(Code::BadArguments));
        assert_eq!(parent("/a\0/b"), Err(Code::BadArguments));
    }

    #[test]
    fn all_above() {
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("").collect::<Vec<_>>(), ["/"]);
        // A watch may be asked for on any text.
        assert_eq!(ancestors("x").collect::<Vec<_>>(), ["x"]);
    }
}
