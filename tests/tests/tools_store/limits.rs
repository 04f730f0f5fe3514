//! Limits of one tool.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::programs::guest;
use ocho_tests::{TestHost, wait};
use serde_json::{Value, json};

use crate::api::{install, limits, show};

fn with(guests: &[&str]) -> TestHost {
    let host = TestHost::up().start();
    for name in guests {
        install(&host, name, "", &fs::read(guest(name)).unwrap()).done();
    }
    host
}

#[test]
fn each_limit_ends_a_run_of_its_tool_alone() {
    let host = with(&["spin", "sleeper", "hog", "flood"]);
    limits(&host, "spin", &json!({"cpu_ms": 500})).done();
    limits(&host, "sleeper", &json!({"wall_ms": 1000})).done();
    limits(&host, "hog", &json!({"memory_bytes": 32 << 20})).done();
    limits(&host, "flood", &json!({"output_bytes": 10_000})).done();
    let started = Instant::now();
    for (line, said) in [
        ("spin", "used more than its 0.5 s of CPU time"),
        ("sleeper 500 0", "ran longer than its limit of 1 s"),
        ("hog", "ran out of its 32 MiB of memory"),
        ("flood", "printed more than it may"),
    ] {
        let told = host.shell(line).failure();
        assert!(told.contains(said), "{line}: {}", told.lines().last().unwrap_or_default());
    }
    assert!(started.elapsed() < Duration::from_secs(400), "{:?}", started.elapsed());
    assert!(host.shell("flood").out.len() < 20_000);
    // The same guest under another name has the host's own limits.
    install(&host, "other", "", &fs::read(guest("sleeper")).unwrap()).done();
    assert!(host.shell("other 2 0").success().starts_with("waited "));
}

#[test]
fn a_tool_runs_only_so_often_at_once() {
    let host = with(&["sleeper"]);
    limits(&host, "sleeper", &json!({"runs": 2})).done();
    thread::scope(|scope| {
        let held: Vec<_> = (0..2).map(|_| scope.spawn(|| host.shell("sleeper 500 0"))).collect();
        wait::until_so("both runs", Duration::from_secs(60), || host.running().len() == 2);
        let said = host.shell("sleeper 0 1").failure();
        assert!(said.contains("tool 'sleeper' runs 2 times at once already"), "{said}");
        assert!(host.shell("ls").ok, "others have places of their own");
        host.cancel_all();
        for run in held {
            assert!(run.join().unwrap().failure().contains("was cancelled"));
        }
    });
    assert!(host.shell("sleeper 0 1").ok, "the places are free again");
}

#[test]
fn limits_are_shown_checked_and_given_back() {
    let host = with(&["hog"]);
    limits(&host, "hog", &json!({"memory_bytes": 32 << 20, "runs": 3})).done();
    let shown = show(&host, "hog")["limits"].clone();
    assert_eq!(shown["memory_bytes"], json!({"value": 32 << 20, "override": true}));
    assert_eq!(shown["runs"], json!({"value": 3, "override": true}));
    assert_eq!(shown["wall_ms"], json!({"value": 600_000, "override": false}));
    limits(&host, "hog", &json!({"memory_bytes": null})).done();
    let shown = show(&host, "hog")["limits"].clone();
    assert_eq!(shown["memory_bytes"], json!({"value": 256 << 20, "override": false}));
    assert_eq!(shown["runs"]["value"], 3, "what is not named stays");
    for wrong in
        [json!({"memory_bytes": 1_u64 << 40}), json!({"wall_ms": 0}), json!({"runs": 0}), json!({"output_bytes": 1_u64 << 40})]
    {
        let said = limits(&host, "hog", &wrong).refused(400, "limits");
        assert!(said.contains("this host takes "), "{said}");
    }
    assert_eq!(limits(&host, "ls", &json!({"cpu_ms": 1000})).done()["state"], "active");
    assert_eq!(show(&host, "ls")["limits"]["cpu_ms"]["value"], 1000);
    assert_eq!(limits(&host, "hog", &Value::Null).done()["state"], "active", "an empty order changes nothing");
}
