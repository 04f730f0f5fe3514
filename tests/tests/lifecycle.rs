//! From start to stop: what is refused, what is said, and that nothing is left behind.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use nix::sys::signal::Signal;
use ocho_tests::{TestHost, wait};

/// One sentence on standard error, and exit code 2.
#[track_caller]
fn refused(words: &[&str], sentence: &str) {
    let ended = TestHost::refused(words);
    assert_eq!(ended.code, 2, "{words:?}: {ended:?}");
    assert!(ended.stderr.contains(sentence), "{words:?}: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{words:?}");
}

const FREE: [&str; 8] =
    ["--portal", "127.0.0.1:0", "--servo", "127.0.0.1:0", "--marathon", "127.0.0.1:0", "--zookeeper", "127.0.0.1:0"];

fn up<'a>(words: &[&'a str]) -> Vec<&'a str> {
    ["up"].iter().chain(&FREE).chain(words).copied().collect()
}

#[test]
fn what_cannot_be_meant_is_refused_in_one_sentence() {
    refused(&["up", "--portal", "0.0.0.0:0"], "0.0.0.0:0 is not a loopback address");
    refused(&["up", "--portal", "127.0.0.1:0", "--servo", "[::]:0"], "is not a loopback address");
    refused(&["up", "--portal", "nonsense"], "nonsense");
    refused(&["serve"], "--zookeeper");
    refused(&["frobnicate"], "frobnicate");
    refused(&[], "Usage");
    refused(&up(&["--tools", "/does/not/exist"]), "/does/not/exist");
    refused(&up(&["--images", "/does/not/exist"]), "/does/not/exist");
    refused(&up(&["--token-file", "/does/not/exist"]), "/does/not/exist");
    refused(&up(&["--data", "/dev/null/data"]), "/dev/null/data");
    refused(&up(&["--cpu-limit", "0"]), "--cpu-limit");
}

#[test]
fn a_token_file_without_a_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "\n").unwrap();
    refused(&up(&["--token-file", file.to_str().unwrap()]), "is empty");
}

#[test]
fn a_port_in_use_is_refused() {
    for face in ["portal", "servo", "marathon", "zookeeper"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let option = format!("--{face}");
        let mut words = up(&[]);
        let place = words.iter().position(|word| *word == option).unwrap();
        words[place + 1] = &address;
        let ended = TestHost::refused(&words);
        assert_eq!(ended.code, 2, "{face}: {ended:?}");
        assert!(ended.stderr.contains(&address) && ended.stderr.contains(&option), "{face}: {}", ended.stderr);
    }
}

#[test]
fn help_goes_to_standard_output_and_succeeds() {
    for words in [&["--help"][..], &["up", "--help"], &["serve", "--help"]] {
        let help = TestHost::refused(words).ok();
        assert!(help.contains("Usage: ochod"), "{help}");
    }
    assert!(TestHost::refused(&["--version"]).ok().starts_with("ochod 0."));
}

#[test]
fn ready_is_one_line_with_every_face() {
    let host = TestHost::up().start();
    for face in ["portal", "servo", "marathon", "zookeeper"] {
        let address = host.address(face);
        assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{face}={address}");
    }
    assert_eq!(host.portal("GET", "/healthz", &[]).status, 200);
    let (ended, left) = host.stop();
    assert_eq!((ended.code, ended.stdout.lines().count(), left.len()), (0, 1, 0), "{ended:?}");
}

#[test]
fn healthz_is_open_where_there_is_a_token() {
    let host = TestHost::up().token("s3cret").start();
    assert_eq!(host.portal("GET", "/healthz", &[]).status, 200);
}

/// A task that would live on: it ignores a polite request, and so does its child.
const STUBBORN: &str =
    "#!/bin/sh\ntrap '' TERM INT HUP\n(trap '' TERM INT HUP; while :; do sleep 1; done) &\nwhile :; do sleep 1; done\n";

#[test]
fn a_stop_leaves_no_process_behind() {
    let host = TestHost::up().image("stubborn", STUBBORN).start();
    let app = r#"{"id": "stubborn", "instances": 2, "cpus": 0.1, "mem": 32,
        "container": {"type": "DOCKER", "docker": {"image": "stubborn"}}, "taskKillGracePeriodSeconds": 1}"#;
    let url = format!("http://{}/v2/apps", host.address("marathon"));
    let created = ocho_tests::http::send("POST", &url, &[("content-type", "application/json")], app.as_bytes().to_vec());
    assert_eq!(created.status, 201, "{}", created.body);
    let running = || host.marathon("/v2/apps/stubborn").1["app"]["tasksRunning"] == 2;
    wait::until_so("two tasks", Duration::from_secs(120), running);
    let (ended, left) = host.stop();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn ctrl_c_stops_too() {
    let host = TestHost::up().start();
    host.signal(Signal::SIGINT);
    let pid = host.pid();
    wait::until_so("its end", Duration::from_secs(120), || {
        // A child that ended waits for its parent as a zombie without a command line.
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.is_empty())
    });
}

#[test]
fn a_token_stands_in_no_process_list() {
    // Another test, or somebody who looks for it, may have a fixed one on a command line.
    let token = format!("s3cret-token-of-{}", std::process::id());
    let host = TestHost::up().token(&token).image("stubborn", STUBBORN).start();
    let lists_it = |what: &str| {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| fs::read(process.path().join(what)).ok())
            .any(|text| text.windows(token.len()).any(|window| window == token.as_bytes()))
    };
    assert!(host.shell("help").ok && !lists_it("cmdline"));
}
