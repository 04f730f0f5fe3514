//! The hostile set: what ends each, how long that takes, and what it costs a hundred honest runs beside it; on all cores, and on one.
//!
//! Budget: a hundred honest runs, ten at a time, take at most [`FACTOR`] times as long beside any of them on more than one core, and
//! at most [`FACTOR_ON_ONE`] times on one.

use std::thread;
use std::time::Duration;

use ocho_tests::TestHost;
use ocho_tests::hostile::{Ending, ROWS, Row, host, hundred, start};

/// Beside a tool that keeps a core busy half of two cores is left, and what the kernel does for it comes on top.
const FACTOR: f64 = 5.0;
/// A tool that keeps the only core busy gives it back every 2 ms, and an honest run needs it several times.
const FACTOR_ON_ONE: f64 = 10.0;

pub(crate) fn run() {
    measure("all cores", start(host()), FACTOR);
    measure("one core", start(host().on_one_core()), FACTOR_ON_ONE);
}

/// What a row did.
struct Measured {
    row: Row,
    ending: Ending,
    /// The middle of all hundreds that began beside it.
    beside: Duration,
    slowest: Duration,
}

fn measure(cores: &str, host: TestHost, budget: f64) {
    let portal = host.address("portal");
    let _warm = hundred(&portal);
    println!("\n{cores}: a hundred honest runs, ten at a time, alone and beside each");
    println!(
        "  {:<36} {:<32} {:>9} {:>9} {:>9} {:>7} {:>11}",
        "", "ended by", "after ms", "alone ms", "beside ms", "factor", "slowest ms"
    );
    let mut worst: f64 = 0.0;
    for row in ROWS {
        // In turns, so that what the machine does meanwhile meets both.
        let alone = middle((0..5).map(|_| hundred(&portal).0).collect());
        let measured = beside(&host, row);
        let factor = measured.beside.as_secs_f64() / alone.as_secs_f64();
        worst = worst.max(factor);
        let Measured { row, ending, beside, slowest } = measured;
        println!(
            "  {:<36} {:<32} {:>9.0} {:>9.1} {:>9.1} {:>7.1} {:>11.1}",
            row.name,
            row.limit,
            millis(ending.elapsed),
            millis(alone),
            millis(beside),
            factor,
            millis(slowest)
        );
        if let Some(part) = row.says.iter().find(|part| !ending.said.contains(*part)) {
            println!("  NOT ENDED AS IT SHOULD: `{part}` is not in what was said");
        }
    }
    let kept = if worst <= budget { "kept" } else { "MISSED" };
    println!("  the worst factor is {worst:.1}; at most {budget:.0} is promised: {kept}");
}

/// Plays a row, and hundreds of honest runs for as long as it goes on.
fn beside(host: &TestHost, row: &Row) -> Measured {
    let portal = host.address("portal");
    thread::scope(|scope| {
        let hostile = scope.spawn(|| row.play(host));
        let mut hundreds = Vec::new();
        while hundreds.is_empty() || (!hostile.is_finished() && hundreds.len() < 200) {
            hundreds.push(hundred(&portal));
        }
        let ending = hostile.join().expect("it ends");
        let slowest = hundreds.iter().map(|(_, slowest)| *slowest).max().unwrap_or_default();
        let beside = middle(hundreds.into_iter().map(|(together, _)| together).collect());
        Measured { row: *row, ending, beside, slowest }
    })
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
