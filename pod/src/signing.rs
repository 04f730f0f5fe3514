//! Signed requests: what a leader adds, and what a pod with a token asks for.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use ocho_core::signature::{SignedRequest, Token, hex, sha256};
use rand::RngExt;

/// Clocks may differ by this much, and a nonce is remembered for as long.
const WINDOW_S: u64 = 300;
/// Nonces remembered. Only holders of the token can fill this, and then they wait.
const NONCES: usize = 100_000;

const TIME: HeaderName = HeaderName::from_static("x-ocho-time");
const NONCE: HeaderName = HeaderName::from_static("x-ocho-nonce");
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature-256");
const SHELL: &str = "x-shell";

/// Headers that sign a `POST` without `X-Shell`.
pub(crate) fn sign(token: &Token, path: &str, body: &[u8]) -> HeaderMap {
    sign_digest(token, path, b"", sha256(body))
}

/// Headers that sign a `POST` to a pod, with the value of its `X-Shell` and the SHA-256 of its body. Each call gives others: a pod takes
/// a signature once.
#[must_use]
pub fn sign_digest(token: &Token, path: &str, shell: &[u8], body_sha256: [u8; 32]) -> HeaderMap {
    let nonce: [u8; 16] = rand::rng().random();
    let (time, nonce) = (now().to_string(), hex(&nonce));
    let request = SignedRequest {
        time: &time,
        nonce: &nonce,
        method: "POST",
        path_and_query: path,
        shell: shell.trim_ascii(),
        variables: Vec::new(),
        body_sha256,
    };
    let signature = token.sign_request(&request);
    let mut headers = HeaderMap::new();
    for (name, value) in [(TIME, &time), (NONCE, &nonce), (SIGNATURE, &signature)] {
        headers.insert(name, HeaderValue::from_str(value).expect("digits and letters make a header"));
    }
    headers
}

/// Lets signed requests in, each of them once.
pub struct Guard {
    token: Option<Token>,
    started: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    order: VecDeque<(u64, String)>,
    nonces: HashSet<String>,
}

/// What a request is refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No signature, a wrong one, an old one, or one that was used before.
    Unsigned,
    /// Too many requests to remember.
    Busy,
}

/// The request line, for the signature.
pub(crate) struct Line<'a> {
    pub(crate) method: &'a str,
    pub(crate) path_and_query: &'a str,
}

impl Guard {
    /// Without a token everybody may do everything, as with the original.
    #[must_use]
    pub fn new(token: Option<Token>) -> Self {
        Self { token, started: now(), seen: Mutex::default() }
    }

    pub(crate) fn asks_for_signatures(&self) -> bool {
        self.token.is_some()
    }

    /// Whether a request may come in.
    pub(crate) fn admit(&self, line: &Line<'_>, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        match &self.token {
            Some(token) => self.check(token, line, headers, body, now()),
            None => Ok(()),
        }
    }

    fn check(&self, token: &Token, line: &Line<'_>, headers: &HeaderMap, body: &[u8], now: u64) -> Result<(), Refusal> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refusal::Unsigned);
        let (time, nonce) = (text(&TIME)?, text(&NONCE)?);
        let seconds: u64 = time.parse().map_err(|_| Refusal::Unsigned)?;
        let fresh = seconds.abs_diff(now) <= WINDOW_S && seconds >= self.started;
        if !fresh || nonce.len() != 32 {
            return Err(Refusal::Unsigned);
        }
        let shell = headers.get(SHELL).map_or(&b""[..], HeaderValue::as_bytes).trim_ascii();
        let Line { method, path_and_query } = *line;
        let variables = variables(headers);
        let request = SignedRequest { time, nonce, method, path_and_query, shell, variables, body_sha256: sha256(body) };
        let signature = headers.get(SIGNATURE).map_or(&b""[..], HeaderValue::as_bytes);
        if !token.verify_request(&request, signature) {
            return Err(Refusal::Unsigned);
        }
        self.remember(nonce, now)
    }

    fn remember(&self, nonce: &str, now: u64) -> Result<(), Refusal> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A time stamp may lie ahead by the window, so it can come again for two of them.
        while seen.order.front().is_some_and(|(at, _)| at + 2 * WINDOW_S < now) {
            if let Some((_, old)) = seen.order.pop_front() {
                seen.nonces.remove(&old);
            }
        }
        if seen.order.len() >= NONCES {
            return Err(Refusal::Busy);
        }
        if !seen.nonces.insert(nonce.to_owned()) {
            return Err(Refusal::Unsigned);
        }
        seen.order.push_back((now, nonce.to_owned()));
        Ok(())
    }
}

