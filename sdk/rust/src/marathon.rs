//! Marathon: reading and changing apps.

use std::fmt;

use ocho_core::json;
use serde_json::Value;

use crate::generated::ocho::marathon::types as wire;
use crate::host;

/// Why Marathon did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarathonError {
    /// It answered, and refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// Why.
        message: String,
    },
    /// It did not answer. Carries what was tried.
    NoAnswer(String),
}

impl MarathonError {
    /// Whether there is no such app, version or task.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// `submission failed (HTTP 409): already exists`: what was tried stands before.
impl fmt::Display for MarathonError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, message } if message.is_empty() => write!(out, "(HTTP {status})"),
            Self::Refused { status, message } => write!(out, "(HTTP {status}): {message}"),
            Self::NoAnswer(why) => write!(out, "(no answer from Marathon): {why}"),
        }
    }
}

impl std::error::Error for MarathonError {}

impl From<wire::Error> for MarathonError {
    fn from(error: wire::Error) -> Self {
        let refused = |status, message| Self::Refused { status, message };
        match error {
            wire::Error::Unreachable(why) => Self::NoAnswer(why),
            wire::Error::Timeout(ms) => Self::NoAnswer(format!("nothing within {ms} ms")),
            wire::Error::NotFound(what) => refused(404, what),
            wire::Error::Locked(by) => refused(409, format!("deployments in progress hold the app: {}", by.join(", "))),
            wire::Error::Invalid(refusal) | wire::Error::Denied(refusal) | wire::Error::Refused(refusal) => {
                refused(refusal.status, refusal.message)
            }
            wire::Error::Other(problem) => Self::NoAnswer(problem.message),
        }
    }
}

fn read(answer: Result<String, wire::Error>) -> Result<Value, MarathonError> {
    let text = answer?;
    serde_json::from_str(&text).map_err(|error| MarathonError::NoAnswer(format!("its answer is not JSON: {error}")))
}

/// Creates an app. Gives it as Marathon completed it.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn create_app(definition: &Value) -> Result<Value, MarathonError> {
    crate::debug(format_args!("-> POST /v2/apps ({})", definition["id"].as_str().unwrap_or_default()));
    read(host::operate::create_app(json::to_line(definition)).await)
}

/// Replaces members of an app. Gives the deployment's id.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn update_app(app: &str, change: &Value) -> Result<String, MarathonError> {
    crate::debug(format_args!("-> PUT /v2/apps/{app}"));
    Ok(host::operate::update_app(app.to_owned(), json::to_line(change), false).await?.id)
}

/// Deletes an app and ends its tasks.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn delete_app(app: &str) -> Result<(), MarathonError> {
    crate::debug(format_args!("-> DELETE /v2/apps/{app}"));
    host::operate::delete_app(app.to_owned(), false).await?;
    Ok(())
}

/// Deletes an app that a deployment of the caller's own still holds, with that deployment.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn abandon_app(app: &str) -> Result<(), MarathonError> {
    crate::debug(format_args!("-> DELETE /v2/apps/{app}?force=true"));
    host::operate::delete_app(app.to_owned(), true).await?;
    Ok(())
}

/// Ends tasks for good: their app shrinks by as many.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn remove_tasks(tasks: &[String]) -> Result<(), MarathonError> {
    if tasks.is_empty() {
        return Ok(());
    }
    crate::debug(format_args!("-> POST /v2/tasks/delete?scale=true ({} tasks)", tasks.len()));
    host::operate::kill_tasks(tasks.to_vec(), true, false).await?;
    Ok(())
}

/// Ends tasks; Marathon starts others in their place.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn replace_tasks(tasks: &[String]) -> Result<(), MarathonError> {
    if tasks.is_empty() {
        return Ok(());
    }
    crate::debug(format_args!("-> POST /v2/tasks/delete?scale=false ({} tasks)", tasks.len()));
    host::operate::kill_tasks(tasks.to_vec(), false, false).await?;
    Ok(())
}

/// Replaces every task of an app by a new one. Gives the deployment's id.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn restart_app(app: &str) -> Result<String, MarathonError> {
    crate::debug(format_args!("-> POST /v2/apps/{app}/restart"));
    Ok(host::operate::restart_app(app.to_owned(), false).await?.id)
}

/// Makes sure that no deployment in progress holds an app.
///
/// # Errors
/// As Marathon would refuse a change: 409 where one does, 404 where there is no such app.
pub async fn require_unlocked(id: &str) -> Result<(), MarathonError> {
    let app = app(id).await?;
    let by: Vec<String> = app["deployments"].as_array().into_iter().flatten().filter_map(deployment_id).collect();
    if by.is_empty() { Ok(()) } else { Err(wire::Error::Locked(by).into()) }
}

fn deployment_id(deployment: &Value) -> Option<String> {
    deployment["id"].as_str().map(str::to_owned)
}

/// Gives the ids of an app's tasks.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn tasks(app: &str) -> Result<Vec<String>, MarathonError> {
    crate::debug(format_args!("-> GET /v2/apps/{app}/tasks"));
    let answer = read(host::inspect::tasks(Some(app.to_owned())).await)?;
    let tasks = answer["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(tasks.iter().filter_map(|task| task["id"].as_str()).map(str::to_owned).collect())
}

/// Gives one app.
///
/// # Errors
/// Where there is none, or Marathon does not answer.
pub async fn app(app: &str) -> Result<Value, MarathonError> {
    crate::debug(format_args!("-> GET /v2/apps/{app}"));
    let answer = read(host::inspect::app(app.to_owned()).await)?;
    Ok(answer.get("app").cloned().unwrap_or(answer))
}
