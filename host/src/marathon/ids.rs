//! Ids as parts of a URL: an id stays within the path that it is put into.

use std::fmt::Write as _;

use ocho_runtime::host::{MarathonError, Refusal};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but what URLs never give a meaning of its own.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Marathon takes these words behind an id for its own.
const RESERVED: [&str; 3] = ["restart", "tasks", "versions"];

/// The path of an app, `/v2/apps/a/b`, from its id with or without the leading slash.
pub(super) fn app_path(id: &str) -> Result<String, MarathonError> {
    let mut path = "/v2/apps".to_owned();
    for (nth, segment) in id.strip_prefix('/').unwrap_or(id).split('/').enumerate() {
        if nth > 0 && RESERVED.contains(&segment) {
            return Err(invalid(format!("app id `{id}` cannot be asked for: Marathon reads `/{segment}` in it as a command")));
        }
        let Some(segment) = escaped(segment) else {
            return Err(invalid(format!("app id `{id}` has a part that is empty, `.` or `..`")));
        };
        let _ = write!(path, "/{segment}");
    }
    Ok(path)
}

/// One more part of a path, such as a version or a deployment's id.
pub(super) fn below(path: &str, what: &str, part: &str) -> Result<String, MarathonError> {
    let whole = escaped(part).ok_or_else(|| invalid(format!("{what} `{part}` is empty, `.` or `..`")))?;
    Ok(format!("{path}/{whole}"))
}

fn escaped(segment: &str) -> Option<String> {
    // URL parsers walk up at `..`, percent-encoded or not, so there is no way to write it.
    if ["", ".", ".."].contains(&segment) { None } else { Some(utf8_percent_encode(segment, ESCAPED).to_string()) }
}

/// The refusal that Marathon would give.
fn invalid(message: String) -> MarathonError {
    MarathonError::Invalid(Refusal { status: 422, message, body: String::new() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn apps() {
        for (id, path) in [
            ("web", "/v2/apps/web"),
            ("/web", "/v2/apps/web"),
            ("/prod/web.a-1_b~", "/v2/apps/prod/web.a-1_b~"),
            ("tasks", "/v2/apps/tasks"),
            ("a?force=true", "/v2/apps/a%3Fforce%3Dtrue"),
            ("a#b", "/v2/apps/a%23b"),
            ("a%2f..%2fb", "/v2/apps/a%252f..%252fb"),
            ("a\\..\\b", "/v2/apps/a%5C..%5Cb"),
            ("a b\r\n\u{e4}", "/v2/apps/a%20b%0D%0A%C3%A4"),
            ("%2e%2e", "/v2/apps/%252e%252e"),
            ("...", "/v2/apps/..."),
        ] {
            assert_eq!(app_path(id).unwrap(), path);
        }
        for id in
            ["", "/", "//a", "a//b", "a/", "..", "/../info", "a/../b", "a/.", "a/restart", "/a/tasks", "a/tasks/b", "a/versions"]
        {
            let error = app_path(id).unwrap_err();
            assert!(matches!(&error, MarathonError::Invalid(Refusal { status: 422, .. })), "{id}: {error}");
            assert!(error.to_string().contains(&format!("`{id}`")));
        }
    }

    #[test]
    fn one_part() {
        assert_eq!(below("/v2/deployments", "deployment", "a/b?c").unwrap(), "/v2/deployments/a%2Fb%3Fc");
        assert_eq!(below("/v2/x", "deployment", "..").unwrap_err().to_string(), "deployment `..` is empty, `.` or `..`");
    }

    proptest! {
        #[test]
        fn no_id_leaves_its_path(id in "[a-z./?#%\\\\ @:]{0,12}") {
            if let Ok(path) = app_path(&id) {
                let mut url = reqwest::Url::parse("http://h:1/").unwrap();
                url.set_path(&path);
                prop_assert_eq!(url.path(), path.as_str());
                prop_assert!(url.path().starts_with("/v2/apps/"));
                prop_assert_eq!((url.query(), url.fragment(), url.host_str()), (None, None, Some("h")));
            }
        }
    }
}
