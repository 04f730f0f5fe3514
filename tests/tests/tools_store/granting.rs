//! Grants: what is not granted does not run, what is granted does, and what is revoked stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::programs::guest;
use ocho_tests::{TestHost, wait};
use serde_json::json;

use crate::api::{grants, install, send, show};
use crate::components::{CONTROL, EXEC, REGISTRY, say};

#[test]
fn one_that_imports_more_than_it_was_granted_is_refused_with_the_interfaces_name() {
    let host = TestHost::up().start();
    let done = install(&host, "x", "", &say("x", &[REGISTRY, EXEC])).done();
    assert_eq!(done["state"], "waiting");
    let why = "it imports pods/exec, which it was not granted; `ocho plugin grant x pods/exec` grants it";
    assert_eq!(done["message"], why);
    assert_eq!(host.shell("x").failure(), format!("failure -> tool `x` cannot run: {why}"));
    let shown = show(&host, "x");
    let seen = json!([shown["state"], shown["active"], shown["waiting"], shown["wanted"], shown["granted"], shown["missing"]]);
    let expected = json!(["waiting", false, 1, ["pods/registry", "pods/exec"], ["pods/registry", "pods/observe"], ["pods/exec"]]);
    assert_eq!(seen, expected);
    let done = grants(&host, "x", &json!({"grant": ["pods/exec"]})).done();
    assert_eq!((done["state"].as_str(), done["revision"].as_u64()), (Some("active"), Some(1)));
    assert_eq!(host.shell("x").success(), "x");
}

#[test]
fn an_upgrade_keeps_its_grants_and_a_new_import_waits() {
    let host = TestHost::up().start();
    install(&host, "x", "grant=pods/exec", &say("old", &[EXEC])).done();
    install(&host, "x", "", &say("new", &[EXEC])).done();
    assert_eq!(host.shell("x").success(), "new", "the old grant counts for the new revision");
    let done = install(&host, "x", "", &say("newer", &[EXEC, CONTROL])).done();
    assert_eq!((done["state"].as_str(), done["revision"].as_u64()), (Some("waiting"), Some(3)));
    assert_eq!(done["plan"]["missing"], json!(["pods/control"]));
    assert_eq!(host.shell("x").success(), "new", "what was active goes on");
    let shown = show(&host, "x");
    let error = shown["error"].as_str().unwrap();
    assert!(error.starts_with("revision 3 waits: it imports pods/control"), "{error}");
    grants(&host, "x", &json!({"grant": ["pods/control"]})).done();
    assert_eq!(host.shell("x").success(), "newer");
}

#[test]
fn what_is_revoked_stops_and_what_is_given_back_goes_on() {
    let host = TestHost::up().start();
    install(&host, "x", "", &say("x", &[REGISTRY])).done();
    let done = grants(&host, "x", &json!({"revoke": ["pods/registry"]})).done();
    assert_eq!(done["state"], "inactive");
    assert!(host.shell("x").failure().contains("imports pods/registry, which it was not granted"));
    grants(&host, "x", &json!({"grant": ["pods/registry"]})).done();
    assert_eq!(host.shell("x").success(), "x");
}

#[test]
fn built_in_tools_have_what_they_import_until_an_operator_says_otherwise() {
    let host = TestHost::up().start();
    let shown = show(&host, "kill");
    assert_eq!(shown["granted"], shown["wanted"]);
    grants(&host, "kill", &json!({"revoke": ["pods/control"]})).done();
    assert!(host.shell("kill x").failure().contains("`ocho plugin grant kill pods/control` grants it"));
    assert_eq!(grants(&host, "kill", &json!({"grant": ["pods/control"]})).done()["state"], "active");
}

