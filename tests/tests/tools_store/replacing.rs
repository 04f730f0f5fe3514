//! Revisions: kept, gone back to, dropped; a tool switched off and on; what a restart finds.

use ocho_tests::TestHost;
use serde_json::{Value, json};

use crate::api::{grants, install, limits, revisions, roll_back, send, show};
use crate::components::{EXEC, REGISTRY, say};

fn states(host: &TestHost, tool: &str) -> String {
    let lines: Vec<String> = revisions(host, tool).iter().map(|(number, state)| format!("{number} {state}")).collect();
    lines.join(", ")
}

#[test]
fn back_to_an_earlier_revision_and_forth() {
    let host = TestHost::up().start();
    for text in ["one", "two", "three"] {
        install(&host, "x", "", &say(text, &[])).done();
    }
    assert_eq!(states(&host, "x"), "3 active, 2 kept, 1 kept");
    let done = roll_back(&host, "x", None).done();
    assert_eq!((done["revision"].as_u64(), done["state"].as_str()), (Some(2), Some("active")));
    assert_eq!(host.shell("x").success(), "two");
    roll_back(&host, "x", None).done();
    assert_eq!((host.shell("x").success(), states(&host, "x")), ("one".to_owned(), "3 kept, 2 kept, 1 active".to_owned()));
    let said = roll_back(&host, "x", None).refused(409, "no-revision");
    assert_eq!(said, "no revision of `x` before the active one is kept; `ocho plugin rm x` removes it");
    roll_back(&host, "x", Some(3)).done();
    assert_eq!(host.shell("x").success(), "three");
    let said = roll_back(&host, "x", Some(9)).refused(409, "no-revision");
    assert_eq!(said, "revision 9 of `x` is not kept; there are 1, 2, 3");
    assert!(roll_back(&host, "ls", None).refused(409, "no-revision").contains("is built in"));
    // A new one has a number that nobody had.
    assert_eq!(install(&host, "x", "", &say("four", &[])).done()["revision"], 4);
}

#[test]
fn only_so_many_are_kept() {
    let host = TestHost::up().words(&["--tool-revisions", "2"]).start();
    for text in ["one", "two", "three"] {
        install(&host, "x", "", &say(text, &[])).done();
    }
    assert_eq!(states(&host, "x"), "3 active, 2 kept");
    let plan = install(&host, "x", "plan=true", &say("four", &[])).done();
    assert_eq!(plan["plan"]["drops"], json!([2]));
    // What waits takes nothing away from what is active.
    install(&host, "x", "", &say("five", &[EXEC])).done();
    assert_eq!(states(&host, "x"), "4 waiting, 3 active");
    install(&host, "x", "", &say("six", &[])).done();
    assert_eq!(states(&host, "x"), "5 active, 4 kept");
    let files = std::fs::read_dir(host.home().join("data/tools")).unwrap().count();
    assert_eq!(files, 2, "components that no revision names are removed");
}

#[test]
fn a_tool_that_is_switched_off_refuses_and_comes_back() {
    let host = TestHost::up().start();
    install(&host, "x", "", &say("x", &[])).done();
    for tool in ["x", "ls"] {
        assert_eq!(send(&host, "POST", &format!("/{tool}/disable"), &Value::Null).done()["state"], "inactive");
        let said = host.shell(tool).failure();
        assert_eq!(
            said,
            format!("failure -> tool `{tool}` cannot run: it is disabled; `ocho plugin enable {tool}` switches it on")
        );
        assert_eq!(show(&host, tool)["state"], "disabled");
        assert!(!host.shell("help").out.split([' ', ',']).any(|word| word == tool));
    }
    // An upgrade does not switch it on.
    install(&host, "x", "", &say("new", &[])).done();
    assert!(host.shell("x").failure().contains("is disabled"));
    for tool in ["x", "ls"] {
        assert_eq!(send(&host, "POST", &format!("/{tool}/enable"), &Value::Null).done()["state"], "active");
    }
    assert_eq!(host.shell("x").success(), "new");
    assert!(host.shell("ls").ok);
}

