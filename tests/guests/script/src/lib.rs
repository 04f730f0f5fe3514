//! A job that does, line by line, what the file `<its name>.steps` says: so one component serves as every job of the tests.
#![cfg(target_family = "wasm")]

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::Duration;

use ocho_sdk::job::{Request, http, proxy, proxy_text, wait};
use ocho_sdk::wasip3;

struct Script;

impl wasip3::exports::cli::run::Guest for Script {
    async fn run() -> Result<(), ()> {
        let name = std::env::args().next().unwrap_or_default();
        let steps = fs::read_to_string(format!("{name}.steps")).map_err(|cause| println!("no steps: {cause}"))?;
        for step in steps.lines() {
            let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
            act(verb, rest).await.map_err(|why| println!("{verb}: {why}"))?;
        }
        Ok(())
    }
}

async fn act(verb: &str, rest: &str) -> Result<(), String> {
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    let io = |cause: io::Error| cause.to_string();
    match verb {
        "print" => println!("{rest}"),
        "err" => eprintln!("{rest}"),
        "errs" => (0..number(rest)).for_each(|n| eprintln!("line {n}")),
        "raw" => io::stdout().write_all(&bytes(rest)).and_then(|()| io::stdout().flush()).map_err(io)?,
        "exit" => wasip3::cli::exit::exit_with_code(rest.parse().map_err(|_| "no number")?),
        "env" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        "list" => list().map_err(io)?,
        "read" => println!("{}", fs::read_to_string(rest).map_err(io)?.trim_end()),
        // Byte by byte, so that no mask of the log finds anything in it.
        "hex" => println!("{}", fs::read(rest).map_err(io)?.iter().map(|byte| format!("{byte:02x} ")).collect::<String>()),
        "write" => fs::write(first, second).map_err(io)?,
        "copy" => fs::copy(first, second).map(drop).map_err(io)?,
        "await" => {
            while fs::metadata(rest).is_err() {
                wait(Duration::from_millis(20)).await;
            }
        }
        "sleep" => wait(Duration::from_millis(number(rest))).await,
        "proxy" => println!("{}", proxy(rest).await.map_err(|error| error.to_string())?),
        "proxy-anyway" => println!("{:?}", proxy(rest).await),
        "proxy-for-ever" => loop {
            let _ = proxy(rest).await;
        },
        "storm" => storm(second, number(first)).await,
        "get" => {
            let answer = http(rest).await.map_err(|error| error.to_string())?;
            println!("HTTP {} {}", answer.status, answer.text().trim_end());
        }
        "post" => println!("HTTP {}", Request::post(first, second).send().await.map_err(|error| error.to_string())?.status),
        "spin" => loop {
            black_box(());
        },
        "hog" => hog(),
        "flood" => loop {
            println!("all work and no play makes a dull job, so this one plays a lot");
        },
        "blank-flood" => loop {
            io::stdout().write_all(&[b'\n'; 16 << 10]).map_err(io)?;
        },
        "fill" => loop {
            fs::write(format!("filled{}", fs::read_dir(".").map_or(0, Iterator::count)), vec![0xA5; 1 << 20]).map_err(io)?;
        },
        "trap" => unreachable!("asked to"),
        other => return Err(format!("no step `{other}`")),
    }
    Ok(())
}

/// Starts so many runs at once and says what became of them.
async fn storm(line: &str, times: u64) {
    let outcomes = futures::future::join_all((0..times).map(|_| proxy_text(line))).await;
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for outcome in outcomes {
        let said = outcome.map_or_else(|error| error.to_string(), |_| "ran".to_owned());
        *told.entry(said).or_default() += 1;
    }
    told.iter().for_each(|(said, times)| println!("{times} {said}"));
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

fn list() -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(".")?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}

/// Takes memory and touches it, until there is none.
fn hog() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![0xA5; 1 << 20]);
        black_box(&held);
    }
}

wasip3::cli::command::export!(Script with_types_in wasip3);