#[test]
fn one_that_takes_a_name_over_starts_as_an_unknown_tool() {
    let host = TestHost::up().start();
    let done = install(&host, "kill", "force=true", &say("mine", &[CONTROL])).done();
    assert_eq!(done["state"], "waiting", "the grants of the built-in one are not those of another source: {done}");
    assert!(!host.shell("kill").out.contains("mine"), "the built-in one goes on");
    grants(&host, "kill", &json!({"grant": ["pods/control"]})).done();
    assert_eq!(host.shell("kill").success(), "mine");
}

#[test]
fn what_is_revoked_while_a_revision_waits_is_taken_from_the_active_one_below_too() {
    let host = TestHost::up().start();
    let done = install(&host, "kill", "force=true", &say("mine", &[CONTROL, EXEC])).done();
    assert_eq!(done["state"], "waiting");
    let kill = || host.shell("kill x").out;
    assert!(!kill().contains("which it was not granted"), "the built-in one goes on");
    grants(&host, "kill", &json!({"revoke": ["pods/control"], "now": true})).done();
    assert!(kill().contains("imports pods/control, which it was not granted"));
    // What is given, is given to the one that waits, and to no other.
    grants(&host, "kill", &json!({"grant": ["pods/control"]})).done();
    assert!(kill().contains("imports pods/control, which it was not granted"));
    grants(&host, "kill", &json!({"grant": ["pods/exec"]})).done();
    assert_eq!(host.shell("kill").success(), "mine");
}

#[test]
fn an_operator_says_what_unknown_tools_get() {
    let host = TestHost::up().words(&["--default-grants", "none"]).start();
    assert_eq!(install(&host, "x", "", &say("x", &[REGISTRY])).done()["state"], "waiting");
    let host = TestHost::up().words(&["--default-grants", "pods/exec,pods/control"]).start();
    assert_eq!(install(&host, "x", "", &say("x", &[EXEC])).done()["state"], "active");
    assert_eq!(install(&host, "y", "", &say("y", &[REGISTRY])).done()["state"], "waiting");
    host.add_tool("filed", &say("filed", &[CONTROL]));
    wait::until_so("the file's tool", Duration::from_secs(30), || host.shell("filed").out == "filed");
}

#[test]
fn a_file_of_the_folder_waits_for_its_grant_too() {
    let host = TestHost::up().start();
    host.add_tool("x", &say("old", &[]));
    wait::until_so("the file's tool", Duration::from_secs(30), || host.shell("x").out == "old");
    host.add_tool("x", &say("new", &[EXEC]));
    wait::until_so("the file's news", Duration::from_secs(30), || show(&host, "x")["waiting"].is_u64());
    assert_eq!(host.shell("x").success(), "old");
    grants(&host, "x", &json!({"grant": ["pods/exec"]})).done();
    assert_eq!(host.shell("x").success(), "new");
}

/// A run of `relay` that waits for a run of `sleeper`, ended or not as the changes say.
fn while_it_runs(seconds: u32, changes: impl FnOnce(&TestHost)) -> (String, Duration) {
    let host = TestHost::up().start();
    install(&host, "relay", "grant=proxy/shell", &std::fs::read(guest("relay")).unwrap()).done();
    install(&host, "sleeper", "", &std::fs::read(guest("sleeper")).unwrap()).done();
    thread::scope(|scope| {
        let started = Instant::now();
        let run = scope.spawn(|| host.shell(&format!("relay sleeper {seconds} 0")));
        wait::until_so("both runs", Duration::from_secs(60), || host.running().len() == 2);
        changes(&host);
        let said = run.join().unwrap().out;
        let elapsed = started.elapsed();
        // In any case the next one is refused.
        assert!(host.shell("relay hello").failure().contains("imports proxy/shell, which it was not granted"));
        wait::until_so("the end of both", Duration::from_secs(60), || host.running().is_empty());
        (said, elapsed)
    })
}

#[test]
fn a_run_in_flight_ends_by_itself() {
    let (said, elapsed) = while_it_runs(15, |host| {
        let done = grants(host, "relay", &json!({"revoke": ["proxy/shell"]})).done();
        assert!(done["runs_ended"].is_null(), "{done}");
    });
    assert!(said.starts_with("waited ") && elapsed >= Duration::from_secs(15), "{said} {elapsed:?}");
}

