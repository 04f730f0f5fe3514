//! Who may ask: credentials, and only requests that are meant for this machine.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use axum::response::{IntoResponse, Response};

use super::error::ApiError;

/// The door.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// `user:password`.
    credentials: Option<String>,
    /// Whether only names of the loopback interface are let in; a web page can send requests there, under any name.
    only_local: bool,
    also: Vec<String>,
}

impl Gate {
    pub(crate) fn new(credentials: Option<String>, only_local: bool, also: Vec<String>) -> Self {
        Self { credentials, only_local, also }
    }

    /// Refuses a request, or lets it in.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Box<Response>> {
        if let Some(stranger) = self.stranger(uri, headers) {
            let message = format!("requests for or from `{stranger}` are refused: this server is for its own machine");
            return Err(Box::new(ApiError::new(StatusCode::FORBIDDEN, message).into_response()));
        }
        if self.is_known(headers) {
            return Ok(());
        }
        let mut response = ApiError::new(StatusCode::UNAUTHORIZED, "Invalid username or password.").into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("basic realm=\"Mesosphere\""));
        Err(Box::new(response))
    }

    /// A name in the request that is not one of this machine.
    fn stranger(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        if !self.only_local {
            return None;
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let named = headers.get_all(HOST).iter().map(text).chain(uri.authority().map(ToString::to_string));
        let from = headers.get_all(ORIGIN).iter().map(text);
        let hosts = named.map(|host| (host.clone(), Some(host)));
        let origins = from.map(|origin| (origin.clone(), origin.split_once("://").map(|(_, host)| host.to_owned())));
        hosts
            .chain(origins)
            .find(|(_, host)| host.as_deref().is_none_or(|host| !self.is_own(without_port(host))))
            .map(|(shown, _)| shown)
    }

    fn is_own(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let local = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
        local || self.also.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let Some(credentials) = &self.credentials else { return true };
        let password = credentials.split_once(':').map_or(credentials.as_str(), |(_, password)| password);
        let values = headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
        values.into_iter().any(|value| {
            if let Some(token) = value.strip_prefix("token=") {
                return same(token.as_bytes(), password.as_bytes());
            }
            match value.split_once(' ') {
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("basic") => {
                    STANDARD.decode(rest.trim()).is_ok_and(|shown| same(&shown, credentials.as_bytes()))
                }
                Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
                    same(rest.trim().as_bytes(), password.as_bytes())
                }
                _ => false,
            }
        })
    }
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(cut) if !host[cut..].contains(']') && host[cut + 1..].bytes().all(|byte| byte.is_ascii_digit()) => &host[..cut],
        _ => host,
    }
}

/// Compares in a time that does not depend on where texts differ.
fn same(shown: &[u8], known: &[u8]) -> bool {
    let different = shown.iter().zip(known).fold(0, |different, (a, b)| different | (a ^ b));
    shown.len() == known.len() && std::hint::black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(gate: &Gate, headers: &[(http::HeaderName, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        gate.check(&Uri::from_static("/ping"), &headers).map_or_else(|response| response.status().as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_this_machine() {
        let gate = Gate::new(None, true, vec!["my.box".into()]);
        for host in ["127.0.0.1:8080", "localhost", "LocalHost:1", "[::1]:8080", "127.9.9.9", "my.box:80"] {
            assert_eq!(status(&gate, &[(HOST, host)]), 200, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "localhost.evil", "", "[::2]"] {
            assert_eq!(status(&gate, &[(HOST, host)]), 403, "{host}");
        }
        assert_eq!(status(&gate, &[(HOST, "localhost"), (ORIGIN, "http://127.0.0.1:9000")]), 200);
        for origin in ["http://evil.example", "null", "https://localhost.evil"] {
            assert_eq!(status(&gate, &[(HOST, "localhost"), (ORIGIN, origin)]), 403, "{origin}");
        }
        assert_eq!(status(&Gate::new(None, false, Vec::new()), &[(HOST, "evil.example")]), 200);
    }

    #[test]
    fn credentials() {
        let gate = Gate::new(Some("marathon:secret".into()), true, Vec::new());
        for good in ["Basic bWFyYXRob246c2VjcmV0", "basic bWFyYXRob246c2VjcmV0", "token=secret", "Bearer secret"] {
            assert_eq!(status(&gate, &[(AUTHORIZATION, good)]), 200, "{good}");
        }
        for bad in ["Basic bWFyYXRob246c2VjcmV1", "Basic ?", "token=", "Bearer marathon:secret", "secret", ""] {
            assert_eq!(status(&gate, &[(AUTHORIZATION, bad)]), 401, "{bad}");
        }
        assert_eq!(status(&gate, &[]), 401);
    }
}
