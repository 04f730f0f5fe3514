//! Shows what a tool is given: `echo [--err TEXT] [--exit CODE] [--environment] [WORD...]`.
//!
//! Each word is printed on a line of its own, between brackets.
#![cfg(target_family = "wasm")]

use std::env;

struct Echo;

impl wasip3::exports::cli::run::Guest for Echo {
    async fn run() -> Result<(), ()> {
        let mut code = 0;
        let mut words = env::args();
        println!("{}", words.next().unwrap_or_default());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--err" => eprintln!("{}", words.next().unwrap_or_default()),
                "--exit" => code = words.next().and_then(|code| code.parse().ok()).ok_or(())?,
                "--environment" => env::vars().for_each(|(name, value)| println!("{name}={value}")),
                word => println!("[{word}]"),
            }
        }
        match code {
            0 => Ok(()),
            1 => Err(()),
            code => {
                wasip3::cli::exit::exit_with_code(code);
                Ok(())
            }
        }
    }
}

wasip3::cli::command::export!(Echo);
