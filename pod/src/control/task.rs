//! What a pod can be told to do.

use std::fmt;
use std::str::FromStr;

/// A control request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Could you be configured now?
    Check,
    /// Configure yourself and run.
    On,
    /// Stop running.
    Off,
    /// The whole cluster is configured.
    Ok,
    /// Stop for good.
    Kill,
    /// Whatever the pod makes of it.
    Signal,
}

/// A word that is no task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no task: there are check, on, off, ok, kill and signal")]
pub(crate) struct NotATask(String);

impl FromStr for Task {
    type Err = NotATask;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word {
            "check" => Self::Check,
            "on" => Self::On,
            "off" => Self::Off,
            "ok" => Self::Ok,
            "kill" => Self::Kill,
            "signal" => Self::Signal,
            other => return Err(NotATask(other.to_owned())),
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Check => "check",
            Self::On => "on",
            Self::Off => "off",
            Self::Ok => "ok",
            Self::Kill => "kill",
            Self::Signal => "signal",
        })
    }
}
