//! Why a command about plugins did not work, whose fault that is, and what to do.

use std::path::PathBuf;

use crate::blame::Blame;

/// Why a command about plugins did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error("`{}` is no folder of a plugin: {why}", .folder.display())]
    NoProject { folder: PathBuf, why: String },
    #[error("the plugin does not build: `{command}` ended with {status}")]
    Build { command: String, status: String },
    #[error("there is no program `{program}`")]
    NoProgram { program: String, hint: &'static str },
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
}

impl PluginError {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::NoProject { .. } | Self::Build { .. } => Blame::User,
            Self::NoProgram { .. } => Blame::Config,
            Self::Read { .. } | Self::Write { .. } => Blame::Host,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::NoProject { .. } => Some("`ocho plugin new hello` begins one; `cd` into it first"),
            Self::NoProgram { hint, .. } => Some(hint),
            _ => None,
        }
    }
}
