//! Prints: `flood` for ever, `flood BYTES` so many and no more; with `--err` on standard error.
#![cfg(target_family = "wasm")]

use std::io::{Write, stderr, stdout};

/// 64 bytes with the end of the line.
const LINE: &[u8; 64] = b"all work and no play makes a dull tool, so this one plays a lot\n";

struct Flood;

impl wasip3::exports::cli::run::Guest for Flood {
    async fn run() -> Result<(), ()> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let bytes = words.iter().find_map(|word| word.parse().ok()).unwrap_or(usize::MAX);
        let mut out: Box<dyn Write> =
            if words.iter().any(|word| word == "--err") { Box::new(stderr()) } else { Box::new(stdout()) };
        let block = LINE.repeat(256);
        let mut left = bytes;
        while left > 0 {
            let piece = &block[..left.min(block.len())];
            out.write_all(piece).map_err(|_| ())?;
            left -= piece.len();
        }
        Ok(())
    }
}

wasip3::cli::command::export!(Flood);
