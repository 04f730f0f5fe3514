//! Runs the tool given as its arguments and prints what it printed, as `relay02` does with WASI 0.2.
#![cfg(target_family = "wasm")]

use ocho_sdk::{proxy, wasip3};

struct Relay;

impl wasip3::exports::cli::run::Guest for Relay {
    async fn run() -> Result<(), ()> {
        let argv: Vec<String> = std::env::args().skip(1).collect();
        match proxy::run(&argv, &[]).await {
            Ok(outcome) => {
                print!("{}", outcome.out);
                eprint!("{}", outcome.err);
                if outcome.is_ok { Ok(()) } else { Err(()) }
            }
            Err(error) => {
                println!("nothing ran: {error}");
                Err(())
            }
        }
    }
}

wasip3::cli::command::export!(Relay with_types_in wasip3);
