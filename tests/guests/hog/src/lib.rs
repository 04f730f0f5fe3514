//! Takes memory: `hog` until there is none, `hog MIB` so much and no more.
#![cfg(target_family = "wasm")]

const MIB: usize = 1024 * 1024;

struct Hog;

impl wasip3::exports::cli::run::Guest for Hog {
    async fn run() -> Result<(), ()> {
        let wanted: usize = std::env::args().nth(1).and_then(|mib| mib.parse().ok()).unwrap_or(usize::MAX);
        let mut held: Vec<Vec<u8>> = Vec::new();
        while held.len() < wanted {
            // Written to, so that it is really there.
            held.push(vec![0xA5; MIB]);
        }
        println!("holds {} MiB", held.len());
        Ok(())
    }
}

wasip3::cli::command::export!(Hog);