#[test]
fn what_was_switched_off_stays_off_when_what_replaced_it_is_removed() {
    let mut host = TestHost::up().start();
    send(&host, "POST", "/ls/disable", &Value::Null).done();
    install(&host, "ls", "force=true", &say("mine", &[])).done();
    assert_eq!(send(&host, "DELETE", "/ls", &Value::Null).done()["state"], "inactive");
    assert!(host.shell("ls").failure().contains("is disabled"));
    host.crash();
    let host = host.restart();
    assert!(host.shell("ls").failure().contains("is disabled"));
    send(&host, "POST", "/ls/enable", &Value::Null).done();
    assert!(host.shell("ls").ok);
    // Where nothing is left, nothing is left switched off either.
    install(&host, "x", "", &say("old", &[])).done();
    send(&host, "POST", "/x/disable", &Value::Null).done();
    send(&host, "DELETE", "/x", &Value::Null).done();
    install(&host, "x", "", &say("new", &[])).done();
    assert_eq!(host.shell("x").success(), "new");
}

#[test]
fn what_is_removed_is_gone_with_its_grants() {
    let host = TestHost::up().start();
    install(&host, "x", "grant=pods/exec", &say("one", &[EXEC])).done();
    send(&host, "DELETE", "/x", &Value::Null).done();
    assert!(host.shell("x").failure().starts_with("unknown command "));
    send(&host, "GET", "/x", &Value::Null).refused(404, "no-such-tool");
    assert_eq!(std::fs::read_dir(host.home().join("data/tools")).unwrap().count(), 0);
    let again = install(&host, "x", "", &say("one", &[EXEC])).done();
    assert_eq!((again["state"].as_str(), again["revision"].as_u64()), (Some("waiting"), Some(2)), "a number is never used twice");
}

#[test]
fn a_restart_finds_everything_as_it_was() {
    let mut host = TestHost::up().start();
    install(&host, "x", "", &say("one", &[REGISTRY])).done();
    install(&host, "x", "", &say("two", &[REGISTRY])).done();
    install(&host, "x", "", &say("three", &[EXEC])).done();
    install(&host, "gone", "", &say("gone", &[])).done();
    send(&host, "DELETE", "/gone", &Value::Null).done();
    install(&host, "quiet", "", &say("quiet", &[])).done();
    send(&host, "POST", "/quiet/disable", &Value::Null).done();
    limits(&host, "x", &json!({"wall_ms": 5000, "runs": 7})).done();
    grants(&host, "ls", &json!({"revoke": ["pods/observe"]})).done();
    let before = [show(&host, "x"), show(&host, "quiet"), show(&host, "ls")];
    host.crash();
    let host = host.restart();
    assert_eq!([show(&host, "x"), show(&host, "quiet"), show(&host, "ls")], before);
    assert_eq!((host.shell("x").success(), states(&host, "x")), ("two".to_owned(), "3 waiting, 2 active, 1 kept".to_owned()));
    assert!(host.shell("gone").failure().starts_with("unknown command "));
    assert!(host.shell("ls").failure().contains("imports pods/observe, which it was not granted"));
    grants(&host, "x", &json!({"grant": ["pods/exec"]})).done();
    assert_eq!(host.shell("x").success(), "three");
    roll_back(&host, "x", Some(1)).done();
    assert_eq!(host.shell("x").success(), "one");
}

#[test]
fn a_component_that_was_damaged_is_told_and_the_others_run() {
    let mut host = TestHost::up().start();
    install(&host, "x", "", &say("x", &[])).done();
    install(&host, "y", "", &say("y", &[])).done();
    let digest = show(&host, "x")["digest"].as_str().unwrap().to_owned();
    host.crash();
    std::fs::write(host.home().join(format!("data/tools/{digest}.wasm")), "damaged").unwrap();
    let host = host.restart();
    let said = host.shell("x").failure();
    assert!(said.contains("its component in the data folder was changed; install it again"), "{said}");
    assert_eq!(show(&host, "x")["state"], "broken");
    assert_eq!(host.shell("y").success(), "y");
    install(&host, "x", "", &say("x", &[])).done();
    assert_eq!(host.shell("x").success(), "x", "installing it again mends it");
}
