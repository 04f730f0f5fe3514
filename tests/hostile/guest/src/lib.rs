//! A tool that means harm: `guest WAY` takes all that it can get, in one way. The names of the ways stand in `harm`.
#![cfg(target_family = "wasm")]

use std::fs::{self, File};
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::io::{self, Write};
use std::mem::forget;
use std::task::Poll;

use wasip3::clocks::monotonic_clock;
use wasip3::http::types::Fields;
use wasip3::random::random::get_random_bytes;
use wasip3::wit_stream;

mod generated {
    wit_bindgen::generate!({
        inline: "package ocho:guest; world hostile { import ocho:pods/registry@0.1.0; }",
        path: "../../../wit/0.1/pods",
        world: "ocho:guest/hostile",
        generate_all,
    });
}

use generated::ocho::pods::registry;

const MIB: usize = 1024 * 1024;
const HOUR_NS: u64 = 3600 * 1_000_000_000;

struct Hostile;

impl wasip3::exports::cli::run::Guest for Hostile {
    async fn run() -> Result<(), ()> {
        let way = std::env::args().nth(1).unwrap_or_default();
        harm(&way).await.map_err(|cause| println!("{way}: {cause}"))
    }
}

async fn harm(way: &str) -> io::Result<()> {
    match way {
        "memory" => take_memory(),
        "loop" => loop {
            black_box(());
        },
        "clock-calls" => loop {
            black_box(monotonic_clock::now());
        },
        "random-calls" => loop {
            black_box(get_random_bytes(MIB as u64));
        },
        "file-calls" => loop {
            fs::write("again", vec![0xA5; MIB])?;
        },
        "find-calls" => loop {
            let _ = black_box(registry::find("*".to_owned()).await);
        },
        "recursion" => println!("{}", descend(1)),
        "output" => loop {
            io::stdout().write_all(&[b'x'; 16 * 1024])?;
        },
        "folder" => fill("filled", false)?,
        "removed-file" => fill("filled", true)?,
        "entries" => (0_u64..).try_for_each(|number| File::create(number.to_string()).map(drop))?,
        // Lists that the host prepares and nobody reads.
        "streams-unread" => loop {
            forget(registry::changes("*".to_owned()).await);
        },
        "streams-of-its-own" => loop {
            forget(wit_stream::new::<u8>());
        },
        // Calls that are begun and never waited for: to the host's clock, which does nothing, and to the registry.
        "tasks" => loop {
            begin(monotonic_clock::wait_for(HOUR_NS)).await;
        },
        "calls" => loop {
            begin(registry::find("*".to_owned())).await;
        },
        "resources" => loop {
            forget(Fields::new());
        },
        // It waits for nothing, holds a call and a list open, and never looks whether somebody wants it to end.
        "ignores-cancel" => {
            begin(monotonic_clock::wait_for(HOUR_NS)).await;
            forget(registry::changes("*".to_owned()).await);
            println!("here to stay");
            loop {
                monotonic_clock::wait_for(HOUR_NS).await;
            }
        }
        _ => return Err(io::Error::other("there is no such way")),
    }
    Ok(())
}

fn take_memory() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        // Written to, so that it is really there.
        held.push(vec![0xA5; MIB]);
        black_box(&held);
    }
}

#[expect(unconditional_recursion, reason = "the end of the stack is wanted")]
fn descend(depth: u64) -> u64 {
    let here = black_box([depth; 64]);
    descend(depth + 1) + black_box(here)[0]
}

/// Writes for ever into one file; one that is removed shows in no folder.
fn fill(name: &str, is_removed: bool) -> io::Result<()> {
    let mut file = File::create(name)?;
    if is_removed {
        fs::remove_file(name)?;
    }
    let block = vec![0xA5; MIB];
    loop {
        file.write_all(&block)?;
    }
}

/// Begins a call and turns away.
async fn begin(call: impl Future) {
    let mut call = Box::pin(call);
    poll_fn(|context| {
        let _ = call.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    forget(call);
}

wasip3::cli::command::export!(Hostile);
