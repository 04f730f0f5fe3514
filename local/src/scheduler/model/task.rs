//! One task: a process, or a container, that an application has.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::app::App;
use super::id::PathId;
use super::time::Timestamp;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TaskState {
    #[serde(rename = "TASK_STAGING")]
    Staging,
    #[serde(rename = "TASK_RUNNING")]
    Running,
    #[serde(rename = "TASK_KILLING")]
    Killing,
    #[serde(rename = "TASK_KILLED")]
    Killed,
    #[serde(rename = "TASK_FINISHED")]
    Finished,
    #[serde(rename = "TASK_FAILED")]
    Failed,
    #[serde(rename = "TASK_ERROR")]
    Error,
    #[serde(rename = "TASK_LOST")]
    Lost,
}

impl TaskState {
    /// The word of the interface.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Staging => "TASK_STAGING",
            Self::Running => "TASK_RUNNING",
            Self::Killing => "TASK_KILLING",
            Self::Killed => "TASK_KILLED",
            Self::Finished => "TASK_FINISHED",
            Self::Failed => "TASK_FAILED",
            Self::Error => "TASK_ERROR",
            Self::Lost => "TASK_LOST",
        }
    }

    /// The word of `instance_changed_event`.
    pub(crate) fn condition(self) -> &'static str {
        match self {
            Self::Staging => "Staging",
            Self::Running => "Running",
            Self::Killing => "Killing",
            Self::Killed => "Killed",
            Self::Finished => "Finished",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Lost => "Unreachable",
        }
    }

    /// Whether such an end makes the next launch wait.
    pub(crate) fn delays_launch(self) -> bool {
        matches!(self, Self::Failed | Self::Finished | Self::Error | Self::Lost)
    }

    /// Whether such an end is told as the last failure of the application.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Lost)
    }
}

/// Why a task is being ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum KillReason {
    /// A client asked for it.
    Asked,
    /// There are more tasks than the application wants.
    Surplus,
    /// A task of a newer version takes its place.
    Outdated,
    /// The application is gone.
    AppGone,
    /// Its health checks failed too often; the text is the last cause.
    Unhealthy(String),
    /// It used more memory than it may.
    OverMemory(String),
}

/// A kill under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kill {
    pub(crate) reason: KillReason,
    pub(crate) since: Timestamp,
    /// Whether the replacement starts as a new instance.
    pub(crate) wipe: bool,
}

/// A task that is not over yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// `<safe app id>.instance-<uuid>`: stays when the task is replaced after its own end.
    pub(crate) instance: String,
    /// Counts the tasks of the instance, from 1.
    pub(crate) incarnation: u32,
    /// The definition that the task was started with.
    #[serde(with = "super::shared::one")]
    pub(crate) app: Arc<App>,
    pub(crate) state: TaskState,
    pub(crate) ports: Vec<u16>,
    pub(crate) staged_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    /// Whether the readiness check has answered once; true at once where there is none.
    pub(crate) ready: bool,
    pub(crate) kill: Option<Kill>,
    /// One for each health check of the definition. Not kept over a restart of the scheduler.
    #[serde(skip)]
    pub(crate) health: Vec<Health>,
    /// The last answer of the readiness check, when the definition wants it kept.
    #[serde(skip)]
    pub(crate) readiness: Option<ReadinessResponse>,
}

/// What a health check found so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Health {
    pub(crate) first_success: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_failure: Option<Timestamp>,
    pub(crate) last_failure_cause: Option<String>,
    pub(crate) consecutive_failures: u32,
    pub(crate) alive: bool,
}

impl Health {
    /// Whether there is anything to tell.
    pub(crate) fn is_known(&self) -> bool {
        self.last_success.is_some() || self.last_failure.is_some()
    }
}

/// The answer to a readiness check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReadinessResponse {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Task {
    /// The application.
    pub(crate) fn app_id(&self) -> &PathId {
        &self.app.id
    }

    /// Whether it is on its way out.
    pub(crate) fn is_dying(&self) -> bool {
        self.kill.is_some()
    }

    /// Whether it runs and all its health checks say so. Without checks running is enough.
    pub(crate) fn is_healthy(&self) -> bool {
        self.state == TaskState::Running && !self.is_dying() && self.health.iter().all(|health| health.alive)
    }

    /// Whether a deployment may count on it.
    pub(crate) fn is_serving(&self) -> bool {
        self.is_healthy() && self.ready
    }

    /// Whether some check has found it ill.
    pub(crate) fn is_ill(&self) -> bool {
        self.health.iter().any(|health| health.is_known() && !health.alive)
    }
}

/// The last bad end of a task of an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskFailure {
    pub(crate) app_id: PathId,
    pub(crate) host: String,
    pub(crate) message: String,
    pub(crate) state: TaskState,
    pub(crate) task_id: String,
    pub(crate) timestamp: Timestamp,
    pub(crate) version: Timestamp,
    pub(crate) slave_id: String,
}
