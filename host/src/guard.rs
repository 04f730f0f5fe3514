//! Keeps web pages of other sites away from servers on loopback: a page can post to them through the user's browser.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::is_loopback;

/// Whether a server is reached on loopback only; then foreign `Host` and `Origin` are refused.
#[derive(Debug, Clone, Copy)]
pub struct LoopbackOnly(pub bool);

/// Middleware: 403 for a request that a foreign page made, or that reached us under a foreign name.
pub async fn refuse_foreign(State(LoopbackOnly(on)): State<LoopbackOnly>, request: Request, next: Next) -> Response {
    if on && [header::HOST, header::ORIGIN].iter().any(|name| is_foreign(&request, name)) {
        return (StatusCode::FORBIDDEN, "this server answers to loopback names and pages only\n").into_response();
    }
    next.run(request).await
}

fn is_foreign(request: &Request, name: &header::HeaderName) -> bool {
    request.headers().get_all(name).iter().any(|value| !value.to_str().is_ok_and(is_loopback_name))
}

/// `127.0.0.1:9000`, `localhost`, `[::1]:80`, with or without a scheme.
fn is_loopback_name(value: &str) -> bool {
    let authority = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://")).unwrap_or(value);
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(host, _)| host),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names() {
        for good in
            ["127.0.0.1:9000", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:9000", "http://localhost:3000", "127.1.2.3:1"]
        {
            assert!(is_loopback_name(good), "{good}");
        }
        for bad in [
            "",
            "null",
            "example.com",
            "example.com:9000",
            "http://evil.test",
            "127.0.0.1.evil.test",
            "localhost.evil.test:1",
            "[::1",
            "10.0.0.1",
            "::1",
        ] {
            assert!(!is_loopback_name(bad), "{bad}");
        }
    }
}
