//! Secrets in files: what `openssl enc -aes-256-cbc -base64 -k TOKEN` writes, read and written.
//!
//! Such a file is base64 text (the bare bytes are taken too): `Salted__`, eight bytes of salt, and AES-256-CBC with PKCS#7
//! padding. Key and initial vector come from one round of a digest over token and salt: MD5 before OpenSSL 1.1.0, SHA-256
//! since. Nothing in a file says which, and there is no checksum: the wrong digest still shows good padding once in 255
//! files. So both are tried, and what reads as text wins.

use std::fmt;

use ::aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::signature::Token;

/// How key and initial vector were made from the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivation {
    /// OpenSSL before 1.1.0, or `-md md5`.
    Md5,
    /// OpenSSL since 1.1.0.
    Sha256,
}

/// The clear content of a file. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The content itself.
    pub content: Vec<u8>,
    /// Which derivation fitted.
    pub derivation: Derivation,
}

impl fmt::Debug for Decrypted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Decrypted({:?}, {} bytes)", self.derivation, self.content.len())
    }
}

/// Why a file cannot be decrypted. No text of the file and no secret stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Neither base64 text nor `openssl`'s own form.
    #[error("it is not base64; write it with `openssl enc -aes-256-cbc -base64`, or with `ocho encrypt`")]
    NotBase64,
    /// The beginning that `openssl` writes is missing, as with `-nosalt`, or with `-S` since OpenSSL 3.0.
    #[error("it does not begin with `Salted__` and a salt; leave `-nosalt` and `-S` away")]
    NotSalted,
    /// The ciphertext is no whole number of blocks.
    #[error("it is cut: {0} bytes of ciphertext are no whole number of 16-byte blocks")]
    Cut(usize),
    /// No derivation gives good padding.
    #[error("the token does not fit, or it was written with `-pbkdf2` or another cipher")]
    WrongToken,
    /// Both derivations give good padding and neither gives text.
    #[error("it fits neither derivation well enough to tell which; encrypt it again, with another salt")]
    Ambiguous,
}

const MAGIC: &[u8; 8] = b"Salted__";
const BLOCK: usize = 16;

/// Characters on a line, as `openssl` writes them.
const LINE: usize = 64;

/// Decrypts the content of a file.
///
/// # Errors
/// Where it is none of ours, or the token does not fit.
pub fn decrypt(token: &Token, file: &[u8]) -> Result<Decrypted, DecryptError> {
    let bytes = binary_form(file)?;
    let salted = bytes.strip_prefix(MAGIC).ok_or(DecryptError::NotSalted)?;
    let (salt, ciphertext) = salted.split_first_chunk().ok_or(DecryptError::NotSalted)?;
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK) {
        return Err(DecryptError::Cut(ciphertext.len()));
    }
    choose([Derivation::Sha256, Derivation::Md5].map(|derivation| decrypt_with(token, derivation, salt, ciphertext)))
}

/// Encrypts a file's content: base64 text that every `openssl` since 1.1.0 reads. The salt must be new for each file.
#[must_use]
pub fn encrypt(token: &Token, derivation: Derivation, salt: [u8; 8], content: &[u8]) -> String {
    let (key, iv) = derive(token, derivation, &salt);
    let ciphertext = cbc::Encryptor::<Aes256>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(content);
    let text = STANDARD.encode([MAGIC, &salt[..], &ciphertext].concat());
    let lines = text.as_bytes().chunks(LINE);
    lines.fold(String::with_capacity(text.len() + text.len() / LINE + 1), |mut file, line| {
        file.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        file.push('\n');
        file
    })
}

/// The bytes behind the base64, whatever its lines look like; the bare form as it is.
fn binary_form(file: &[u8]) -> Result<Vec<u8>, DecryptError> {
    if file.starts_with(MAGIC) {
        return Ok(file.to_vec());
    }
    let text: Vec<u8> = file.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if text.is_empty() {
        return Err(DecryptError::Empty);
    }
    STANDARD.decode(text).map_err(|_| DecryptError::NotBase64)
}

fn decrypt_with(token: &Token, derivation: Derivation, salt: &[u8; 8], ciphertext: &[u8]) -> Option<Decrypted> {
    let (key, iv) = derive(token, derivation, salt);
    let plain = cbc::Decryptor::<Aes256>::new(&key.into(), &iv.into()).decrypt_padded_vec::<Pkcs7>(ciphertext);
    plain.ok().map(|content| Decrypted { content, derivation })
}

fn choose(candidates: [Option<Decrypted>; 2]) -> Result<Decrypted, DecryptError> {
    match candidates {
        [None, None] => Err(DecryptError::WrongToken),
        [Some(one), None] | [None, Some(one)] => Ok(one),
        [Some(new), Some(old)] => match (is_text(&new.content), is_text(&old.content)) {
            (true, false) => Ok(new),
            (false, true) => Ok(old),
            // Each byte of padding is 256 times less likely by chance, so the longer one is the real one.
            (true, true) if old.content.len() < new.content.len() => Ok(old),
            (true, true) => Ok(new),
            (false, false) => Err(DecryptError::Ambiguous),
        },
    }
}

/// UTF-8 without control characters, other than those that end lines and pages or stand between columns.
fn is_text(bytes: &[u8]) -> bool {
    let layout = |c| matches!(c, '\t' | '\n' | '\r' | '\x0c');
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(|c| layout(c) || !c.is_control()))
}

/// OpenSSL's `EVP_BytesToKey` with one iteration: key, then initial vector.
fn derive(token: &Token, derivation: Derivation, salt: &[u8; 8]) -> ([u8; 32], [u8; 16]) {
    match derivation {
        Derivation::Md5 => derive_with::<Md5>(token, salt),
        Derivation::Sha256 => derive_with::<Sha256>(token, salt),
    }
}

fn derive_with<D: Digest>(token: &Token, salt: &[u8; 8]) -> ([u8; 32], [u8; 16]) {
    let (mut material, mut last) = (Vec::with_capacity(64), Vec::new());
    while material.len() < 48 {
        let digest = D::new().chain_update(&last).chain_update(token.reveal()).chain_update(salt).finalize();
        last = digest.to_vec();
        material.extend_from_slice(&last);
    }
    let (mut key, mut iv) = ([0; 32], [0; 16]);
    key.copy_from_slice(&material[..32]);
    iv.copy_from_slice(&material[32..48]);
    (key, iv)
}

#[cfg(test)]
mod tests;
