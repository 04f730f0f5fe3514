//! A plain WASI 0.2 command: runs the tool given as its arguments and prints what it printed.

use std::process::ExitCode;

use ocho_sdk::proxy;

fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args().skip(1).collect();
    match proxy::run_blocking(&argv, &[]) {
        Ok(outcome) => {
            print!("{}", outcome.out);
            eprint!("{}", outcome.err);
            if outcome.is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            println!("nothing ran: {error}");
            ExitCode::FAILURE
        }
    }
}