#[test]
fn revoked_now_a_run_in_flight_is_ended_and_told_why() {
    let (said, elapsed) = while_it_runs(500, |host| {
        let done = grants(host, "relay", &json!({"revoke": ["proxy/shell"], "now": true})).done();
        assert_eq!(done["runs_ended"], 1);
    });
    assert!(said.starts_with("tool 'relay' was ended: proxy/shell was revoked (revision 1, run "), "{said}");
    assert!(elapsed < Duration::from_secs(500), "{elapsed:?}");
}

#[test]
fn revoked_before_a_run_in_flight_is_ended_by_a_now_that_follows() {
    let (said, elapsed) = while_it_runs(500, |host| {
        grants(host, "relay", &json!({"revoke": ["proxy/shell"]})).done();
        // What takes nothing away ends nothing.
        let done = grants(host, "relay", &json!({"grant": ["pods/exec"], "now": true})).done();
        assert_eq!((done["runs_ended"].is_null(), host.running().len()), (true, 2), "{done}");
        let done = grants(host, "relay", &json!({"revoke": ["proxy/shell"], "now": true})).done();
        assert_eq!(done["runs_ended"], 1);
    });
    assert!(said.starts_with("tool 'relay' was ended: proxy/shell was revoked (revision 1, run "), "{said}");
    assert!(elapsed < Duration::from_secs(500), "{elapsed:?}");
}

/// Asks for a change and hangs up while the host waits for the database.
fn asked_and_left(host: &TestHost, tool: &str, change: &serde_json::Value, patience: Duration) {
    let mut database = rusqlite::Connection::open(host.home().join("data/journal.sqlite")).unwrap();
    database.busy_timeout(Duration::from_secs(60)).unwrap();
    let busy = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let (portal, body) = (host.address("portal"), change.to_string());
    let mut caller = TcpStream::connect(&portal).unwrap();
    let head = format!("PUT /v1/tools/{tool}/grants HTTP/1.1\r\nhost: {portal}\r\ncontent-length: {}\r\n\r\n", body.len());
    caller.write_all(format!("{head}{body}").as_bytes()).unwrap();
    caller.set_read_timeout(Some(patience)).unwrap();
    // No answer comes while the database is busy.
    drop(caller.read_exact(&mut [0]));
    drop(caller);
    // Another request is answered after the host saw that this caller left.
    show(host, tool);
    drop(busy);
}

#[test]
fn a_caller_that_hangs_up_does_not_keep_runs_going() {
    let (said, elapsed) = while_it_runs(500, |host| {
        let change = json!({"revoke": ["proxy/shell"], "now": true});
        // A busy host may not have begun with it when the caller leaves.
        for patience in [250, 500, 1000, 2000, 4000].map(Duration::from_millis) {
            asked_and_left(host, "relay", &change, patience);
            let end = Instant::now() + Duration::from_secs(10);
            while Instant::now() < end && show(host, "relay")["active"] == true {
                thread::sleep(Duration::from_millis(20));
            }
            if show(host, "relay")["active"] == false {
                return;
            }
        }
        panic!("the change was never begun");
    });
    assert!(said.starts_with("tool 'relay' was ended: proxy/shell was revoked (revision 1, run "), "{said}");
    assert!(elapsed < Duration::from_secs(500), "{elapsed:?}");
}

#[test]
fn now_refuses_no_run_where_what_it_takes_away_is_not_needed() {
    let host = TestHost::up().start();
    install(&host, "x", "", &say("x", &[])).done();
    let done = grants(&host, "x", &json!({"revoke": ["pods/exec"], "now": true})).done();
    assert_eq!((done["state"].as_str(), done["runs_ended"].is_null()), (Some("active"), true));
    assert_eq!(host.shell("x").success(), "x");
    send(&host, "POST", "/x/rollback", &json!({})).refused(409, "no-revision");
}
