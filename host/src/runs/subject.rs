//! What a run runs: a tool's revision, or a job of a bundle.

use std::sync::Arc;

use ocho_core::ToolName;
use ocho_runtime::{Interface, Limits, Plugin, Reason};
use ulid::Ulid;

use crate::tools::Revision;

/// What a run runs. Cheap to clone.
#[derive(Clone)]
pub enum Subject {
    /// A tool of the store.
    Tool(Arc<Revision>),
    /// A job that came with a bundle.
    Job(Arc<JobStep>),
}

/// One job of a bundle, ready to run.
pub struct JobStep {
    /// As the caller spelled it: `deploy.py` may mean `deploy.wasm`.
    pub name: String,
    /// SHA-256 of the component, in hexadecimal digits.
    pub digest: String,
    /// The component.
    pub plugin: Plugin,
    /// The fence of its run.
    pub limits: Limits,
}

impl Subject {
    /// Its name, as lists show it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Tool(revision) => revision.tool.as_str(),
            Self::Job(job) => &job.name,
        }
    }

    /// The tool's revision; 0 for a job, which has none.
    #[must_use]
    pub fn revision(&self) -> u32 {
        match self {
            Self::Tool(revision) => revision.number,
            Self::Job(_) => 0,
        }
    }

    pub(super) fn digest(&self) -> &str {
        match self {
            Self::Tool(revision) => &revision.digest,
            Self::Job(job) => &job.digest,
        }
    }

    pub(super) fn plugin(&self) -> &Plugin {
        match self {
            Self::Tool(revision) => &revision.plugin,
            Self::Job(job) => &job.plugin,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        match self {
            Self::Tool(revision) => &revision.limits,
            Self::Job(job) => &job.limits,
        }
    }

    /// Whether something that it was granted was taken away at once: it must not go on.
    pub(super) fn is_revoked(&self) -> bool {
        match self {
            Self::Tool(revision) => revision.is_revoked(),
            Self::Job(_) => false,
        }
    }

    /// Who asks, for the runs that it starts. A job's name need not be one of a tool's.
    pub(super) fn caller(&self) -> ToolName {
        match self {
            Self::Tool(revision) => revision.tool.clone(),
            Self::Job(_) => "job".parse().expect("a good name"),
        }
    }

    /// Whether what it prints may be written down. What a tool that may see secrets printed must not lie around, and a job's
    /// log is kept with the job, secrets masked.
    pub(super) fn is_kept(&self) -> bool {
        match self {
            Self::Tool(revision) => !revision.grants.has(Interface::PodsSecrets),
            Self::Job(_) => false,
        }
    }

    /// `tool 'x' trapped: out of bounds memory access (revision 3, run 01J...)`, where the host ended the run.
    pub(super) fn note(&self, reason: &Reason, run: Ulid) -> Option<String> {
        match (reason, self) {
            (Reason::Exited(_), _) => None,
            (_, Self::Tool(tool)) => Some(format!("tool '{}' {reason} (revision {}, run {run})", tool.tool, tool.number)),
            (_, Self::Job(job)) => Some(format!("job '{}' {reason} (run {run})", job.name)),
        }
    }
}
