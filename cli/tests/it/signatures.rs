//! The page `docs/signatures.md`: its vectors hold for our code, and for OpenSSL by the page's own shell functions.

use std::io::Write;
use std::process::Command;

use ocho_core::signature::{SignedRequest, Token, sha256};

const PAGE: &str = include_str!("../../../docs/signatures.md");

#[derive(Debug, Default)]
struct Vector {
    token: String,
    time: String,
    nonce: String,
    method: String,
    path: String,
    line: String,
    variables: Vec<(String, String)>,
    body: Vec<u8>,
    signature: String,
}

/// What stands between the fences of a kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = blocks("vector").into_iter().map(read).collect();
    assert_eq!(vectors.len(), 4);
    vectors
}

fn read(block: &str) -> Vector {
    let mut vector = Vector::default();
    for line in block.lines() {
        let (key, value) = line.split_once(':').unwrap();
        let value = value.trim().to_owned();
        match key {
            "token" => vector.token = value,
            "time" => vector.time = value,
            "nonce" => vector.nonce = value,
            "method" => vector.method = value,
            "path" => vector.path = value,
            "line" => vector.line = value,
            "variable" => {
                let (name, value) = value.split_once(':').unwrap();
                vector.variables.push((name.to_owned(), value.to_owned()));
            }
            "body" => vector.body = value.replace("\\r", "\r").replace("\\n", "\n").into_bytes(),
            "signature" => vector.signature = value,
            other => panic!("`{other}` is no key of a vector"),
        }
    }
    vector
}

impl Vector {
    fn request(&self) -> SignedRequest<'_> {
        SignedRequest {
            time: &self.time,
            nonce: &self.nonce,
            method: &self.method,
            path_and_query: &self.path,
            shell: self.line.as_bytes(),
            variables: self.variables.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
            body_sha256: sha256(&self.body),
        }
    }
}

/// Runs a function of the page in a shell; nothing where OpenSSL is not installed.
fn by_openssl(function: &str, arguments: &[&str]) -> Option<String> {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "`openssl` is not installed");
        // Not `eprintln!`: the test runner would keep that to itself.
        let _ = writeln!(std::io::stderr(), "skipped: signatures of `{function}`: `openssl` is not installed");
        return None;
    }
    let script = format!("{}\n{function} \"$@\"", blocks("sh").concat());
    let output = Command::new("sh").args(["-c", &script, "sh"]).args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[test]
fn the_text_on_the_page_is_what_is_signed() {
    let canonical = String::from_utf8(vectors()[0].request().canonical()).unwrap();
    assert!(blocks("text").iter().any(|block| block.trim_end() == canonical), "{canonical}");
}

#[test]
fn vectors_hold_for_our_code() {
    for vector in vectors() {
        let token = Token::new(&vector.token).unwrap();
        assert_eq!(token.sign_request(&vector.request()), vector.signature, "{vector:?}");
        assert!(token.verify_request(&vector.request(), vector.signature.as_bytes()));
    }
}

#[test]
fn vectors_hold_for_openssl() {
    for vector in vectors() {
        let mut body = tempfile::NamedTempFile::new().unwrap();
        body.write_all(&vector.body).unwrap();
        let path = body.path().to_str().unwrap();
        let variables: Vec<String> = vector.variables.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let mut arguments: Vec<&str> =
            vec![&vector.token, &vector.time, &vector.nonce, &vector.method, &vector.path, &vector.line, path];
        arguments.extend(variables.iter().map(String::as_str));
        if let Some(signature) = by_openssl("sign", &arguments) {
            assert_eq!(signature, vector.signature, "{vector:?}");
        }
    }
}

#[test]
fn the_old_vectors_hold() {
    let rows: Vec<Vec<&str>> = PAGE
        .lines()
        .filter(|line| line.contains("`sha1=") && line.starts_with('|'))
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let [token, line, signature] = row[..] else { panic!("{row:?} is no row of the table") };
        assert_eq!(Token::new(token).unwrap().sign(line.as_bytes()), signature);
        if let Some(again) = by_openssl("sign_line", &[token, line]) {
            assert_eq!(again, signature);
        }
    }
}
