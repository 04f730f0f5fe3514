//! A host that is killed in the middle of a change: afterwards the old or the new revision is there, whole.

use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::{TestHost, skip};
use serde_json::{Value, json};

use crate::api::{grants, install, revisions, roll_back, send, show};
use crate::components::{EXEC, say};

const PLACES: &str = "a release has no places to die at";

/// What is asked of a host that dies meanwhile; nobody answers.
fn while_it_dies(host: &TestHost, change: impl FnOnce(&TestHost) + Send) {
    thread::scope(|scope| {
        // The client finds nobody at the other end, and panics; that is the point.
        let asked = scope.spawn(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| change(host))));
        let end = Instant::now() + Duration::from_secs(60);
        while !host.has_ended() {
            assert!(Instant::now() < end, "the host should have died");
            thread::sleep(Duration::from_millis(5));
        }
        let _ = asked.join();
    });
}

/// The next host on the same folder, which does not die by itself.
fn living(host: TestHost) -> TestHost {
    let mut host = host.set_env("OCHOD_FAILPOINT", "");
    // Waits for its last thread: until then it holds what it had locked.
    host.crash();
    host.restart()
}

fn digest_files(host: &TestHost) -> Vec<String> {
    let files = std::fs::read_dir(host.home().join("data/tools")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whatever happened, what is recorded can run and nothing lies around.
fn is_whole(host: &TestHost, tool: &str) {
    let shown = show(host, tool);
    assert_ne!(shown["state"], "broken", "{shown}");
    let mut expected: Vec<String> = shown["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| format!("{}.wasm", revision["digest"].as_str().unwrap()))
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(digest_files(host), expected, "files and records agree");
}

#[test]
fn killed_at_each_step_of_an_upgrade() {
    if cfg!(not(debug_assertions)) {
        return skip("tools_store::crashing::killed_at_each_step_of_an_upgrade", PLACES);
    }
    for (place, is_new) in [
        ("half-written", false),
        ("staged", false),
        ("placed", false),
        ("before-commit", false),
        ("committed", true),
        ("swapped", true),
        ("answering", true),
    ] {
        let host = TestHost::up().start();
        install(&host, "x", "", &say("old", &[])).done();
        let mut host = host.set_env("OCHOD_FAILPOINT", place);
        host.crash();
        let host = host.restart();
        while_it_dies(&host, |host| drop(install(host, "x", "", &say("new", &[]))));
        let host = living(host);
        let expected = if is_new { "new" } else { "old" };
        assert_eq!(host.shell("x").success(), expected, "killed at `{place}`");
        assert_eq!(revisions(&host, "x").len(), 1 + usize::from(is_new), "killed at `{place}`");
        is_whole(&host, "x");
        // And it goes on from there.
        install(&host, "x", "", &say("newer", &[])).done();
        assert_eq!(host.shell("x").success(), "newer");
    }
}

#[test]
fn killed_while_other_things_change() {
    if cfg!(not(debug_assertions)) {
        return skip("tools_store::crashing::killed_while_other_things_change", PLACES);
    }
    for (place, is_done) in [("before-commit", false), ("committed", true)] {
        for change in ["grant", "rollback", "remove", "disable"] {
            let host = TestHost::up().start();
            install(&host, "x", "", &say("one", &[])).done();
            install(&host, "x", "", &say("two", &[])).done();
            install(&host, "x", "", &say("three", &[EXEC])).done();
            let mut host = host.set_env("OCHOD_FAILPOINT", place);
            host.crash();
            let host = host.restart();
            while_it_dies(&host, |host| match change {
                "grant" => drop(grants(host, "x", &json!({"grant": ["pods/exec"]}))),
                "rollback" => drop(roll_back(host, "x", Some(1))),
                "remove" => drop(send(host, "DELETE", "/x", &Value::Null)),
                _ => drop(send(host, "POST", "/x/disable", &Value::Null)),
            });
            let host = living(host);
            let said = host.shell("x").out;
            let after = match change {
                "grant" => "three",
                "rollback" => "one",
                "remove" => "unknown command",
                _ => "failure -> tool `x` cannot run: it is disabled",
            };
            let expected = if is_done { after } else { "two" };
            assert!(said.starts_with(expected), "{change}, killed at `{place}`: {said}");
            if !(is_done && change == "remove") {
                is_whole(&host, "x");
            } else {
                assert!(digest_files(&host).is_empty());
            }
        }
    }
}

#[test]
fn killed_at_any_moment() {
    let mut host = TestHost::up().start();
    install(&host, "x", "", &say("revision 0", &[])).done();
    let mut last = 0;
    for round in 1..=12_u32 {
        let text = format!("revision {round}");
        let before = last;
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let upload = std::panic::AssertUnwindSafe(|| install(&host, "x", "", &say(&text, &[])).status);
                std::panic::catch_unwind(upload).ok()
            });
            // From at once to well after the answer.
            thread::sleep(Duration::from_millis(u64::from(round * round)));
            host.signal(nix::sys::signal::Signal::SIGKILL);
            if asking.join().unwrap() == Some(200) {
                last = round;
            }
        });
        host.crash();
        host = host.restart();
        let said = host.shell("x").success();
        let found: u32 = said.trim_start_matches("revision ").parse().unwrap();
        // What was promised holds; what was not may be there or not.
        assert!(found == last || (last == before && found == round), "{said}, and {last} was promised");
        last = found;
        is_whole(&host, "x");
    }
}

#[test]
fn two_hosts_do_not_share_a_data_folder() {
    let host = TestHost::up().start();
    let data = host.home().join("data").display().to_string();
    let nowhere =
        ["--marathon", "127.0.0.1:1", "--zookeeper", "127.0.0.1:1", "--portal", "127.0.0.1:0", "--servo", "127.0.0.1:0"];
    let second = TestHost::refused(&[&["serve", "--data", &data][..], &nowhere].concat());
    assert_eq!(second.code, 2, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("cannot use `{data}` for --data: another ochod uses it")), "{}", second.stderr);
    install(&host, "x", "", &say("x", &[])).done();
    assert_eq!(host.shell("x").success(), "x");
}
