//! Why a change of the tools is refused.

use ocho_core::ToolName;
use ocho_runtime::{Misfit, NotAComponent};

use super::SignatureError;

/// Why nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody has this name.
    #[error("there is no tool `{0}`")]
    Unknown(ToolName),
    /// It is not what was announced.
    #[error("the component's SHA-256 is {found}, not {expected}: it was changed on its way")]
    Digest {
        /// What was announced.
        expected: String,
        /// What came.
        found: String,
    },
    /// Not signed, or not so that it counts.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Not a component.
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(#[from] NotAComponent),
    /// A component that does not run on this host.
    #[error("the component {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; it "))]
    Misfits(Vec<Misfit>),
    /// wasmtime refuses it.
    #[error("the component {0}")]
    Link(String),
    /// The name belongs to somebody else.
    #[error("{0}")]
    Protected(String),
    /// There is no such revision, or none to go back to.
    #[error("{0}")]
    NoRevision(String),
    /// A limit that this host cannot keep.
    #[error("`{name}` is {value}; this host takes {least} to {most}")]
    Limits {
        /// The member.
        name: &'static str,
        /// What it is.
        value: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// An interface is both to be granted and to be taken away.
    #[error("{0} cannot be granted and revoked at once")]
    Contradiction(ocho_runtime::Grants),
    /// Too many installations wait.
    #[error("too many components wait to be compiled; try again later")]
    Busy,
    /// The disk or the database failed.
    #[error("the change could not be stored, and nothing changed: {0}")]
    Storage(String),
}

impl Refusal {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "no-such-tool",
            Self::Digest { .. } => "digest",
            Self::Signature(_) => "signature",
            Self::NotAComponent(_) => "not-a-component",
            Self::Misfits(misfits) => misfits.first().map_or("unknown-imports", Misfit::code),
            Self::Link(_) => "link",
            Self::Protected(_) => "protected",
            Self::NoRevision(_) => "no-revision",
            Self::Limits { .. } => "limits",
            Self::Contradiction(_) => "request",
            Self::Busy => "busy",
            Self::Storage(_) => "storage",
        }
    }
}
