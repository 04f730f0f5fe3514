//! Signatures of components, in minisign's format: whose keys count, and whether one is needed.

use std::str::FromStr;

use minisign_verify::{Error, PublicKey, Signature};
use ocho_core::tools::SignatureView;

/// Whether tools must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignaturePolicy {
    /// A signature that comes must be good; one need not come.
    #[default]
    Offered,
    /// Only what is signed by one of the keys runs.
    Required,
}

impl FromStr for SignaturePolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "offered" => Ok(Self::Offered),
            "required" => Ok(Self::Required),
            _ => Err(format!("`{text}` is neither `offered` nor `required`")),
        }
    }
}

/// The operator's keys and what they are for.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    /// Whether tools must be signed.
    pub policy: SignaturePolicy,
    /// Who may sign: a name, and the key.
    pub keys: Vec<(String, PublicKey)>,
}

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not read as NAME=KEY, where KEY is the second line of a minisign.pub")]
pub struct KeyError(String);

/// Reads `NAME=KEY`.
///
/// # Errors
/// Where it is something else.
pub fn read_key(text: &str) -> Result<(String, PublicKey), KeyError> {
    let wrong = || KeyError(text.chars().take(100).collect());
    let (name, key) = text.split_once('=').ok_or_else(wrong)?;
    let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_good) {
        return Err(wrong());
    }
    Ok((name.to_owned(), PublicKey::from_base64(key.trim()).map_err(|_| wrong())?))
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// None came, and one must.
    #[error("the component is not signed; this host takes only what is signed by {0}")]
    Missing(String),
    /// What came is something else.
    #[error("the signature does not read as one of minisign")]
    Garbage,
    /// It may be good, but nobody knows.
    #[error("the signature is by a key that this host does not know; it knows {0}")]
    UnknownKey(String),
    /// It is not of this component.
    #[error("the signature by `{0}` is not one of this component: one of the two was changed, or they were mixed up")]
    Wrong(String),
}

impl Signatures {
    /// What is known of a component's signature.
    ///
    /// # Errors
    /// Where it must not be taken.
    pub fn check(&self, wasm: &[u8], signature: Option<&str>) -> Result<SignatureView, SignatureError> {
        match signature {
            None if self.policy == SignaturePolicy::Required => Err(SignatureError::Missing(self.names())),
            None => Ok(SignatureView::Unsigned),
            Some(_) if self.keys.is_empty() && self.policy == SignaturePolicy::Offered => Ok(SignatureView::Unchecked),
            Some(text) => self.verify(wasm, text),
        }
    }

    fn verify(&self, wasm: &[u8], text: &str) -> Result<SignatureView, SignatureError> {
        let signature = Signature::decode(text).map_err(|_| SignatureError::Garbage)?;
        for (name, key) in &self.keys {
            // Older versions of minisign sign the file itself instead of its BLAKE2b.
            match key.verify(wasm, &signature, true) {
                Ok(()) => {
                    let comment = signature.trusted_comment().chars().take(200).collect();
                    return Ok(SignatureView::Good { key: name.clone(), comment });
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => return Err(SignatureError::Wrong(name.clone())),
            }
        }
        Err(SignatureError::UnknownKey(self.names()))
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() { "no key".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From minisign's own documentation: signs `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn signatures(policy: SignaturePolicy) -> Signatures {
        Signatures { policy, keys: vec![read_key(&format!("maker={KEY}")).unwrap()] }
    }

    #[test]
    fn what_counts() {
        let offered = signatures(SignaturePolicy::Offered);
        let good = offered.check(b"test", Some(SIGNATURE)).unwrap();
        let comment = "timestamp:1633700835\tfile:test\tprehashed".to_owned();
        assert_eq!(good, SignatureView::Good { key: "maker".to_owned(), comment });
        assert_eq!(offered.check(b"test", None), Ok(SignatureView::Unsigned));
        assert_eq!(offered.check(b"tesT", Some(SIGNATURE)), Err(SignatureError::Wrong("maker".to_owned())));
        let other_comment = SIGNATURE.replace("file:test", "file:best");
        assert_eq!(offered.check(b"test", Some(&other_comment)), Err(SignatureError::Wrong("maker".to_owned())));
        let required = signatures(SignaturePolicy::Required);
        assert_eq!(required.check(b"test", None), Err(SignatureError::Missing("`maker`".to_owned())));
        assert_eq!(Signatures::default().check(b"test", Some(SIGNATURE)), Ok(SignatureView::Unchecked));
        let other_id = SIGNATURE.replace("RUQf6LRC", "RUQf6LRD");
        assert_eq!(offered.check(b"test", Some(&other_id)), Err(SignatureError::UnknownKey("`maker`".to_owned())));
    }

    #[test]
    fn garbage_is_an_answer() {
        let offered = signatures(SignaturePolicy::Offered);
        for end in (0..SIGNATURE.len() - 88).step_by(3) {
            assert_eq!(offered.check(b"test", Some(&SIGNATURE[..end])), Err(SignatureError::Garbage), "{end}");
        }
        for garbage in ["", "\n\n\n\n", "a\nb\nc\nd", "ü\nü\ntrusted comment: ü\nü"] {
            assert_eq!(offered.check(b"test", Some(garbage)), Err(SignatureError::Garbage));
        }
        for wrong in ["", "maker", "=", "maker=", "maker=abc", "a b=RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"] {
            assert!(read_key(wrong).is_err(), "{wrong}");
        }
    }
}
