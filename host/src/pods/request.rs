//! What is sent to a pod: a verb as a path, headers and a body. Built once for all pods that are asked the same.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use ocho_core::registration::ControlAddress;
use ocho_core::signature::{Token, sha256};
use ocho_runtime::host::{Problem, Upload, Verb};
use ochopod::signing::sign_digest;

/// Header with the command line of a pod's tool.
const SHELL: HeaderName = HeaderName::from_static("x-shell");
/// The pod answers 408 after its own wait, and that answer needs a moment to arrive before ours is over.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// A request without its receiver.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    /// How long connection, request and reply may take together.
    pub(super) within: Duration,
    /// What it is signed with, and the digest of its body.
    signed: Option<(Token, [u8; 32])>,
    /// Whether it may be sent once more after the pod closed a kept connection: twice has the same effect as once.
    pub(super) is_repeatable: bool,
}

impl Prepared {
    /// # Errors
    /// Where a command line cannot be a header.
    pub(super) fn new(verb: Verb, within: Duration) -> Result<Self, Problem> {
        let plain = |path: &str, is_repeatable| Self {
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            within,
            signed: None,
            is_repeatable,
        };
        let control = |task: &str, is_repeatable| {
            let seconds = within.as_millis().div_ceil(1000).max(1);
            Self { within: within.saturating_add(ANSWER_MARGIN), ..plain(&format!("/control/{task}/{seconds}"), is_repeatable) }
        };
        Ok(match verb {
            Verb::Info => plain("/info", true),
            Verb::Log => plain("/log", true),
            Verb::On => control("on", true),
            Verb::Off => control("off", true),
            // A second `kill` is answered 410, which means the same to whoever asks: it is dead.
            Verb::Kill => control("kill", true),
            Verb::Signal(payload) => Self {
                headers: vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                body: Bytes::from(payload),
                ..control("signal", false)
            },
            Verb::Reregister => plain("/reset", false),
            Verb::Exec { command_line, files } => exec(plain("/exec", false), &command_line, &files)?,
        })
    }

    /// Signs it for pods that ask for that; those that do not take no notice.
    pub(super) fn signed(self, token: Option<&Token>) -> Self {
        Self { signed: token.map(|token| (token.clone(), sha256(&self.body))), ..self }
    }

    fn signature(&self) -> HeaderMap {
        let Some((token, digest)) = &self.signed else { return HeaderMap::new() };
        let shell = self.headers.iter().find(|(name, _)| *name == SHELL).map_or(&b""[..], |(_, line)| line.as_bytes());
        sign_digest(token, &self.path, shell, *digest)
    }

    pub(super) fn to(&self, address: &ControlAddress) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path.as_str())
            .header(HOST, authority(address))
            // hyper leaves it out where it is 0, and there are servers that wait for a body then.
            .header(CONTENT_LENGTH, self.body.len());
        let signature = self.signature();
        for (name, value) in self.headers.iter().map(|(name, value)| (name, value)).chain(&signature) {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone()))
    }
}

/// `host:port`, an IPv6 address in brackets.
fn authority(ControlAddress { host, port }: &ControlAddress) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn exec(plain: Prepared, command_line: &str, files: &[Upload]) -> Result<Prepared, Problem> {
    let mut headers = vec![(SHELL, shell_header(command_line)?)];
    if files.is_empty() {
        return Ok(Prepared { headers, ..plain });
    }
    // 128 random bits stand in no file by accident, and nobody can write a file that contains them on purpose.
    let boundary = format!("ocho-{:032x}", rand::random::<u128>());
    let content_type = format!("multipart/form-data; boundary={boundary}");
    headers.push((CONTENT_TYPE, HeaderValue::try_from(content_type).map_err(|error| bad_request(&error.to_string()))?));
    Ok(Prepared { headers, body: multipart(&boundary, files), ..plain })
}

