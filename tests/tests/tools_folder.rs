//! `--tools DIR`: a file that comes, changes, breaks or goes, while the host runs.

use std::fs;
use std::time::Duration;

use ocho_tests::host::until_listed;
use ocho_tests::programs::guest;
use ocho_tests::{TestHost, wait};

/// The folder is looked at, and what is in it compiled, on a machine that may have other work.
const SOON: Duration = Duration::from_secs(120);

fn read(name: &str) -> Vec<u8> {
    fs::read(guest(name)).unwrap()
}

#[test]
fn a_file_that_is_dropped_in_answers() {
    let host = TestHost::up().start();
    assert!(host.shell("hello").failure().starts_with("unknown command "));
    host.add_tool("hello", &read("hello"));
    until_listed(&host, "hello", true);
    assert_eq!(host.shell("hello").success(), "hello");
    host.remove_tool("hello");
    until_listed(&host, "hello", false);
    assert!(host.shell("hello").failure().starts_with("unknown command "));
}

#[test]
fn a_file_that_changes_is_taken_anew() {
    let host = TestHost::up().tool("x", &guest("hello")).start();
    assert_eq!(host.shell("x").success(), "hello");
    host.add_tool("x", &read("echo"));
    wait::until_so("the new revision", SOON, || host.shell("x a").out == "x\n[a]");
}

#[test]
fn a_broken_file_is_told_and_takes_nothing_down() {
    let host = TestHost::up().tool("x", &guest("hello")).start();
    for (name, content) in [("broken", &b"no component"[..]), ("empty", b""), ("cut", &read("hello")[..5000])] {
        host.add_tool(name, content);
        wait::until_so("the error", SOON, || host.shell(name).out.contains("not a WebAssembly component"));
    }
    // A good tool that becomes bad goes on with its last good revision.
    host.add_tool("x", b"no component");
    wait::until_so("the warning", SOON, || {
        host.log().contains("no component") || host.log().matches("not a WebAssembly").count() >= 4
    });
    assert_eq!(host.shell("x").success(), "hello");
}

#[test]
fn names_that_no_tool_can_have_are_left_alone() {
    let host = TestHost::up().start();
    for name in ["Upper", "under_score", "1st", "a.b", ".hidden"] {
        host.add_tool(name, &read("hello"));
    }
    host.add_tool("hello", &read("hello"));
    until_listed(&host, "hello", true);
    let help = host.shell("help").out;
    for name in ["Upper", "under_score", "1st", "a.b", "hidden"] {
        assert!(!help.contains(name), "{help}");
    }
}

#[test]
fn a_standard_tool_can_be_replaced() {
    let host = TestHost::up().tool("ls", &guest("hello")).start();
    assert_eq!(host.shell("ls").success(), "hello");
    host.remove_tool("ls");
    wait::until_so("the standard one", SOON, || host.shell("ls").out != "hello");
    assert!(host.shell("ls").ok);
}
