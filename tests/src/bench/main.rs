//! Measures the built programs: `cargo xtask bench [name]`. Each benchmark is a file here and a line in `BENCHMARKS`.
//!
//! What is compared is measured in one run, turn by turn, on the same machine; the ratios are what counts.

mod author;
mod hostile;
mod lists;
mod load;
mod ls;
mod native;
mod pods;
mod rounds;
mod servo;
mod shell;
mod upload;
mod usage;

use std::env;
use std::process::ExitCode;

/// Name, what it measures, and how.
const BENCHMARKS: [(&str, &str, fn()); 8] = [
    ("shell", "a trivial tool through POST /shell", shell::run),
    ("author", "from `ocho plugin new` to the tool's answer", author::run),
    ("servo", "a bundle of 1 MiB with a trivial job", servo::run),
    ("hostile", "what hostile tools cost others", hostile::run),
    ("lists", "the embedded cluster with a thousand applications", lists::run),
    ("ls", "`ocho cli HOST ls` from start to exit", ls::run),
    ("pods", "200 pods of one cluster on this machine", pods::run),
    ("upload", "a tool of 300 KiB from upload to active, while callers run another", upload::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // This program started by itself: the server to compare with.
        ["native-server"] => native::serve(),
        [] => BENCHMARKS.iter().for_each(run),
        [name] => match BENCHMARKS.iter().find(|benchmark| benchmark.0 == name) {
            Some(benchmark) => run(benchmark),
            None => return unknown(name),
        },
        _ => return unknown(&words.join(" ")),
    }
    ExitCode::SUCCESS
}

fn run((name, what, measure): &(&str, &str, fn())) {
    println!("{name}: {what}");
    measure();
}

fn unknown(name: &str) -> ExitCode {
    let names: Vec<_> = BENCHMARKS.iter().map(|(name, ..)| *name).collect();
    eprintln!("no benchmark `{name}`; there are: {}", names.join(", "));
    ExitCode::from(2)
}
