//! A bundle of 1 MiB with a trivial job, beside a handler in plain axum that reads and MACs the same body.
//!
//! Budget: at most 15 ms more at the median once the job is compiled. The first time, which compiles it, is told apart.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ocho_core::signature::Token;
use ocho_tests::programs::guest;
use ocho_tests::runtime::block_on;
use ocho_tests::{TestHost, command};

use crate::shell::Native;

const TOKEN: &str = "edAZR8atfOahd7tfPnVo3xpJX+ks6wsV";
const ROUNDS: usize = 101;
const FIRST_TIMES: u64 = 5;
const BUNDLE_BYTES: u64 = 1 << 20;
const PACKED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run() {
    let native = Native::start();
    let host = TestHost::up().env("OCHOD_SERVO_TOKEN", TOKEN).env("RUST_LIB_BACKTRACE", "0").start();
    let client = block_on(async { reqwest::Client::builder().build() }).expect("a client can be made");
    let urls = [native.address(), &host.address("servo")].map(|address| format!("http://{address}/run/hello"));
    let first: Vec<Duration> = (1..=FIRST_TIMES).map(|nth| send(&client, &urls[1], &bundle(nth))).collect();
    let bundle = bundle(0);
    let mut times = [Vec::new(), Vec::new()];
    send(&client, &urls[1], &bundle);
    // In turns, so that what the machine does meanwhile meets both.
    for _ in 0..ROUNDS {
        for (url, times) in urls.iter().zip(&mut times) {
            times.push(send(&client, url, &bundle));
        }
    }
    let [native, servo] = times.map(median);
    println!("\n{} KiB, medians of {ROUNDS} uploads", bundle.len() >> 10);
    println!("  plain axum, reads and MACs     {:>8.2} ms", millis(native));
    println!("  servo, the job is compiled     {:>8.2} ms", millis(servo));
    println!("  servo, the job is new          {:>8.2} ms (median of {FIRST_TIMES})", millis(median(first)));
    println!("  servo: {:+.2} ms over plain axum once it is compiled", millis(servo) - millis(native));
}

/// A bundle of about a mebibyte. Each `nth` has a component that nobody has seen before.
fn bundle(nth: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut component = fs::read(guest("hello")).expect("a component can be read");
    if nth > 0 {
        let nonce = format!("{nth}-{:?}", Instant::now());
        let name = b"nonce";
        // A custom section: number, size, and its name with the size of that before it.
        component.extend([0, u8::try_from(nonce.len() + name.len() + 1).expect("it is short"), 5]);
        component.extend(name.iter().chain(nonce.as_bytes()));
    }
    fs::write(folder.path().join("hello.wasm"), &component).expect("the folder is ours");
    fs::write(folder.path().join("payload"), noise(BUNDLE_BYTES - component.len() as u64 / 2)).expect("the folder is ours");
    let mut tar = Command::new("tar");
    let packed = command::run(tar.args(["zcf", "bundle.tgz", "hello.wasm", "payload"]).current_dir(folder.path()), PACKED_WITHIN);
    let _ = packed.ok();
    fs::read(Path::new(folder.path()).join("bundle.tgz")).expect("it was packed")
}

/// Bytes that no packer makes smaller, the same each time.
fn noise(bytes: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(|_| next()).collect()
}

/// Sends it and waits for the outcome.
fn send(client: &reqwest::Client, url: &str, bundle: &[u8]) -> Duration {
    let signature = Token::new(TOKEN).expect("it is not empty").sign(bundle);
    let part = reqwest::multipart::Part::bytes(bundle.to_vec()).file_name("bundle.tgz");
    let form = reqwest::multipart::Form::new().part("tgz", part);
    let request = client.post(url).header("X-Signature", signature).header("Accept", "text/plain").multipart(form);
    let started = Instant::now();
    let (status, text) = block_on(async {
        let reply = request.send().await.expect("the server answers");
        (reply.status(), reply.text().await.expect("the server answers to the end"))
    });
    let elapsed = started.elapsed();
    assert!(status.is_success() && text.contains("hello"), "{status}: {text}");
    elapsed
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
