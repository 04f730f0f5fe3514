//! A request as the handlers see it.

use axum::extract::Query;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

use super::error::ApiError;
use super::server::Connection;
use crate::scheduler::wire::json::{At, Mistakes};

/// A request whose body is read.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) client: Connection,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: bytes::Bytes,
}

impl Request {
    /// The parameters of a query; one that does not read has none.
    pub(crate) fn query_of(uri: &Uri) -> Vec<(String, String)> {
        Query::try_from_uri(uri).map_or_else(|_| Vec::new(), |Query(pairs)| pairs)
    }

    /// A parameter's last value.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(crate) fn params<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is `true`, in any letter case. Everything else is false.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.param(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// Media types that the client names, in its order.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|media| media.split(';').next().unwrap_or("").trim())
    }

    /// Refuses a body that says to be something else than JSON.
    pub(crate) fn check_media(&self) -> Result<(), ApiError> {
        let named = self.headers.get(http::header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or(""));
        let media = named.map(|named| named.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
        match media.as_deref() {
            None | Some("application/json") => Ok(()),
            Some(_) if self.body.is_empty() => Ok(()),
            Some(_) => Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type")),
        }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            let body = serde_json::json!({
                "message": "Please specify data in JSON format",
                "details": "No content to map due to end-of-input",
            });
            return Err(ApiError { status: StatusCode::BAD_REQUEST, body });
        }
        serde_json::from_slice(&self.body).map_err(|error| ApiError {
            status: StatusCode::BAD_REQUEST,
            body: serde_json::json!({ "message": "Invalid JSON", "details": error.to_string() }),
        })
    }

    /// Reads the body with `read`, which reports mistakes where they stand.
    pub(crate) fn parse<T>(&self, read: impl Fn(&At<'_>) -> Option<T>) -> Result<T, ApiError> {
        let value = self.json()?;
        let mistakes = Mistakes::default();
        let result = read(&mistakes.read(&value));
        match (result, mistakes.into_vec()) {
            (Some(result), mistakes) if mistakes.is_empty() => Ok(result),
            (_, mistakes) => Err(ApiError::unreadable(mistakes)),
        }
    }
}
