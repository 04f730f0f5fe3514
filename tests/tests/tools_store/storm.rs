//! Fifty callers run a tool without pause while it is upgraded, rolled back, and loses and gets its grant.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ocho_tests::{TestHost, wait};
use serde_json::{Value, json};

use crate::api::{grants, install, roll_back};
use crate::components::{REGISTRY, say};

const CALLERS: usize = 50;
const ROUNDS: u32 = 20;

fn component(number: u32) -> Vec<u8> {
    say(&format!("revision {number}"), &[REGISTRY])
}

/// A caller with a connection of its own, which does nothing but ask: a client that is made for each call costs more than the host.
struct Caller {
    stream: BufReader<TcpStream>,
    request: String,
}

impl Caller {
    fn connect(host: &TestHost) -> Self {
        let address = host.address("portal");
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let request = format!("POST /shell HTTP/1.1\r\nHost: {address}\r\nX-Shell: x\r\nContent-Length: 0\r\n\r\n");
        Self { stream: BufReader::new(stream), request }
    }

    /// Runs the tool; gives its reply.
    fn call(&mut self) -> Value {
        self.stream.get_mut().write_all(self.request.as_bytes()).unwrap();
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "the connection ended after `{head}`");
            let line = head[start..].to_ascii_lowercase();
            length = line.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        serde_json::from_slice(&body).unwrap()
    }
}

/// What callers saw, counted: the number of the revision that answered, or 0 for the documented refusal.
type Seen = BTreeMap<u32, u32>;

fn what(reply: &Value, is_refusal_documented: &dyn Fn(&str) -> bool) -> u32 {
    let said = reply["out"].as_str().unwrap_or_default();
    match said.strip_prefix("revision ").and_then(|number| number.parse().ok()) {
        Some(number) if reply["ok"] == true => number,
        _ => {
            assert!(reply["ok"] == false && is_refusal_documented(said), "{reply}");
            0
        }
    }
}

/// Calls without pause until it is over.
fn call(host: &TestHost, over: &AtomicBool, is_refusal_documented: &dyn Fn(&str) -> bool) -> Seen {
    let (mut caller, mut seen) = (Caller::connect(host), Seen::new());
    while !over.load(Ordering::SeqCst) {
        *seen.entry(what(&caller.call(), is_refusal_documented)).or_default() += 1;
    }
    seen
}

/// Fifty callers while `change` happens; gives what they saw together.
fn storm(host: &TestHost, refusal: &(dyn Fn(&str) -> bool + Sync), change: impl FnOnce()) -> Seen {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| call(host, &over, refusal))).collect();
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(change));
        over.store(true, Ordering::SeqCst);
        let mut all = Seen::new();
        for caller in callers {
            for (revision, count) in caller.join().expect("a caller saw what it must not see") {
                *all.entry(revision).or_default() += count;
            }
        }
        changed.expect("every change succeeds");
        all
    })
}

fn never(_: &str) -> bool {
    false
}

#[test]
fn callers_see_the_old_or_the_new_revision_or_the_documented_refusal() {
    let host = TestHost::up().words(&["--tool-revisions", "30", "--runs", "64"]).start();
    install(&host, "x", "", &component(1)).done();

    let seen = storm(&host, &never, || {
        for number in 2..=ROUNDS + 1 {
            assert_eq!(install(&host, "x", "", &component(number)).done()["state"], "active");
            // A call that starts after the answer meets the new revision.
            assert_eq!(host.shell("x").success(), format!("revision {number}"));
        }
    });
    assert!(seen.keys().all(|number| (1..=ROUNDS + 1).contains(number)) && seen.len() > 5, "{seen:?}");

    let seen = storm(&host, &never, || {
        for number in (1..=ROUNDS).rev() {
            assert_eq!(roll_back(&host, "x", None).done()["revision"], number);
            assert_eq!(host.shell("x").success(), format!("revision {number}"));
        }
    });
    assert!(!seen.contains_key(&0) && seen.len() > 5, "{seen:?}");

    let refusal = "failure -> tool `x` cannot run: it imports pods/registry, which it was not granted; `ocho plugin grant x pods/registry` grants it";
    let seen = storm(&host, &|said| said == refusal, || {
        for _ in 0..ROUNDS {
            grants(&host, "x", &json!({"revoke": ["pods/registry"]})).done();
            assert_eq!(host.shell("x").failure(), refusal);
            grants(&host, "x", &json!({"grant": ["pods/registry"]})).done();
            assert_eq!(host.shell("x").success(), "revision 1");
        }
    });
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [0, 1], "{seen:?}");

    // With `now` a run may be ended in the middle: that too is said.
    let ended = |said: &str| said == refusal || said.contains("tool 'x' was ended: ");
    let seen = storm(&host, &ended, || {
        for _ in 0..ROUNDS {
            grants(&host, "x", &json!({"revoke": ["pods/registry"], "now": true})).done();
            grants(&host, "x", &json!({"grant": ["pods/registry"]})).done();
        }
    });
    assert!(seen.keys().all(|number| *number <= 1), "{seen:?}");
    let idle = || host.portal("GET", "/v1/runs", &[]).json()["running"] == json!([]);
    wait::until_so("the end of all runs", Duration::from_secs(30), idle);
    assert_eq!(host.shell("x").success(), "revision 1");
}