fn shell_header(command_line: &str) -> Result<HeaderValue, Problem> {
    if command_line.chars().any(char::is_control) {
        return Err(bad_request("the command line has control characters, which no header can carry"));
    }
    HeaderValue::from_bytes(command_line.as_bytes()).map_err(|error| bad_request(&error.to_string()))
}

fn bad_request(message: &str) -> Problem {
    Problem::new("bad-request", message)
}

/// A part for each file. Pods take the field's name for the file's.
fn multipart(boundary: &str, files: &[Upload]) -> Bytes {
    let mut body = BytesMut::new();
    for Upload { name, content } in files {
        let name = quoted(name);
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.put_slice(head.as_bytes());
        body.put_slice(content);
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    body.freeze()
}

/// As HTML forms write names: what would end the quotes or the line is percent-encoded.
fn quoted(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut quoted, c| {
        match c {
            '"' => quoted.push_str("%22"),
            '\r' => quoted.push_str("%0D"),
            '\n' => quoted.push_str("%0A"),
            other => quoted.push(other),
        }
        quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(verb: Verb, millis: u64) -> Prepared {
        Prepared::new(verb, Duration::from_millis(millis)).unwrap()
    }

    #[test]
    fn verbs_are_paths() {
        for (verb, path) in [
            (Verb::Info, "/info"),
            (Verb::Log, "/log"),
            (Verb::Reregister, "/reset"),
            (Verb::On, "/control/on/3"),
            (Verb::Off, "/control/off/3"),
            (Verb::Kill, "/control/kill/3"),
            (Verb::Signal("{}".to_owned()), "/control/signal/3"),
        ] {
            assert_eq!(prepared(verb, 2_001).path, path);
        }
        assert_eq!(prepared(Verb::Kill, 0).path, "/control/kill/1");
        assert_eq!(prepared(Verb::Kill, 3_000).path, "/control/kill/3");
    }

    #[test]
    fn the_pods_own_wait_ends_before_ours() {
        assert_eq!(prepared(Verb::Off, 3_000).within, Duration::from_millis(3_500));
        assert_eq!(prepared(Verb::Info, 3_000).within, Duration::from_millis(3_000));
        assert_eq!(Prepared::new(Verb::Off, Duration::MAX).unwrap().within, Duration::MAX);
    }

    #[test]
    fn control_orders_carry_nothing() {
        let request = prepared(Verb::Kill, 1_000).to(&ControlAddress { host: "h".to_owned(), port: 1 }).unwrap();
        assert_eq!(request.headers().keys().collect::<Vec<_>>(), ["host", "content-length"]);
        assert_eq!(request.headers()["host"], "h:1");
        let request = prepared(Verb::Info, 1_000).to(&ControlAddress { host: "::1".to_owned(), port: 1 }).unwrap();
        assert_eq!(request.headers()["host"], "[::1]:1");
    }

    #[test]
    fn command_lines_with_control_characters_are_refused() {
        let exec = |line: &str| Prepared::new(Verb::Exec { command_line: line.to_owned(), files: vec![] }, Duration::ZERO);
        for bad in ["a\nb", "a\r\nX-Evil: 1", "\0", "a\tb", "\u{85}", "\u{7f}"] {
            assert_eq!(exec(bad).unwrap_err().code, "bad-request", "{bad:?}");
        }
        for good in ["", "run 'a b'", "grüße"] {
            assert_eq!(exec(good).unwrap().headers[0].1.as_bytes(), good.as_bytes());
        }
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let upload = Upload { name: "a\"; x=\"\r\nb".to_owned(), content: Bytes::from_static(b"1\r\n2") };
        let body = multipart("B", &[upload]);
        let text = std::str::from_utf8(&body).unwrap();
        let name = "a%22; x=%22%0D%0Ab";
        assert_eq!(
            text,
            format!(
                "--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n1\r\n2\r\n--B--\r\n"
            )
        );
    }
}
