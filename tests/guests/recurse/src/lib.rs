//! Starts runs that start runs: `recurse [DEPTH]` starts itself at the next depth, `recurse start WORD...` another tool,
//! `recurse storm COUNT` itself so many times, each of which does the same.
#![cfg(target_family = "wasm")]

use std::io::{Write, stdout};

mod generated {
    wit_bindgen::generate!({
        inline: "package ocho:guest; world recurse { import ocho:proxy/shell@0.1.0; }",
        path: "../../../wit/0.1/proxy",
        world: "ocho:guest/recurse",
        generate_all,
    });
}

use futures::future::join_all;
use generated::ocho::proxy::shell;

struct Recurse;

impl wasip3::exports::cli::run::Guest for Recurse {
    async fn run() -> Result<(), ()> {
        let mut words: Vec<String> = std::env::args().collect();
        let argv = match words.get(1).map(String::as_str) {
            Some("start") => words.split_off(2),
            Some("storm") => return storm(words).await,
            depth => {
                let depth: u32 = depth.unwrap_or("0").parse().map_err(|_| ())?;
                println!("at depth {depth}");
                vec![words.swap_remove(0), (depth + 1).to_string()]
            }
        };
        match shell::run(argv, Vec::new()).await {
            Ok(outcome) => {
                print!("{}", outcome.out);
                // What ends without a line end would stay in the buffer.
                stdout().flush().map_err(|_| ())?;
                if outcome.ok { Ok(()) } else { Err(()) }
            }
            Err(problem) => {
                println!("refused: {problem:?}");
                Err(())
            }
        }
    }
}

/// Starts all of them before it waits for one; says how many did not start or failed.
async fn storm(words: Vec<String>) -> Result<(), ()> {
    let count: usize = words.get(2).and_then(|count| count.parse().ok()).ok_or(())?;
    let ended = join_all((0..count).map(|_| shell::run(words.clone(), Vec::new()))).await;
    let failed = ended.iter().filter(|ended| !ended.as_ref().is_ok_and(|outcome| outcome.ok)).count();
    println!("{failed} of {count} failed");
    if failed == 0 { Ok(()) } else { Err(()) }
}

wasip3::cli::command::export!(Recurse);
