//! Who may call: the token's signatures, the old one over the command line and the new one over the whole request.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use futures::{StreamExt as _, stream};
use ocho_core::signature::{SignedRequest, Token};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use crate::room::{Held, Room};

/// How far a caller's clock may be off, in seconds.
const WINDOW_S: u64 = 300;

/// Nonces that are remembered; a flood of signed requests beyond that is refused.
const NONCES: usize = 200_000;

/// A body up to this size is held in memory until its signature is checked, a larger one on disk.
const SPOOL_BYTES: usize = 1 << 20;

/// KiB of bodies that are held at once until their signature is checked, and read on after that: a stranger can make us hold that much,
/// and no more.
const HELD_KIB: usize = 1 << 20;

/// Checks signatures. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    token: Option<Token>,
    require_256: bool,
    started: u64,
    /// Nonces by the time until which they count.
    seen: Mutex<BTreeMap<(u64, String), ()>>,
    room: Room,
}

/// Why a request is refused. The texts of the old scheme are what its clients know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No signature at all.
    #[error("signature missing (make sure you define $OCHOPOD_TOKEN)")]
    Missing,
    /// The old signature is wrong.
    #[error("SHA1 signature mismatch (check your token)")]
    Mismatch,
    /// The new signature is wrong.
    #[error("SHA256 signature mismatch (check your token)")]
    Mismatch256,
    /// Only the new one is taken.
    #[error("this host takes X-Signature-256 only (use `ocho`, or sign the whole request)")]
    Require256,
    /// Headers of the new one are missing or no numbers.
    #[error("X-Signature-256 comes with X-Ocho-Time (seconds) and X-Ocho-Nonce (32 hexadecimal digits)")]
    Headers,
    /// The clocks differ too much, or the request is older than the host's start.
    #[error("the request's time is off by more than {WINDOW_S} s, or before the host's start (check the clocks)")]
    Time,
    /// The same request came before.
    #[error("this signed request was already received")]
    Replayed,
    /// Too many signed requests.
    #[error("too many signed requests within {WINDOW_S} s")]
    TooMany,
    /// Too many bodies wait for their check.
    #[error("the host holds as many uploads as it may ({} MiB); try again later", HELD_KIB >> 10)]
    Crowded,
    /// The body could not be read.
    #[error("the body cannot be read: {0}")]
    Body(String),
}

impl Auth {
    /// Lets callers in who know the token; everybody where there is none.
    #[must_use]
    pub fn new(token: Option<Token>, require_256: bool) -> Self {
        Self(Arc::new(Inner { token, require_256, started: now(), seen: Mutex::default(), room: Room::of_kib(HELD_KIB) }))
    }

    /// Checks a request of the compatible face: the new signature where there is one, else the old one over `line`.
    ///
    /// # Errors
    /// Where neither is right.
    pub async fn check_line(&self, request: Request, line: &[u8]) -> Result<Request, Denied> {
        let Some(token) = &self.0.token else { return Ok(request) };
        if self.0.require_256 || request.headers().contains_key(SIGNATURE_256) {
            return self.check(request).await;
        }
        let signature = request.headers().get("x-signature").ok_or(Denied::Missing)?;
        if token.verify(line, signature.as_bytes().trim_ascii()) { Ok(request) } else { Err(Denied::Mismatch) }
    }

    /// Whether a request is to be checked whole: it has the new signature, or nothing else is taken.
    #[must_use]
    pub fn takes_whole(&self, headers: &HeaderMap) -> bool {
        self.0.require_256 || headers.contains_key(SIGNATURE_256)
    }

