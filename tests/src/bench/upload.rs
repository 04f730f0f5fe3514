//! From the upload of a tool of 300 KiB to active, while callers run another one: how long it takes, and whether they notice.
//!
//! Budget: at most 2 s each; callers see no pause.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::programs::{guest, tool};
use ocho_tests::{TestHost, http};

use crate::load::{Measured, Target, send};

const CALLERS: usize = 8;
const UPLOADS: u32 = 10;
const QUIET: Duration = Duration::from_secs(5);
const KIB: usize = 300;
/// What the tool that is uploaded imports.
const GRANTS: &str = "marathon/inspect,marathon/operate,pods/registry,pods/observe,pods/control";

pub(crate) fn run() {
    let host = TestHost::up().tool("hello", &guest("hello")).words(&["--runs", "256"]).start();
    let address = host.address("portal");
    let request = format!("POST /shell HTTP/1.1\r\nHost: {address}\r\nX-Shell: hello\r\nContent-Length: 0\r\n\r\n");
    let callers = Target { address, request, expect: "hello\"" };
    let quiet = send(&callers, CALLERS, QUIET);
    // Alone first: then all the time is the host's.
    let mut alone: Vec<Duration> = (0..UPLOADS).map(|nth| upload(&host, nth)).collect();
    alone.sort();
    let time = alone[alone.len() - 1].mul_f64(f64::from(UPLOADS) * 1.5).max(QUIET);
    let (mut beside, busy) = thread::scope(|scope| {
        let load = scope.spawn(|| send(&callers, CALLERS, time));
        let uploads: Vec<Duration> = (UPLOADS..2 * UPLOADS).map(|nth| upload(&host, nth)).collect();
        (uploads, load.join().expect("the callers do not panic"))
    });
    beside.sort();
    println!("\n{UPLOADS} uploads of {KIB} KiB, each a component that no cache knows, to the answer that it is active");
    told("alone", &alone);
    told(&format!("beside {CALLERS} callers"), &beside);
    println!("callers of another tool");
    latencies("quiet", &quiet);
    latencies("during the uploads", &busy);
}

/// Uploads the next revision; gives the time to the answer.
fn upload(host: &TestHost, nth: u32) -> Duration {
    let component = padded(&fs::read(tool("scale")).expect("a standard tool can be read"), nth);
    let url = format!("http://{}/v1/tools/upgraded?grant={GRANTS}", host.address("portal"));
    let started = Instant::now();
    let answer = http::send("POST", &url, &[], component);
    let elapsed = started.elapsed();
    assert_eq!((answer.status, answer.json()["state"].as_str()), (200, Some("active")), "{}", answer.body);
    elapsed
}

/// The component with one more section: the size that is asked for, and a digest of its own.
fn padded(component: &[u8], nth: u32) -> Vec<u8> {
    // The tests' cache outlives this process.
    let name = format!("padding-{}-{nth}", std::process::id());
    // The section's kind, five bytes of its length, and the name with its length come before the filling.
    let filling = (KIB * 1024).saturating_sub(component.len() + 1 + 5 + 1 + name.len());
    let length = 1 + name.len() + filling;
    let mut padded = component.to_vec();
    padded.push(0);
    padded.extend((0..5).map(|byte| ((length >> (7 * byte)) & 0x7f) as u8 | if byte < 4 { 0x80 } else { 0 }));
    padded.push(name.len() as u8);
    padded.extend_from_slice(name.as_bytes());
    padded.resize(padded.len() + filling, 0);
    padded
}

fn told(what: &str, sorted: &[Duration]) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, longest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    println!("  {what:<24} median {:>7.0} ms   longest {:>7.0} ms", ms(median), ms(longest));
}

fn latencies(what: &str, measured: &Measured) {
    let at = |share: usize| measured.latencies.get(measured.latencies.len() * share / 1000).copied().unwrap_or_default();
    let longest = measured.latencies.last().copied().unwrap_or_default();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds are far below 2^52")]
    let per_second = measured.requests as f64 / measured.elapsed.as_secs_f64();
    println!(
        "  {what:<24} {per_second:>7.0} a second   p50 {:>6.2} ms   p99 {:>6.2} ms   p99.9 {:>6.2} ms   longest {:>6.1} ms",
        ms(at(500)),
        ms(at(990)),
        ms(at(999)),
        ms(longest)
    );
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn a_padded_component_has_the_size_and_is_one() {
        let component = wat_component();
        let (one, other) = (padded(&component, 1), padded(&component, 2));
        assert_eq!((one.len(), other.len()), (300 * 1024, 300 * 1024));
        assert_ne!(one, other);
        for payload in wasmparser::Parser::new(0).parse_all(&one) {
            payload.unwrap();
        }
    }

    fn wat_component() -> Vec<u8> {
        wat::parse_str("(component)").unwrap()
    }
}
