//! Answers: JSON in the original's form, whatever happened.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A code and a value.
pub(crate) fn json<T: Serialize + ?Sized>(code: StatusCode, value: &T) -> Response {
    let mut response = Response::new(Body::from(ocho_core::json::to_line(value)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// A code and `{}`. There is never a text: those who wrote clients for the original do not look for one.
pub(crate) fn bare(code: StatusCode) -> Response {
    json(code, &serde_json::Map::new())
}
