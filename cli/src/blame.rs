//! Whose fault a failure is: the one place that chooses exit codes and says what to do next.

use std::process::ExitCode;

use crate::client::CallError;
use crate::command::LineError;
use crate::init::InitError;
use crate::plugin::PluginError;
use crate::runs::RunsError;
use crate::target::TargetError;
use crate::upload::UploadError;

/// Who has to act. The number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The command: it cannot be sent as it is. A run that fails has this code too.
    User = 1,
    /// The arguments or the environment.
    Config = 2,
    /// The host or the way to it.
    Remote = 3,
    /// This machine.
    Host = 4,
}

impl From<Blame> for ExitCode {
    fn from(blame: Blame) -> Self {
        Self::from(blame as u8)
    }
}

/// Anything that can go wrong between the arguments and the answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Upload(#[from] UploadError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Runs(#[from] RunsError),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("{what}")]
    Machine {
        what: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error("cancelled")]
    Cancelled,
}

/// What can be done about a refusal of `/v1/tools`, beyond what the host said.
fn declined(code: &str) -> Option<&'static str> {
    Some(match code {
        "not-a-component" | "not-a-command" => "`ocho plugin build` makes a component; `ocho plugin check FILE` looks at one",
        "unknown-imports" | "later-wasi" | "later-contract" => "`ocho plugin inspect FILE` shows all that it imports",
        "signature" => "`--sig FILE` sends the signature that minisign made; the operator configures the keys",
        "no-revision" => "`ocho plugin inspect TOOL` shows the revisions that are kept",
        _ => return None,
    })
}

impl Failure {
    pub(crate) fn blame(&self) -> Blame {
        match self {
            Self::Target(_) => Blame::Config,
            Self::Plugin(error) => error.blame(),
            Self::Init(InitError::Write { .. }) => Blame::Host,
            Self::Line(_) | Self::Init(_) | Self::Runs(_) | Self::Cancelled => Blame::User,
            Self::Upload(UploadError::Spool(_)) | Self::Machine { .. } | Self::Call(CallError::Setup(_)) => Blame::Host,
            Self::Upload(_)
            | Self::Call(
                CallError::NoSuchTool { .. }
                | CallError::NoSuchRun { .. }
                | CallError::BrokenTool { .. }
                | CallError::Declined { .. },
            ) => Blame::User,
            Self::Call(CallError::Denied { .. }) => Blame::Config,
            Self::Call(_) => Blame::Remote,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        Some(match self {
            Self::Target(TargetError::Missing) => "`ocho cli my-cluster ls`, or `export OCHOPOD_PROXY=my-cluster` once",
            Self::Target(TargetError::Syntax(_)) => "for instance `my-cluster`, `10.0.0.1:9000` or `[::1]:9000`",
            Self::Line(LineError::Words(_)) => "quote a quote with a backslash",
            Self::Init(InitError::Exists(_)) => "`--into` names another folder",
            Self::Init(InitError::NoAnswer(_)) => "`--name` and `--image` answer beforehand",
            Self::Upload(UploadError::SameName { .. }) => "the host tells files apart by their last name: rename one of them",
            Self::Upload(UploadError::Name { .. }) => "rename it, or send the folder that holds it",
            Self::Upload(UploadError::Spool(_)) => "make room there, or point $TMPDIR to another folder",
            Self::Call(CallError::Unreachable { .. }) => {
                "see whether `ochod` runs there, and whether address and port are right (9000 if not given)"
            }
            Self::Call(CallError::Broken { .. } | CallError::OverTime { .. }) => {
                "the command may have run: look with `ls` or `grep` before you repeat it"
            }
            Self::Call(CallError::Busy { .. }) => "all its places are taken: try again in a moment",
            Self::Call(CallError::Failed { .. }) => "the log of the host tells why",
            Self::Call(CallError::Denied { .. }) => "set $OCHOPOD_TOKEN to the token that the host was started with",
            Self::Call(CallError::Declined { code, .. }) => return declined(code),
            Self::Runs(RunsError::Several { .. }) => "give more of its letters",
            Self::Runs(_) | Self::Call(CallError::NoSuchRun { .. }) => "`ocho runs` lists them",
            Self::Call(CallError::NoSuchTool { .. }) => "`help` shows the tools",
            Self::Call(CallError::Older { .. }) => {
                "an older host: `--compat` before its name; else see whether this is the port of the portal (9000 if not given)"
            }
            Self::Plugin(error) => return error.hint(),
            Self::Call(CallError::NotAPortal { .. }) => "see whether this is the port of the portal (9000 if not given)",
            _ => return None,
        })
    }

    /// The whole chain of causes on one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
