//! Names of Docker images.

/// Gives the image with another tag: only the last part of the path has one, and a digest gives way.
#[must_use]
pub fn with_tag(image: &str, tag: &str) -> String {
    let name = image.split_once('@').map_or(image, |(name, _digest)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let end = name[last..].find(':').map_or(name.len(), |colon| last + colon);
    format!("{}:{tag}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q10_only_the_tag_is_replaced() {
        for (image, tagged) in [
            ("foo", "foo:2"),
            ("foo:1", "foo:2"),
            ("a/b/foo:1.2", "a/b/foo:2"),
            ("reg.io:5000/foo:1", "reg.io:5000/foo:2"),
            ("reg.io:5000/foo", "reg.io:5000/foo:2"),
            ("reg.io:5000/a/foo@sha256:0123", "reg.io:5000/a/foo:2"),
            ("foo:1@sha256:0123", "foo:2"),
        ] {
            assert_eq!(with_tag(image, "2"), tagged, "{image}");
        }
    }
}
