//! What a new pod is called.

use std::fmt;
use std::str::FromStr;

use super::InitError;

/// Name of a cluster, without its namespace: a word that Marathon takes as part of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = InitError;

    /// Keeps letters, digits and `-`, in lower case: Marathon refuses other ones.
    fn from_str(text: &str) -> Result<Self, InitError> {
        let kept: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let kept = kept.trim_matches('-').to_ascii_lowercase();
        if kept.is_empty() { Err(InitError::Tag(text.to_owned())) } else { Ok(Self(kept)) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Name of a Docker image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image(String);

impl Image {
    /// The last part of the path without its tag: what the image's folder is called on one machine.
    pub(super) fn local(&self) -> &str {
        let last = self.0.rsplit('/').next().unwrap_or(&self.0);
        last.split(':').next().unwrap_or(last)
    }
}

impl FromStr for Image {
    type Err = InitError;

    fn from_str(text: &str) -> Result<Self, InitError> {
        let image = Self(text.to_owned());
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(fits) && word.starts_with(|c: char| c.is_ascii_alphanumeric());
        // Only the first part may have a port, only the last one a tag, which may have capital letters.
        let mut parts = text.split('/');
        let last = parts.next_back().unwrap_or_default();
        let (name, tag) = last.split_once(':').unwrap_or((last, "latest"));
        let mut front = parts.enumerate();
        let front_reads = front.all(|(at, part)| match part.split_once(':') {
            Some((registry, port)) if at == 0 => is_word(registry) && port.parse::<u16>().is_ok(),
            _ => is_word(part),
        });
        if front_reads && is_word(name) && is_word(&tag.to_ascii_lowercase()) {
            Ok(image)
        } else {
            Err(InitError::Image(image.0))
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_keep_what_marathon_takes() {
        let tag = |text: &str| text.parse::<Tag>().map(|tag| tag.to_string()).ok();
        assert_eq!(tag("my app_9!-x").as_deref(), Some("myapp9-x"));
        assert_eq!(tag("Web").as_deref(), Some("web"));
        assert_eq!(tag("--é-a-").as_deref(), Some("a"));
        assert_eq!(tag("é-"), None);
        assert_eq!(tag(""), None);
    }

    #[test]
    fn images() {
        let local = |text: &str| text.parse::<Image>().map(|image| image.local().to_owned()).ok();
        for (image, name) in
            [("web", "web"), ("me/web:1.0-RC1", "web"), ("registry.local:5000/team/my.web", "my.web"), ("a_b", "a_b")]
        {
            assert_eq!(local(image).as_deref(), Some(name), "{image}");
        }
        for bad in ["", "/", "web:", "a//b", "Web", "a b", "a/b:1/c", "../x", "web\nx: y", "h:x/web", "-x", "web@sha256:0", "é"]
        {
            assert_eq!(local(bad), None, "{bad}");
        }
    }
}
