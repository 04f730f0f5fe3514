//! Signatures of requests: HMAC-SHA1 over the command line, as the original's clients send it, and HMAC-SHA256 over all of a
//! request, its time and a nonce.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A secret shared with the callers. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token; an empty one is none.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        (!secret.is_empty()).then(|| Self(secret.to_owned()))
    }

    /// The secret itself, for the few places that hand it on.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of `X-Signature` for a command line: `sha1=` and 40 lower-case hexadecimal digits.
    ///
    /// `line` are the raw bytes of `X-Shell` without the blanks around them.
    #[must_use]
    pub fn sign(&self, line: &[u8]) -> String {
        let digest = self.mac(line).finalize().into_bytes();
        format!("sha1={}", hex(&digest))
    }

    /// Whether `signature`, the value of `X-Signature`, belongs to `line`. Takes the same time for every wrong value.
    #[must_use]
    pub fn verify(&self, line: &[u8], signature: &[u8]) -> bool {
        let Some(digest) = signature.strip_prefix(b"sha1=").and_then(unhex) else { return false };
        self.mac(line).verify_slice(&digest).is_ok()
    }

    /// Begins the check of an old signature over something that comes in pieces, such as an upload.
    #[must_use]
    pub fn pieces(&self) -> Pieces {
        Pieces(self.mac(b""))
    }

    /// The value of `X-Signature-256` for a request: `sha256=` and 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn sign_request(&self, request: &SignedRequest<'_>) -> String {
        format!("sha256={}", hex(&self.mac_256(request).finalize().into_bytes()))
    }

    /// Whether `signature`, the value of `X-Signature-256`, belongs to this request.
    #[must_use]
    pub fn verify_request(&self, request: &SignedRequest<'_>, signature: &[u8]) -> bool {
        let Some(digest) = signature.strip_prefix(b"sha256=").and_then(unhex) else { return false };
        self.mac_256(request).verify_slice(&digest).is_ok()
    }

    fn mac_256(&self, request: &SignedRequest<'_>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(&request.canonical());
        mac
    }

    fn mac(&self, line: &[u8]) -> Hmac<Sha1> {
        let mut mac = Hmac::<Sha1>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(line);
        mac
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(..)")
    }
}

/// What came so far of something that an old signature covers.
#[derive(Clone)]
pub struct Pieces(Hmac<Sha1>);

impl Pieces {
    /// Adds a piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Whether `signature`, the value of `X-Signature`, belongs to all pieces together.
    #[must_use]
    pub fn verify(self, signature: &[u8]) -> bool {
        let Some(digest) = signature.strip_prefix(b"sha1=").and_then(unhex) else { return false };
        self.0.verify_slice(&digest).is_ok()
    }
}

/// What `X-Signature-256` covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest<'a> {
    /// `X-Ocho-Time`: seconds since 1970, as written.
    pub time: &'a str,
    /// `X-Ocho-Nonce`: 32 hexadecimal digits that the caller never uses again.
    pub nonce: &'a str,
    /// `POST`, ...
    pub method: &'a str,
    /// As in the request line.
    pub path_and_query: &'a str,
    /// `X-Shell` without the blanks around it; empty where there is none.
    pub shell: &'a [u8],
    /// The `X-Var-*` headers, in any order and case: name, value without the blanks around it.
    pub variables: Vec<(String, Vec<u8>)>,
    /// SHA-256 of the body, also of an empty one.
    pub body_sha256: [u8; 32],
}

