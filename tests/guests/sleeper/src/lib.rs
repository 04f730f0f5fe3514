//! Waits: `sleeper SECONDS [MICROSECONDS]` in many short host calls, `sleeper SECONDS 0` in a single long one,
//! `sleeper SECONDS std` as a plain program of the standard library does.
#![cfg(target_family = "wasm")]

use wasip3::clocks::monotonic_clock::{now, wait_for};

const SECOND: u64 = 1_000_000_000;

struct Sleeper;

impl wasip3::exports::cli::run::Guest for Sleeper {
    async fn run() -> Result<(), ()> {
        let mut words = std::env::args().skip(1);
        let seconds: u64 = words.next().and_then(|word| word.parse().ok()).ok_or(())?;
        let how = words.next();
        if how.as_deref() == Some("std") {
            std::thread::sleep(std::time::Duration::from_secs(seconds));
            println!("slept");
            return Ok(());
        }
        let pause_us: u64 = how.and_then(|word| word.parse().ok()).unwrap_or(200);
        let end = now() + seconds * SECOND;
        let pause = if pause_us == 0 { seconds * SECOND } else { pause_us * 1000 };
        let mut waits = 0_u64;
        while now() < end {
            wait_for(pause).await;
            waits += 1;
        }
        println!("waited {waits} times");
        Ok(())
    }
}

wasip3::cli::command::export!(Sleeper);
