//! Keys and signatures as `minisign` makes them. What is written here follows its published formats.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// A key of somebody who signs.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    id: [u8; 8],
}

impl Signer {
    pub(crate) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any 32 bytes are a seed");
        Self { pair, id: [seed; 8] }
    }

    /// The second line of `minisign.pub`.
    pub(crate) fn key(&self) -> String {
        STANDARD.encode([&b"Ed"[..], &self.id, self.pair.public_key().as_ref()].concat())
    }

    /// The signature file, as `minisign -S` writes it: over the file's BLAKE2b.
    pub(crate) fn sign(&self, file: &[u8]) -> String {
        self.file(b"ED", &blake2b(file))
    }

    /// The same as `minisign -S -l` writes it: over the file itself.
    pub(crate) fn sign_as_before(&self, file: &[u8]) -> String {
        self.file(b"Ed", file)
    }

    fn file(&self, algorithm: &[u8; 2], message: &[u8]) -> String {
        let signature = self.pair.sign(message);
        let comment = "timestamp:1800000000\tfile:tool.wasm";
        let global = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let first = STANDARD.encode([&algorithm[..], &self.id, signature.as_ref()].concat());
        let second = STANDARD.encode(global.as_ref());
        format!("untrusted comment: signature from minisign secret key\n{first}\ntrusted comment: {comment}\n{second}\n")
    }
}

/// What goes into the query.
pub(crate) fn query(signature_file: &str) -> String {
    format!("signature={}", URL_SAFE_NO_PAD.encode(signature_file))
}

const IV: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// BLAKE2b-512 (RFC 7693), without a key.
fn blake2b(message: &[u8]) -> [u8; 64] {
    let mut state = IV;
    state[0] ^= 0x0101_0040;
    let blocks = message.len().div_ceil(128).max(1);
    for nth in 0..blocks {
        let chunk = &message[nth * 128..message.len().min((nth + 1) * 128)];
        let mut block = [0; 128];
        block[..chunk.len()].copy_from_slice(chunk);
        compress(&mut state, &block, (nth * 128 + chunk.len()) as u64, nth + 1 == blocks);
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.try_into().expect("eight words")
}

fn compress(state: &mut [u64; 8], block: &[u8; 128], counted: u64, is_last: bool) {
    let words: Vec<u64> = block.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect();
    let mut v = [0; 16];
    v[..8].copy_from_slice(state);
    v[8..].copy_from_slice(&IV);
    v[12] ^= counted;
    if is_last {
        v[14] = !v[14];
    }
    for round in 0..12 {
        let order = &SIGMA[round % 10];
        for (nth, [a, b, c, d]) in MIXED.into_iter().enumerate() {
            mix(&mut v, [a, b, c, d], words[order[2 * nth]], words[order[2 * nth + 1]]);
        }
    }
    for (nth, word) in state.iter_mut().enumerate() {
        *word ^= v[nth] ^ v[nth + 8];
    }
}

const MIXED: [[usize; 4]; 8] =
    [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

fn mix(v: &mut [u64; 16], [a, b, c, d]: [usize; 4], x: u64, y: u64) {
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(x);
    v[d] = (v[d] ^ v[a]).rotate_right(32);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(24);
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(y);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(63);
}

#[test]
fn the_hash_is_the_one_of_the_rfc() {
    let hash: String = blake2b(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hash.starts_with("ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b7") && hash.ends_with("d4009923"), "{hash}");
}
