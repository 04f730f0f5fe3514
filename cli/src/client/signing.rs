//! How a request says who sends it: `docs/signatures.md`.

use std::time::{SystemTime, UNIX_EPOCH};

use ocho_core::signature::{SignedRequest, Token, hex};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// What is signed, and how the host checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// `X-Signature-256`, over the whole request.
    Whole,
    /// `X-Signature`, over the command line alone: what hosts of the original know.
    Line,
}

/// A request as far as its signature covers it.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    pub(super) path_and_query: &'a str,
    /// The command line; empty where the request has none.
    pub(super) line: &'a [u8],
    /// Headers `X-Var-*`, with their values.
    pub(super) variables: Vec<(String, Vec<u8>)>,
    pub(super) body_sha256: [u8; 32],
}

/// The headers that sign a request.
pub(super) fn headers(scheme: Scheme, token: &Token, request: &Unsigned<'_>) -> HeaderMap {
    match scheme {
        Scheme::Line => [header("x-signature", &token.sign(request.line))].into_iter().collect(),
        Scheme::Whole => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            whole(token, request, now, rand::random())
        }
    }
}

fn whole(token: &Token, request: &Unsigned<'_>, time: u64, nonce: [u8; 16]) -> HeaderMap {
    let (time, nonce) = (time.to_string(), hex(&nonce));
    let signature = token.sign_request(&SignedRequest {
        time: &time,
        nonce: &nonce,
        method: request.method,
        path_and_query: request.path_and_query,
        shell: request.line,
        variables: request.variables.clone(),
        body_sha256: request.body_sha256,
    });
    [header("x-ocho-time", &time), header("x-ocho-nonce", &nonce), header("x-signature-256", &signature)].into_iter().collect()
}

fn header(name: &'static str, value: &str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_str(value).expect("digits and letters fit a header"))
}
