//! Mistakes and refusals as clients read them.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::scheduler::deployments::run::ChangeError;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::wire::json::Mistake;

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// What a handler returns.
pub(crate) type Answer = Result<Response, ApiError>;

impl ApiError {
    /// A status with one sentence.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: json!({ "message": message.into() }) }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn no_app(id: &PathId) -> Self {
        Self::not_found(format!("App '{id}' does not exist"))
    }

    pub(crate) fn no_app_version(id: &PathId, version: Timestamp) -> Self {
        Self::not_found(format!("App '{id}' does not exist in version {version}"))
    }

    pub(crate) fn no_group(id: &PathId) -> Self {
        Self::not_found(format!("Group '{id}' does not exist"))
    }

    pub(crate) fn no_task(id: &str) -> Self {
        Self::not_found(format!("Task '{id}' does not exist"))
    }

    /// Members of the wrong type, or out of their range.
    pub(crate) fn unreadable(mistakes: Vec<Mistake>) -> Self {
        Self::detailed("Invalid JSON", mistakes)
    }

    /// Rules that the whole does not keep.
    pub(crate) fn invalid(mistakes: Vec<Mistake>) -> Self {
        Self::detailed("Object is not valid", mistakes)
    }

    fn detailed(message: &str, mistakes: Vec<Mistake>) -> Self {
        let mut by_path: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for mistake in mistakes {
            let errors = by_path.entry(mistake.path).or_default();
            if !errors.contains(&mistake.error) {
                errors.push(mistake.error);
            }
        }
        let details: Vec<Value> = by_path.into_iter().map(|(path, errors)| json!({ "path": path, "errors": errors })).collect();
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body: json!({ "message": message, "details": details }) }
    }

    /// `Ok` without mistakes.
    pub(crate) fn invalid_if(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self::invalid(mistakes)) }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let message = error.to_string();
        match error {
            ChangeError::Locked(ids) => Self {
                status: StatusCode::CONFLICT,
                body: json!({
                    "message": message,
                    "deployments": ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
                }),
            },
            ChangeError::TooMany => Self::new(StatusCode::FORBIDDEN, message),
            ChangeError::NoServicePort(_) => Self::unprocessable(message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
