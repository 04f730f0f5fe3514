//! The versions of the contract that this host serves beside each other.
//!
//! A component names the version that it was built for in each import (`ocho:pods/registry@0.1.0`), so one linker can hold
//! several. Within 0.1.x everything only grows, and every 0.1.x is served by the same functions. A changed type makes a version
//! of its own: a folder `wit/0.2`, bindings generated from it, a module that turns them into the same traits of [`crate::host`],
//! and one more case here. Permissions are the same for all versions: a grant names the interface alone.

use wasmtime::component::Linker;

use crate::state::RunState;
use crate::{Interface, links};

/// A version of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contract {
    /// `wit/0.1`.
    V0_1,
}

impl Contract {
    /// Every version that is served, oldest first.
    pub(crate) const ALL: [Self; 1] = [Self::V0_1];

    /// How people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1",
        }
    }

    /// Finds the interface that an import such as `ocho:pods/registry@0.1.0` means, and of which version.
    pub(crate) fn of_import(import: &str) -> Option<(Self, Interface)> {
        // 0.1 was the first, and its rule is the one of the interfaces themselves.
        Interface::from_import(import).map(|interface| (Self::V0_1, interface))
    }

    /// Whether an import is an interface of this version that holds types alone: it needs no grant.
    pub(crate) fn has_types(self, import: &str) -> bool {
        let Some((name, version)) = import.strip_prefix("ocho:").and_then(|rest| rest.split_once('@')) else { return false };
        let is_of_this = version.strip_prefix(self.name()).is_some_and(|patch| patch.starts_with('.') && patch.len() > 1);
        is_of_this && ["marathon/types", "pods/types", "proxy/types"].contains(&name)
    }

    /// Puts one granted interface into a linker.
    pub(crate) fn add_to_linker(self, linker: &mut Linker<RunState>, interface: Interface) -> wasmtime::Result<()> {
        match self {
            Self::V0_1 => links::add_to_linker(linker, interface),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_have_versions() {
        assert_eq!(Contract::of_import("ocho:pods/exec@0.1.3"), Some((Contract::V0_1, Interface::PodsExec)));
        assert_eq!(Contract::of_import("ocho:pods/exec@0.2.0"), None);
        assert!(Contract::V0_1.has_types("ocho:pods/types@0.1.0"));
        for other in
            ["ocho:pods/types@0.2.0", "ocho:pods/types@0.10.0", "ocho:pods/types@0.1.", "ocho:pods/types", "wasi:io/types@0.1.0"]
        {
            assert!(!Contract::V0_1.has_types(other), "{other}");
        }
    }
}
