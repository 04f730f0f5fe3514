//! Permissions: one `ocho:*` interface is one permission.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An interface of the contract that a plugin may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Interface {
    /// Reading Marathon.
    MarathonInspect,
    /// Changing Marathon.
    MarathonOperate,
    /// Who is there.
    PodsRegistry,
    /// Asking pods without changing them.
    PodsObserve,
    /// What `observe` masks.
    PodsSecrets,
    /// Steering pods.
    PodsControl,
    /// Running the pods' own tools.
    PodsExec,
    /// Starting other runs.
    ProxyShell,
    /// The same for WASI 0.2 commands.
    ProxyShellBlocking,
}

impl Interface {
    /// Every interface of the contract.
    pub const ALL: [Self; 9] = [
        Self::MarathonInspect,
        Self::MarathonOperate,
        Self::PodsRegistry,
        Self::PodsObserve,
        Self::PodsSecrets,
        Self::PodsControl,
        Self::PodsExec,
        Self::ProxyShell,
        Self::ProxyShellBlocking,
    ];

    /// Its name without package and version, as people and configuration spell it: `pods/registry`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MarathonInspect => "marathon/inspect",
            Self::MarathonOperate => "marathon/operate",
            Self::PodsRegistry => "pods/registry",
            Self::PodsObserve => "pods/observe",
            Self::PodsSecrets => "pods/secrets",
            Self::PodsControl => "pods/control",
            Self::PodsExec => "pods/exec",
            Self::ProxyShell => "proxy/shell",
            Self::ProxyShellBlocking => "proxy/shell-blocking",
        }
    }

    /// The functions that this host serves of it, as `wit/0.1` spells them.
    #[must_use]
    pub const fn functions(self) -> &'static [&'static str] {
        match self {
            Self::MarathonInspect => &["apps", "app", "versions", "version", "tasks", "deployments", "queue", "events"],
            Self::MarathonOperate => {
                &["create-app", "update-app", "restart-app", "delete-app", "kill-tasks", "cancel-deployment"]
            }
            Self::PodsRegistry => &["find", "changes"],
            Self::PodsObserve => &["info", "log"],
            Self::PodsSecrets => &["info"],
            Self::PodsControl => &["on", "off", "kill", "signal", "reregister"],
            Self::PodsExec | Self::ProxyShell | Self::ProxyShellBlocking => &["run"],
        }
    }

    /// Finds the interface that an import such as `ocho:pods/registry@0.1.0` means. Every 0.1.x is served.
    #[must_use]
    pub fn from_import(import: &str) -> Option<Self> {
        let (name, version) = import.strip_prefix("ocho:")?.split_once('@')?;
        if version.strip_prefix("0.1.")?.is_empty() {
            return None;
        }
        name.parse().ok()
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A text that names no interface of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an interface that can be granted; use one of {list}", list = Interface::ALL.map(Interface::name).join(", "))]
pub struct UnknownInterface(String);

impl FromStr for Interface {
    type Err = UnknownInterface;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| UnknownInterface(name.to_owned()))
    }
}

impl TryFrom<String> for Interface {
    type Error = UnknownInterface;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Interface> for String {
    fn from(interface: Interface) -> Self {
        interface.name().to_owned()
    }
}

/// The interfaces that a plugin may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(BTreeSet<Interface>);

impl Grants {
    /// What an unknown tool gets: it may see who is there and ask, not more.
    #[must_use]
    pub fn observer() -> Self {
        [Interface::PodsRegistry, Interface::PodsObserve].into_iter().collect()
    }

    /// Whether this interface is among them.
    #[must_use]
    pub fn has(&self, interface: Interface) -> bool {
        self.0.contains(&interface)
    }

    /// All of them, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Interface> + '_ {
        self.0.iter().copied()
    }

    /// What of `wanted` is not among them.
    #[must_use]
    pub fn missing(&self, wanted: &Self) -> Self {
        Self(wanted.0.difference(&self.0).copied().collect())
    }

    /// These and those.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        Self(self.0.union(&more.0).copied().collect())
    }

    /// These without those.
    #[must_use]
    pub fn without(&self, fewer: &Self) -> Self {
        fewer.missing(self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Interface> for Grants {
    fn from_iter<I: IntoIterator<Item = Interface>>(interfaces: I) -> Self {
        Self(interfaces.into_iter().collect())
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Interface::name).collect();
        out.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports() {
        assert_eq!(Interface::from_import("ocho:pods/registry@0.1.0"), Some(Interface::PodsRegistry));
        assert_eq!(Interface::from_import("ocho:proxy/shell-blocking@0.1.7"), Some(Interface::ProxyShellBlocking));
        for other in [
            "ocho:pods/registry@0.2.0",
            "ocho:pods/registry",
            "ocho:pods/types@0.1.0",
            "wasi:cli/run@0.3.0",
            "ocho:pods/registry@0.1.",
        ] {
            assert_eq!(Interface::from_import(other), None, "{other}");
        }
    }

    #[test]
    fn names_read_back() {
        for interface in Interface::ALL {
            assert_eq!(interface.name().parse(), Ok(interface));
        }
        let text = "pods".parse::<Interface>().unwrap_err().to_string();
        assert!(text.starts_with("`pods` is not an interface that can be granted; use one of marathon/inspect, "), "{text}");
    }

    #[test]
    fn what_is_missing() {
        let wanted: Grants = [Interface::PodsRegistry, Interface::MarathonOperate].into_iter().collect();
        assert_eq!(Grants::observer().missing(&wanted).to_string(), "marathon/operate");
        assert_eq!(Grants::observer().with(&wanted).to_string(), "marathon/operate, pods/registry, pods/observe");
        assert_eq!(Grants::observer().without(&wanted).to_string(), "pods/observe");
    }
}
