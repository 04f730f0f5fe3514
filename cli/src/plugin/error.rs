//! Why a command about plugins did not work, whose fault that is, and what to do.

use std::path::PathBuf;

use ocho_runtime::{Misfit, NotAComponent};

use super::scene::SceneError;
use crate::blame::Blame;

/// Why a command about plugins did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error("`{}` is no folder of a plugin: {why}", .folder.display())]
    NoProject { folder: PathBuf, why: String },
    #[error("`{}` is there already, nothing was written", .0.display())]
    Exists(PathBuf),
    #[error("plugins in Python are commands of WASI 0.3")]
    PythonP2,
    #[error("`{0}` cannot name a plugin in Rust: the crates of the SDK begin so")]
    OurName(String),
    #[error("the plugin does not build: `{command}` ended with {status}")]
    Build { command: String, status: String },
    #[error("componentize-py cannot be installed: pip ended with {status}")]
    NoComponentize { status: String, hint: &'static str },
    #[error("there is no folder for componentize-py: neither $HOME nor $XDG_CACHE_HOME is set")]
    NoHome { hint: &'static str },
    #[error("cannot run `{program}`")]
    NoProgram {
        program: String,
        hint: &'static str,
        #[source]
        cause: std::io::Error,
    },
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
    #[error("`{}` is larger than {limit_mib} MiB", path.display())]
    TooLarge { path: PathBuf, limit_mib: u64 },
    #[error("`{}` is not a WebAssembly component", path.display())]
    NotAComponent {
        path: PathBuf,
        #[source]
        cause: NotAComponent,
    },
    #[error("`{}` does not run on a host of this version: it {}", path.display(), told(reasons))]
    Misfit { path: PathBuf, reasons: Vec<Misfit> },
    #[error("`{}` does not link", path.display())]
    Link {
        path: PathBuf,
        #[source]
        cause: ocho_runtime::PluginError,
    },
    #[error("the engine does not start")]
    Engine(#[source] ocho_runtime::EngineError),
    #[error("`{0}` is a job, and jobs are not installed: they go to the servo in a bundle")]
    JobInstalled(String),
    #[error("`{}` names no tool: {why}", path.display())]
    NoName { path: PathBuf, why: String },
    #[error("no interface was named")]
    NoInterface,
    #[error(transparent)]
    Scene(#[from] SceneError),
}

fn told(reasons: &[Misfit]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; it ")
}

impl PluginError {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Scene(error) if !error.is_of_author() => Blame::Host,
            Self::NoProgram { .. } | Self::NoComponentize { .. } | Self::NoHome { .. } | Self::NoInterface => Blame::Config,
            Self::Read { .. } | Self::Write { .. } | Self::Engine(_) => Blame::Host,
            _ => Blame::User,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::NoProject { .. } => "`ocho plugin new hello` begins one; `cd` into it first",
            Self::Exists(_) => "`--into` names another folder",
            Self::PythonP2 => "leave `--wasi` out, or take `--lang rust`",
            Self::NoProgram { hint, .. } | Self::NoComponentize { hint, .. } | Self::NoHome { hint } => hint,
            Self::NotAComponent { .. } => "`ocho plugin build` makes one",
            Self::JobInstalled(_) => "`ocho run --host HOST dist JOB` runs it",
            Self::NoName { .. } => "`--as NAME` gives it a name",
            Self::NoInterface => "`ocho plugin why TOOL` says what is missing, and `pods/control` is how an interface is spelled",
            _ => return None,
        })
    }
}