    /// Checks the new signature. The body is read whole, and handed on.
    ///
    /// # Errors
    /// Where it is missing, wrong, late or was seen before.
    pub async fn check(&self, request: Request) -> Result<Request, Denied> {
        let Some(token) = &self.0.token else { return Ok(request) };
        let (parts, body) = request.into_parts();
        let signature = match parts.headers.get(SIGNATURE_256) {
            Some(signature) => signature.as_bytes().trim_ascii().to_vec(),
            None if self.0.require_256 && parts.headers.contains_key("x-signature") => return Err(Denied::Require256),
            None => return Err(Denied::Missing),
        };
        let (time, nonce) = time_and_nonce(&parts.headers).ok_or(Denied::Headers)?;
        self.check_time(&time)?;
        let spooled = Spooled::read(body, self.0.room.begin()).await?;
        let signed = signed_request(&parts, &time, &nonce, spooled.sha256);
        if !token.verify_request(&signed, &signature) {
            return Err(Denied::Mismatch256);
        }
        // Only after the signature: a stranger cannot fill the memory.
        self.remember(&time, nonce)?;
        Ok(Request::from_parts(parts, spooled.into_body()))
    }

    fn check_time(&self, time: &str) -> Result<(), Denied> {
        let time: u64 = time.parse().map_err(|_| Denied::Headers)?;
        // The caller's clock has whole seconds, so the second of the start itself counts.
        if time.abs_diff(now()) > WINDOW_S || time < self.0.started.saturating_sub(1) { Err(Denied::Time) } else { Ok(()) }
    }

    fn remember(&self, time: &str, nonce: String) -> Result<(), Denied> {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        // Sorted by time: what is too old for the window stands first.
        while seen.first_key_value().is_some_and(|((until, _), ())| *until < now) {
            seen.pop_first();
        }
        if seen.len() >= NONCES {
            return Err(Denied::TooMany);
        }
        let until = time.parse::<u64>().unwrap_or(now) + WINDOW_S;
        if seen.insert((until, nonce), ()).is_some() { Err(Denied::Replayed) } else { Ok(()) }
    }
}

const SIGNATURE_256: &str = "x-signature-256";

fn time_and_nonce(headers: &HeaderMap) -> Option<(String, String)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned());
    let nonce = text("x-ocho-nonce").filter(|nonce| nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((text("x-ocho-time")?, nonce))
}