fn variables(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let variables = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-var-"));
    variables.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().trim_ascii().to_vec())).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line<'static> = Line { method: "POST", path_and_query: "/control/on/60" };

    fn token() -> Token {
        Token::new("secret").unwrap()
    }

    #[test]
    fn s01_a_signed_request_comes_in_once() {
        let guard = Guard::new(Some(token()));
        let headers = sign(&token(), LINE.path_and_query, b"{}");
        assert_eq!(guard.admit(&LINE, &headers, b"{}"), Ok(()));
        assert_eq!(guard.admit(&LINE, &headers, b"{}"), Err(Refusal::Unsigned), "the same once more");
    }

    #[test]
    fn s05_nothing_of_a_signed_request_can_be_changed() {
        let guard = Guard::new(Some(token()));
        let fresh = || sign(&token(), LINE.path_and_query, b"{}");
        let refused =
            |line: &Line<'_>, headers: &HeaderMap, body: &[u8]| guard.admit(line, headers, body) == Err(Refusal::Unsigned);
        assert!(refused(&LINE, &HeaderMap::new(), b"{}"));
        assert!(refused(&LINE, &fresh(), b"{ }"));
        assert!(refused(&Line { path_and_query: "/control/kill", ..LINE }, &fresh(), b"{}"));
        assert!(refused(&Line { method: "PUT", ..LINE }, &fresh(), b"{}"));
        assert!(refused(&LINE, &sign(&Token::new("other").unwrap(), LINE.path_and_query, b"{}"), b"{}"));
        for (name, value) in [("x-shell", "shell ls"), ("x-ocho-nonce", "0"), ("x-ocho-time", "0"), ("x-var-a", "b")] {
            let mut changed = fresh();
            changed.insert(name, HeaderValue::from_static(value));
            assert!(refused(&LINE, &changed, b"{}"), "{name}");
        }
    }

    #[test]
    fn a_command_line_is_signed_too() {
        let guard = Guard::new(Some(token()));
        let line = Line { method: "POST", path_and_query: "/exec" };
        let mut headers = sign_digest(&token(), "/exec", b"shell ls ", sha256(b"x"));
        headers.insert("x-shell", HeaderValue::from_static("shell ls"));
        assert_eq!(guard.admit(&line, &headers, b"x"), Ok(()));
        let mut other = sign_digest(&token(), "/exec", b"shell ls", sha256(b"x"));
        other.insert("x-shell", HeaderValue::from_static("shell rm"));
        assert_eq!(guard.admit(&line, &other, b"x"), Err(Refusal::Unsigned));
    }

    #[test]
    fn an_old_request_is_refused() {
        let guard = Guard { started: 0, ..Guard::new(Some(token())) };
        let headers = sign(&token(), LINE.path_and_query, b"");
        let signed: u64 = headers[&TIME].to_str().unwrap().parse().unwrap();
        let later = |seconds: u64| guard.check(&token(), &LINE, &headers, b"", signed + seconds);
        assert_eq!(later(WINDOW_S + 1), Err(Refusal::Unsigned));
        assert_eq!(later(WINDOW_S), Ok(()));
        let restarted = Guard { started: signed + 1, ..Guard::new(Some(token())) };
        assert_eq!(restarted.admit(&LINE, &headers, b""), Err(Refusal::Unsigned), "signed before the pod started");
    }

    #[test]
    fn without_a_token_everybody_comes_in() {
        assert_eq!(Guard::new(None).admit(&LINE, &HeaderMap::new(), b""), Ok(()));
    }
}
