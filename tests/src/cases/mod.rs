//! The cases of `fixtures/marathon-cases.jsonl`: what clients of Marathon rely on, one request and its answer at a time.

mod engine;
mod matcher;
mod steps;

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use self::steps::Runner;
use crate::runtime::block_on;

pub use engine::Engine;
pub use matcher::{Saved, matches};

/// Longer than any single answer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How long an engine may take to become empty again.
const EMPTY_WITHIN_S: u64 = 120;

/// The outcome of one case.
#[derive(Debug)]
pub struct Outcome {
    /// The name of the case.
    pub name: String,
    /// What went wrong, if anything did.
    pub wrong: Option<String>,
}

/// Runs all cases, `at_once` engines side by side, and prints a line for each.
///
/// # Panics
/// Where a line of the file does not read, or an engine does not start.
#[must_use]
pub fn run_all(text: &str, at_once: usize) -> Vec<Outcome> {
    let cases = text.lines().filter(|line| !line.trim().is_empty());
    let cases: Vec<Value> = cases.map(|line| serde_json::from_str(line).expect("a case is JSON")).collect();
    let open = Mutex::new(cases.iter());
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                let mut engine: Option<Engine> = None;
                loop {
                    let Some(case) = open.lock().expect("no case panics").next() else { return };
                    let outcome = run_one(&mut engine, case);
                    println!("case {} ... {}", outcome.name, if outcome.wrong.is_none() { "ok" } else { "FAILED" });
                    outcomes.lock().expect("no case panics").push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("no case panics")
}

/// Runs a case on an engine that is kept for the next one, unless the case needs one of its own or leaves it unusable.
fn run_one(kept: &mut Option<Engine>, case: &Value) -> Outcome {
    // On the runtime of the simulation, which has chosen the cryptography.
    let client = block_on(async { Client::builder().no_proxy().timeout(TIMEOUT).build() }).expect("a client can be made");
    let name = case["name"].as_str().unwrap_or("without a name").to_owned();
    if let Some(credentials) = case.pointer("/config/http_credentials").and_then(Value::as_str) {
        let engine = Engine::start(&["--marathon-credentials", credentials]);
        return Outcome { name, wrong: block_on(Runner::new(&client, &engine.url).run(case)).err() };
    }
    let engine = kept.get_or_insert_with(|| Engine::start(&[]));
    let wrong = block_on(Runner::new(&client, &engine.url).run(case)).err();
    if block_on(Runner::new(&client, &engine.url).run(&emptying())).is_err() {
        *kept = None;
    }
    Outcome { name, wrong }
}

/// Removes everything and waits until it is gone.
fn emptying() -> Value {
    let wait =
        |path: &str, pattern: Value| json!({ "wait": "json", "path": path, "expect_json": pattern, "timeout_s": EMPTY_WITHIN_S });
    json!({
        "method": "DELETE", "path": "/v2/groups?force=true", "body": null, "expect_status": 200,
        "then": [
            wait("/v2/deployments", json!({ "$len": 0 })),
            wait("/v2/tasks", json!({ "tasks": { "$len": 0 } })),
            wait("/v2/groups", json!({ "groups": { "$len": 0 }, "apps": { "$len": 0 } })),
        ],
    })
}
