//! Marathon: reading and changing apps.

use std::fmt;

use ocho_core::json;
use serde_json::Value;

use crate::generated::ocho::marathon::types as wire;
use crate::host;

/// More complaints about one definition help nobody.
const DETAILS_AT_MOST: usize = 8;

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
            wire::Error::Invalid(refusal) => refused(refusal.status, with_details(refusal.message, &refusal.body)),
            wire::Error::Denied(refusal) | wire::Error::Refused(refusal) => refused(refusal.status, refusal.message),
            wire::Error::Other(problem) => Self::NoAnswer(problem.message),
        }
    }
}

/// The message with the places of a definition that Marathon does not like: `Object is not valid (/id: must ...)`.
fn with_details(message: String, body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let details: Vec<String> = body["details"].as_array().into_iter().flatten().take(DETAILS_AT_MOST).map(detail).collect();
    if details.is_empty() { message } else { format!("{message} ({})", details.join("; ")) }
}

fn detail(detail: &Value) -> String {
    let errors: Vec<&str> = detail["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!("{}: {}", detail["path"].as_str().unwrap_or_default(), errors.join(", "))
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

/// Rolls a deployment back, or with `force` drops it where it stands.
///
/// # Errors
/// Where there is none, or Marathon refuses or does not answer.
pub async fn cancel_deployment(id: &str, force: bool) -> Result<(), MarathonError> {
    crate::debug(format_args!("-> DELETE /v2/deployments/{id}"));
    Ok(host::operate::cancel_deployment(id.to_owned(), force).await?)
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

/// Lists the apps, without their tasks. `query` holds parameters of `GET /v2/apps` (`label`, `id`, ...), not yet encoded.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn apps(query: &[(&str, &str)]) -> Result<Vec<Value>, MarathonError> {
    crate::debug(format_args!("-> GET /v2/apps"));
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(list(read(host::inspect::apps(query).await)?, "apps"))
}

/// Lists an app's versions, newest first.
///
/// # Errors
/// Where there is no such app, or Marathon does not answer.
pub async fn versions(app: &str) -> Result<Vec<String>, MarathonError> {
    crate::debug(format_args!("-> GET /v2/apps/{app}/versions"));
    Ok(host::inspect::versions(app.to_owned()).await?)
}

/// Gives an app as it was at a version.
///
/// # Errors
/// Where there is no such app or version, or Marathon does not answer.
pub async fn version(app: &str, version: &str) -> Result<Value, MarathonError> {
    crate::debug(format_args!("-> GET /v2/apps/{app}/versions/{version}"));
    read(host::inspect::version(app.to_owned(), version.to_owned()).await)
}

/// Lists the deployments in progress.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn deployments() -> Result<Vec<Value>, MarathonError> {
    crate::debug(format_args!("-> GET /v2/deployments"));
    Ok(read(host::inspect::deployments().await)?.as_array().cloned().unwrap_or_default())
}

/// Lists what waits to be launched, and why.
///
/// # Errors
/// Where Marathon refuses or does not answer.
pub async fn queue() -> Result<Vec<Value>, MarathonError> {
    crate::debug(format_args!("-> GET /v2/queue"));
    Ok(list(read(host::inspect::queue().await)?, "queue"))
}

/// The list that an answer holds under a name.
fn list(mut answer: Value, member: &str) -> Vec<Value> {
    match answer[member].take() {
        Value::Array(found) => found,
        _ => Vec::new(),
    }
}

/// Gives one app, with its tasks.
///
/// # Errors
/// Where there is none, or Marathon does not answer.
pub async fn app(app: &str) -> Result<Value, MarathonError> {
    crate::debug(format_args!("-> GET /v2/apps/{app}"));
    let answer = read(host::inspect::app(app.to_owned()).await)?;
    Ok(answer.get("app").cloned().unwrap_or(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretend::{Cluster, Pod};
    use crate::{Failure, Found, Report, Usage, json};

    async fn look(_: Found) -> Result<Report, Failure> {
        let before = versions("app.test.web").await?;
        update_app("app.test.web", &json!({"instances": 1})).await?;
        let now = versions("app.test.web").await?;
        let first = version("app.test.web", &now[1]).await?;
        cancel_deployment("deployment", true).await?;
        let unknown = version("app.test.web", "never").await.is_err_and(|error| error.is_not_found());
        let found = app("app.test.web").await?;
        Ok(Report::json(&json!({
            "listed": apps(&[("id", "web")]).await?.len(), "others": apps(&[("id", "db")]).await?.len(),
            "versions": [before.len(), now.len()], "before": first["instances"], "now": found["instances"],
            "oldest": found["tasks"][0]["id"], "unknown": unknown,
            "waits": deployments().await?.len() + queue().await?.len(),
        })))
    }

    #[test]
    fn apps_are_read_with_their_past() {
        let pods = [Pod::new("test.web", 1), Pod::new("test.web", 2)];
        let end = Cluster::new().pods(pods).run(&Usage::new("look", "Looks."), look, "");
        let seen: Value = serde_json::from_str(&end.out).unwrap_or_else(|_| panic!("{end:?}"));
        let expected = json!({
            "listed": 1, "others": 0, "versions": [2, 3], "before": 2, "now": 1, "oldest": "task.test.web.1",
            "unknown": true, "waits": 0,
        });
        assert_eq!(seen, expected);
        assert!(end.requests.contains(&"DELETE /v2/deployments/deployment".to_owned()), "{:?}", end.requests);
    }

    #[track_caller]
    fn check(body: &str, shown: &str) {
        let refusal = wire::Refusal { status: 422, message: "Object is not valid".to_owned(), body: body.to_owned() };
        assert_eq!(MarathonError::from(wire::Error::Invalid(refusal)).to_string(), format!("(HTTP 422): {shown}"), "{body}");
    }

    #[test]
    fn what_is_wrong_with_a_definition_is_told_with_its_place() {
        let body = r#"{"message": "x", "details": [{"path": "/id", "errors": ["a", "b"]}, {"path": "/cpus", "errors": ["c"]}]}"#;
        check(body, "Object is not valid (/id: a, b; /cpus: c)");
        for body in ["", "<html>", "[]", r#"{"details": "x"}"#, r#"{"details": []}"#] {
            check(body, "Object is not valid");
        }
        check(r#"{"details": [3, {"path": 1}]}"#, "Object is not valid (: ; : )");
        let many = format!(r#"{{"details": [{}]}}"#, vec![r#"{"path": "/p", "errors": ["e"]}"#; 100].join(","));
        check(&many, &format!("Object is not valid ({})", ["/p: e"; DETAILS_AT_MOST].join("; ")));
    }
}
