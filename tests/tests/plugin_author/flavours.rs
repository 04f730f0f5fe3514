//! The other beginnings: WASI 0.2, jobs, and the unit tests that come with each.

use std::io::{Write, stderr};
use std::process::Command;

use ocho_tests::TestHost;
use ocho_tests::command;
use ocho_tests::programs::{on_path, root};

use ocho_tests::author::{Author, BUILT_WITHIN, has_python};

#[track_caller]
fn new(author: &Author, words: &[&str]) {
    let _ = author.ocho("", &[&["plugin", "new"], words].concat()).ok();
}

#[test]
fn a_command_of_wasi_0_2() {
    let host = TestHost::up().start();
    let author = Author::of(&host);
    new(&author, &["relay-two", "--wasi", "0.2"]);
    let played = author.ocho("relay-two", &["plugin", "test"]);
    assert_eq!(played.code, 0, "{played:?}");
    // It imports more than every tool is granted: it waits, and it is said what helps.
    let waits = author.ocho("relay-two", &["plugin", "install"]);
    assert!(waits.code == 1 && waits.stdout.contains("waits for a grant"), "{waits:?}");
    assert!(waits.stderr.contains("ocho plugin grant relay-two proxy/shell-blocking"), "{waits:?}");
    let why = author.ocho("", &["plugin", "why", "relay-two"]);
    assert!(why.code == 1 && why.stdout.contains("ocho plugin grant relay-two proxy/shell-blocking"), "{why:?}");
    let granted = author.ocho("", &["plugin", "grant", "relay-two", "proxy/shell-blocking"]).ok();
    assert!(granted.contains("revision 1 is active"), "{granted}");
    let said = author.ocho("", &["cli", "relay-two"]).ok();
    assert!(said.starts_with("hello from WASI 0.2; `ls` says:\n2 pods, 100% replies ->"), "{said}");
    assert_eq!(author.ocho("", &["plugin", "why", "relay-two"]).code, 0);
    let about = author.ocho("relay-two", &["plugin", "inspect", "dist/relay-two.wasm"]).ok();
    assert!(about.contains("ocho:proxy/shell-blocking@0.1.0") && about.contains("wasi:cli/run@0.2."), "{about}");
}

#[test]
fn cargo_component_builds_it_too() {
    if on_path("cargo-component").is_none() {
        // Upstream retires it, and compiling it takes longer than all other tests: nobody installs it for this one.
        let _ = writeln!(stderr(), "skipped: cargo_component_builds_it_too: there is no cargo-component");
        return;
    }
    let author = Author::new();
    new(&author, &["relay-component", "--wasi", "0.2"]);
    let mut cargo = author.dress(Command::new("cargo"), "relay-component");
    cargo.args(["component", "build", "--release"]);
    let ended = command::run(&mut cargo, BUILT_WITHIN);
    assert_eq!(ended.code, 0, "{ended:?}");
    let component = ocho_tests::programs::target().join("scaffolds/wasm32-wasip1/release/relay-component.wasm");
    let checked = author.ocho("", &["plugin", "check", component.to_str().unwrap()]);
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[track_caller]
fn job_runs(language: &str, name: &str) {
    let host = TestHost::up().start();
    let author = Author::of(&host);
    new(&author, &[name, "--kind", "job", "--lang", language]);
    let played = author.ocho(name, &["plugin", "test"]);
    assert_eq!(played.code, 0, "{played:?}");
    let ran = author.ocho(name, &["run", "dist", name]);
    assert!(ran.code == 0 && ran.stdout.contains("\nmarathon.portal: 1 of 1 pods run\n"), "{ran:?}");
    let failed = author.ocho(name, &["run", "dist", name, "-v", "cluster:test.none"]);
    assert!(failed.code == 1 && failed.stdout.contains("test.none is not up"), "{failed:?}");
    let refused = author.ocho(name, &["plugin", "install"]);
    assert!(refused.code == 1 && refused.stderr.contains("jobs are not installed"), "{refused:?}");
}

#[test]
fn a_job_in_rust() {
    job_runs("rust", "look-rust");
}

#[test]
fn a_job_in_python() {
    if has_python("a_job_in_python") {
        job_runs("python", "look-python");
    }
}

#[test]
fn unit_tests_in_rust_pass() {
    let author = Author::new();
    for words in [&["unit-tool"][..], &["unit-job", "--kind", "job"], &["unit-two", "--wasi", "0.2"]] {
        new(&author, words);
        let mut cargo = author.dress(Command::new("cargo"), words[0]);
        let ended = command::run(cargo.args(["test", "--quiet"]), BUILT_WITHIN);
        assert!(ended.code == 0 && ended.stdout.contains("test result: ok."), "{words:?}: {ended:?}");
        assert!(!ended.stderr.contains("warning"), "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn unit_tests_in_python_pass() {
    let author = Author::new();
    for words in [&["unit-tool", "--lang", "python"][..], &["unit-job", "--lang", "python", "--kind", "job"]] {
        new(&author, words);
        let mut python = author.dress(Command::new("python3"), words[0]);
        python.args(["-m", "unittest", "discover", "tests"]);
        let ended = command::run(&mut python, BUILT_WITHIN);
        assert!(ended.code == 0 && ended.stderr.contains("\nOK"), "{words:?}: {ended:?}");
    }
}

#[test]
fn the_python_sdk_reads_all_that_a_host_says() {
    let mut python = Command::new("python3");
    python.arg(root().join("tests/python/ocho_tool_test.py"));
    let ended = command::run(&mut python, BUILT_WITHIN);
    assert!(ended.code == 0 && ended.stderr.contains("\nOK"), "{ended:?}");
}
