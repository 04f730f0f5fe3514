//! Names of clusters, pods and tools. Each is read once, at the edge, and trusted afterwards.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Qualified name of a cluster: `<namespace>.<name>`, such as `marathon.web`.
///
/// A namespace may contain dots itself, so nothing splits this name. Pods of any origin choose it: the only rule is that
/// it can be a node in ZooKeeper and a word in a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

/// A text that cannot name a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cluster name `{0}` does not read as `<namespace>.<name>` without blanks, slashes or control characters")]
pub struct ClusterNameError(String);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        if name.is_empty() || name == "." || name == ".." || name.chars().any(odd) {
            return Err(ClusterNameError(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// Number of a pod in its cluster, given by the registry: unique, growing, with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodSeq(pub u32);

impl fmt::Display for PodSeq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A pod's identity. People and scripts read it as `marathon.web #3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId {
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// Its number there.
    pub seq: PodSeq,
}

/// A text that is not a pod's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pod `{0}` does not read as `<cluster> #<number>`")]
pub struct PodIdError(String);

impl fmt::Display for PodId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} #{}", self.cluster, self.seq)
    }
}

impl FromStr for PodId {
    type Err = PodIdError;

    fn from_str(key: &str) -> Result<Self, Self::Err> {
        let wrong = || PodIdError(key.to_owned());
        let (cluster, seq) = key.rsplit_once(" #").ok_or_else(wrong)?;
        let cluster = cluster.parse().map_err(|_| wrong())?;
        let digits = !seq.is_empty() && seq.bytes().all(|b| b.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        Ok(Self { cluster, seq: PodSeq(seq) })
    }
}

/// Name of a tool: `[a-z][a-z0-9-]*`, at most 63 characters. It is also the stem of its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolName(String);

/// A text that cannot name a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tool name `{0}` does not read as a lower-case letter, then lower-case letters, digits and `-`, 63 at the most")]
pub struct ToolNameError(String);

impl ToolName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ToolName {
    type Err = ToolNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let goes_on = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if starts && goes_on && name.len() <= 63 { Ok(Self(name.to_owned())) } else { Err(ToolNameError(name.to_owned())) }
    }
}

impl TryFrom<String> for ToolName {
    type Error = ToolNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

/// So that maps of tools can be asked with any text.
impl Borrow<str> for ToolName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<ToolName> for String {
    fn from(name: ToolName) -> Self {
        name.0
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cluster_names() {
        for good in ["marathon.web", "a", "my.project.web-2", "Ünï"] {
            assert_eq!(good.parse::<ClusterName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a b", "a/b", "a\tb", "a\0b"] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pod_keys() {
        let id: PodId = "marathon.web #3".parse().unwrap();
        assert_eq!((id.cluster.as_str(), id.seq), ("marathon.web", PodSeq(3)));
        for bad in ["marathon.web", "marathon.web #", "marathon.web #+3", "marathon.web #-1", " #3", "w #99999999999"] {
            assert!(bad.parse::<PodId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tool_names() {
        for good in ["ls", "a", "my-tool-2"] {
            assert!(good.parse::<ToolName>().is_ok(), "{good:?}");
        }
        for bad in ["", "Ls", "2x", "-x", "a_b", "a/b", "a.b", &"x".repeat(64)] {
            assert!(bad.parse::<ToolName>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in ".*") {
            let _ = text.parse::<ClusterName>();
            let _ = text.parse::<PodId>();
            let _ = text.parse::<ToolName>();
        }

        #[test]
        fn pod_keys_read_back(cluster in "[a-z.-]{1,20}x", seq: u32) {
            let key = format!("{cluster} #{seq}");
            prop_assert_eq!(key.parse::<PodId>().unwrap().to_string(), key);
        }
    }
}
