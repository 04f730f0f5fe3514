//! `@name@`: a plain WASI 0.2 command. It runs another tool, `ls` unless its arguments name one, and shows what it printed.
//!
//! Commands of WASI 0.2 cannot call asynchronous functions, so `ocho:proxy/shell-blocking` is what they have: it waits.

use std::env;
use std::process::ExitCode;

#[cfg(target_family = "wasm")]
mod host {
    wit_bindgen::generate!({
        path: [".ocho/wit/0.1/proxy", "wit"],
        world: "local:plugin/plugin",
        generate_all,
    });

    /// Runs a tool and waits for its end: whether it succeeded, and what it printed.
    pub fn run(argv: &[String]) -> Result<(bool, String), String> {
        match ocho::proxy::shell_blocking::run(argv, &[]) {
            Ok(outcome) => Ok((outcome.ok, outcome.out)),
            Err(error) => Err(format!("nothing ran: {error:?}")),
        }
    }
}

/// On this machine, for `cargo test`, a tool prints its own name.
#[cfg(not(target_family = "wasm"))]
mod host {
    pub fn run(argv: &[String]) -> Result<(bool, String), String> {
        Ok((true, argv.join(" ")))
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match answer(&words) {
        Ok((is_ok, text)) => {
            println!("{text}");
            if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// What to print, and whether the other tool succeeded.
fn answer(words: &[String]) -> Result<(bool, String), String> {
    let argv = if words.is_empty() { vec!["ls".to_owned()] } else { words.to_vec() };
    let (is_ok, out) = host::run(&argv)?;
    Ok((is_ok, format!("hello from WASI 0.2; `{}` says:\n{}", argv.join(" "), out.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn it_runs_ls_unless_told_otherwise() {
        assert_eq!(answer(&[]).unwrap().1, "hello from WASI 0.2; `ls` says:\nls");
        assert_eq!(answer(&["grep".to_owned(), "*web".to_owned()]).unwrap().1, "hello from WASI 0.2; `grep *web` says:\ngrep *web");
    }
}
