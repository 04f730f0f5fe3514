//! The smallest tool: prints one line and ends.
#![cfg(target_family = "wasm")]

struct Hello;

impl wasip3::exports::cli::run::Guest for Hello {
    async fn run() -> Result<(), ()> {
        println!("hello");
        Ok(())
    }
}

wasip3::cli::command::export!(Hello);