impl SignedRequest<'_> {
    /// The bytes that are signed: lines joined by a newline, variables as `name:value`, sorted, with names in lower case.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut variables: Vec<Vec<u8>> =
            self.variables.iter().map(|(name, value)| [name.to_ascii_lowercase().as_bytes(), b":", value].concat()).collect();
        variables.sort();
        let mut lines: Vec<&[u8]> =
            vec![self.time.as_bytes(), self.nonce.as_bytes(), self.method.as_bytes(), self.path_and_query.as_bytes(), self.shell];
        lines.extend(variables.iter().map(Vec::as_slice));
        let digest = hex(&self.body_sha256);
        lines.push(digest.as_bytes());
        lines.join(&b'\n')
    }
}

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// Reads lower-case hexadecimal digits; upper-case ones are refused, as the original does.
fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vectors() {
        for (key, line, signature) in [
            ("my cool secret token", "help", "sha1=8d81c6a0fab40bd563a78e8c97027c5331c042bd"),
            ("my cool secret token", "ls -j", "sha1=453f91e3c21754ffe84db17140d3391631c730ac"),
            ("secret", "ls", "sha1=7db4d0b5fac10c9d90efe7cf277a57adc6d47ed1"),
            ("secret", "deploy redis.yml -n test -p 2", "sha1=db45a3dc079d8c3143e103268e53d9a7203d99fe"),
            ("secret", "grep  *web* -j", "sha1=43fb69e708a0fda87c8906a9c51f072cdac170a2"),
        ] {
            let token = Token::new(key).unwrap();
            assert_eq!(token.sign(line.as_bytes()), signature);
            assert!(token.verify(line.as_bytes(), signature.as_bytes()));
        }
    }

    #[test]
    fn pieces_add_up() {
        let token = Token::new("edAZR8atfOahd7tfPnVo3xpJX+ks6wsV").unwrap();
        for (pieces, signature) in [
            (&[][..], "sha1=bd95310e77c03d57af00cff5835263ed1f13ebb3"),
            (&["hello\n"], "sha1=933c915b688bfd46f79d41022c6835ef08c41aaa"),
            (&["key", ": val", "", "ue\n"], "sha1=3e62c4a714b94b48b2b758cdf02805976b98c7bb"),
        ] {
            let mut came = token.pieces();
            pieces.iter().for_each(|piece| came.update(piece.as_bytes()));
            assert!(came.clone().verify(signature.as_bytes()));
            came.update(b"x");
            assert!(!came.verify(signature.as_bytes()));
        }
    }

    #[test]
    fn refuses_other_spellings() {
        let token = Token::new("secret").unwrap();
        let good = token.sign(b"ls");
        for bad in [good.to_uppercase(), good.replace("sha1", "SHA1"), good[5..].to_owned(), good[..44].to_owned(), String::new()]
        {
            assert!(!token.verify(b"ls", bad.as_bytes()), "{bad}");
        }
        assert!(!token.verify(b"ls ", good.as_bytes()));
    }

    fn request() -> SignedRequest<'static> {
        SignedRequest {
            time: "1764000000",
            nonce: "00112233445566778899aabbccddeeff",
            method: "POST",
            path_and_query: "/run/deploy+test?x=1",
            shell: b"",
            variables: vec![("X-Var-B".to_owned(), b"2".to_vec()), ("x-var-a".to_owned(), b"1".to_vec())],
            body_sha256: sha256(b"body"),
        }
    }

    #[test]
    fn a_request_is_signed_whole() {
        let text = String::from_utf8(request().canonical()).unwrap();
        let digest = "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5";
        assert_eq!(
            text,
            format!("1764000000\n00112233445566778899aabbccddeeff\nPOST\n/run/deploy+test?x=1\n\nx-var-a:1\nx-var-b:2\n{digest}")
        );
        let token = Token::new("secret").unwrap();
        let signature = token.sign_request(&request());
        assert!(token.verify_request(&request(), signature.as_bytes()));
        for other in [
            SignedRequest { time: "1764000001", ..request() },
            SignedRequest { method: "GET", ..request() },
            SignedRequest { shell: b"ls", ..request() },
            SignedRequest { variables: Vec::new(), ..request() },
            SignedRequest { body_sha256: sha256(b""), ..request() },
        ] {
            assert!(!token.verify_request(&other, signature.as_bytes()), "{other:?}");
        }
        assert!(!token.verify_request(&request(), signature.to_uppercase().as_bytes()));
    }

    #[test]
    fn a_token_does_not_print() {
        assert_eq!(format!("{:?}", Token::new("secret")), "Some(Token(..))");
        assert_eq!(Token::new(""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_not_a_panic(line: Vec<u8>, signature: Vec<u8>) {
            prop_assert!(!Token::new("secret").unwrap().verify(&line, &signature));
        }
    }
}
