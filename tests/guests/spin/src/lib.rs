//! Computes for ever, without a host call: `spin [WORD]` prints the word first.
#![cfg(target_family = "wasm")]

use std::hint::black_box;

struct Spin;

impl wasip3::exports::cli::run::Guest for Spin {
    async fn run() -> Result<(), ()> {
        if let Some(word) = std::env::args().nth(1) {
            println!("{word}");
        }
        let mut turns = 0_u64;
        loop {
            turns = black_box(turns.wrapping_add(1));
        }
    }
}

wasip3::cli::command::export!(Spin);