fn signed_request<'a>(parts: &'a Parts, time: &'a str, nonce: &'a str, body_sha256: [u8; 32]) -> SignedRequest<'a> {
    let variables = parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-var-"));
    SignedRequest {
        time,
        nonce,
        method: parts.method.as_str(),
        path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        shell: parts.headers.get("x-shell").map_or(b"", |line| line.as_bytes().trim_ascii()),
        variables: variables.map(|(name, value)| (name.to_string(), value.as_bytes().trim_ascii().to_vec())).collect(),
        body_sha256,
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A body that was read to its end, and can be read again.
struct Spooled {
    file: SpooledTempFile,
    sha256: [u8; 32],
    room: Held,
}

impl Spooled {
    async fn read(body: Body, mut room: Held) -> Result<Self, Denied> {
        let wrong = |error: &dyn std::fmt::Display| Denied::Body(error.to_string());
        let (mut file, mut digest, mut bytes) = (SpooledTempFile::new(SPOOL_BYTES), Sha256::new(), 0);
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| wrong(&error))?;
            bytes += chunk.len();
            if bytes > crate::portal::BODY_BYTES {
                return Err(wrong(&"it is too large"));
            }
            room.cover(bytes).map_err(|_| Denied::Crowded)?;
            digest.update(&chunk);
            file.write_all(&chunk).map_err(|error| wrong(&error))?;
        }
        file.rewind().map_err(|error| wrong(&error))?;
        Ok(Self { file, sha256: digest.finalize().into(), room })
    }

    fn into_body(self) -> Body {
        let Self { file, room, .. } = self;
        let chunks = stream::unfold((file, room), |(mut file, room)| async move {
            let mut chunk = vec![0; 64 * 1024];
            match file.read(&mut chunk) {
                Ok(0) => None,
                Ok(read) => {
                    chunk.truncate(read);
                    Some((Ok(Bytes::from(chunk)), (file, room)))
                }
                Err(error) => Some((Err(error), (file, room))),
            }
        });
        Body::from_stream(chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        Auth::new(Token::new("secret"), false)
    }

    fn signed(time: u64, nonce: &str, body: &'static str) -> Request {
        let (time, token) = (time.to_string(), Token::new("secret").unwrap());
        let request = Request::builder().method("POST").uri("/v1/runs?x=1").header("X-Shell", "ls").header("X-Var-A", "1");
        let request = request.header("X-Ocho-Time", &time).header("X-Ocho-Nonce", nonce).body(Body::from(body)).unwrap();
        let (mut parts, body_again) = request.into_parts();
        let signature = token.sign_request(&signed_request(&parts, &time, nonce, ocho_core::signature::sha256(body.as_bytes())));
        parts.headers.insert(SIGNATURE_256, signature.parse().unwrap());
        Request::from_parts(parts, body_again)
    }

    const NONCE: &str = "00112233445566778899aabbccddeeff";

    #[tokio::test]
    async fn a_signed_request_passes_once_with_its_body() {
        let auth = auth();
        let passed = auth.check(signed(now(), NONCE, "body")).await.unwrap();
        assert_eq!(axum::body::to_bytes(passed.into_body(), 100).await.unwrap(), "body");
        assert_eq!(auth.check(signed(now(), NONCE, "body")).await.unwrap_err(), Denied::Replayed);
    }

    #[tokio::test]
    async fn only_so_many_bodies_are_held() {
        let auth = auth();
        let room = auth.0.room.clone();
        let mut others = room.begin();
        others.cover((HELD_KIB - 1) << 10).unwrap();
        let passed = auth.check(signed(now(), NONCE, "body")).await.unwrap();
        let other = "ffeeddccbbaa99887766554433221100";
        assert_eq!(auth.check(signed(now(), other, "body")).await.unwrap_err(), Denied::Crowded);
        // What has no body needs no room, and what was read gives its room back.
        assert!(auth.check(signed(now(), "0123456789abcdef0123456789abcdef", "")).await.is_ok());
        axum::body::to_bytes(passed.into_body(), 100).await.unwrap();
        assert!(auth.check(signed(now(), other, "body")).await.is_ok());
        drop(others);
        assert_eq!(room.begin().cover(HELD_KIB << 10), Ok(()));
    }

    #[tokio::test]
    async fn what_was_changed_does_not_pass() {
        let auth = auth();
        let mut other_line = signed(now(), NONCE, "body");
        other_line.headers_mut().insert("x-shell", "kill * --force".parse().unwrap());
        assert_eq!(auth.check(other_line).await.unwrap_err(), Denied::Mismatch256);
        let (parts, _) = signed(now(), NONCE, "body").into_parts();
        let other_body = Request::from_parts(parts, Body::from("Body"));
        assert_eq!(auth.check(other_body).await.unwrap_err(), Denied::Mismatch256);
        for (time, denied) in
            [(now() - WINDOW_S - 5, Denied::Time), (now() + WINDOW_S + 60, Denied::Time), (now() - 5, Denied::Time)]
        {
            assert_eq!(auth.check(signed(time, NONCE, "")).await.unwrap_err(), denied);
        }
        assert_eq!(auth.check(signed(now(), "short", "")).await.unwrap_err(), Denied::Headers);
    }

    #[tokio::test]
    async fn the_old_signature_passes_unless_the_new_one_is_required() {
        let line = b"ls";
        let old = || {
            let signature = Token::new("secret").unwrap().sign(line);
            Request::builder().header("X-Signature", signature).body(Body::empty()).unwrap()
        };
        assert!(auth().check_line(old(), line).await.is_ok());
        assert_eq!(auth().check_line(old(), b"kill").await.unwrap_err(), Denied::Mismatch);
        assert_eq!(auth().check_line(Request::new(Body::empty()), line).await.unwrap_err(), Denied::Missing);
        let strict = Auth::new(Token::new("secret"), true);
        assert_eq!(strict.check_line(old(), line).await.unwrap_err(), Denied::Require256);
        assert!(Auth::new(None, false).check_line(Request::new(Body::empty()), line).await.is_ok());
    }
}
