//! From a file to a tool that answers, and what is refused on the way.

use std::fs;
use std::time::Instant;

use ocho_core::signature::{hex, sha256};
use ocho_tests::TestHost;
use ocho_tests::programs::{guest, tool};
use serde_json::{Value, json};

use crate::api::{Signed, install, revisions, send, show};
use crate::components::{EXEC, REGISTRY, Say, say};

#[test]
fn a_component_that_is_installed_answers_at_once() {
    let host = TestHost::up().start();
    let component = fs::read(guest("hello")).unwrap();
    let done = install(&host, "greet", "", &component).done();
    assert_eq!((done["state"].as_str(), done["revision"].as_u64()), (Some("active"), Some(1)), "{done}");
    assert_eq!(host.shell("greet").success(), "hello");
    let shown = show(&host, "greet");
    assert_eq!((shown["origin"].as_str(), shown["wasm_bytes"].as_u64()), (Some("installed"), Some(component.len() as u64)));
    let revision = &shown["revisions"][0];
    assert_eq!((&revision["wasi"], &revision["digest"]), (&json!("0.3"), &json!(hex(&sha256(&component)))));
    assert!(revision["imports"].as_array().unwrap().iter().any(|import| import.as_str().unwrap().starts_with("wasi:cli/")));
    assert!(revision["installed_at"].as_str().unwrap().ends_with('Z'), "{revision}");
    assert!(host.shell("help").out.contains("greet"));
}

#[test]
fn a_tool_of_300_kib_is_active_soon() {
    let host = TestHost::up().start();
    // The largest standard tool, with a section of its own so that no cache knows it.
    let mut component = fs::read(tool("deploy")).unwrap();
    component.extend_from_slice(b"\x00\x06\x05extra");
    let started = Instant::now();
    let grants = "grant=marathon/inspect,marathon/operate";
    assert_eq!(install(&host, "ship", grants, &component).done()["state"], "active");
    // The bound of the release build is measured by the benchmark `upload`; here it must end at all.
    assert!(started.elapsed().as_secs() < 110, "{:?}", started.elapsed());
    assert!(!host.shell("ship --help").out.starts_with("unknown command"));
}

#[test]
fn a_plan_says_what_would_change_and_changes_nothing() {
    let host = TestHost::up().start();
    let first = Say { text: "one", imports: &[REGISTRY], version: "1.0.0", source: "" }.component();
    let second = Say { text: "second", imports: &[EXEC], version: "1.1.0", source: "" }.component();
    let plan = install(&host, "x", "plan=true", &first).done();
    assert_eq!((plan["state"].as_str(), plan["revision"].is_null()), (Some("active"), true), "{plan}");
    assert_eq!(plan["plan"]["grants_added"], json!(["pods/registry", "pods/observe"]));
    assert_eq!(send(&host, "GET", "/x", &Value::Null).refused(404, "no-such-tool"), "there is no tool `x`");
    install(&host, "x", "", &first).done();
    let plan = install(&host, "x", "plan=true", &second).done();
    assert_eq!(plan["state"], "waiting");
    assert!(plan["message"].as_str().unwrap().contains("`ocho plugin grant x pods/exec`"), "{plan}");
    let plan = &plan["plan"];
    let seen = json!([
        plan["from"],
        plan["to"],
        plan["version_before"],
        plan["metadata"]["version"],
        plan["imports_added"],
        plan["imports_removed"],
        plan["missing"],
        plan["grants_added"],
        plan["signature"]["state"],
    ]);
    let expected = json!([1, 2, "1.0.0", "1.1.0", ["pods/exec"], ["pods/registry"], ["pods/exec"], [], "unsigned"]);
    assert_eq!(seen, expected, "{plan}");
    assert_eq!((plan["bytes_before"].as_u64(), plan["bytes"].as_u64()), (Some(first.len() as u64), Some(second.len() as u64)));
    assert_eq!(plan["limits"]["cpu_ms"], json!({"value": 30_000, "override": false}));
    assert_eq!((host.shell("x").success().as_str(), revisions(&host, "x").len()), ("one", 1));
}

#[test]
fn what_is_not_what_was_announced_is_refused() {
    let host = TestHost::up().start();
    let component = say("x", &[]);
    let digest = hex(&sha256(&component));
    let said = install(&host, "x", &format!("digest={}", "0".repeat(64)), &component).refused(409, "digest");
    assert!(said.contains(&digest), "{said}");
    install(&host, "x", &format!("digest={}", digest.to_uppercase()), &component).done();
}

#[test]
fn the_same_component_again_makes_no_new_revision() {
    let host = TestHost::up().start();
    for _ in 0..2 {
        assert_eq!(install(&host, "x", "", &say("x", &[])).done()["revision"], 1);
    }
    assert_eq!(revisions(&host, "x"), [(1, "active".to_owned())]);
}

#[test]
fn names_of_others_are_protected() {
    let host = TestHost::up().tool("filed", &guest("hello")).start();
    let component = say("mine", &[]);
    let said = install(&host, "ls", "", &component).refused(409, "protected");
    assert_eq!(said, "the name `ls` is built in; `ocho plugin install ls --force` takes the name over");
    let said = install(&host, "filed", "", &component).refused(409, "protected");
    assert!(said.contains("belongs to a file in the tools folder"), "{said}");
    let plan = install(&host, "ls", "plan=true&force=true", &component).done();
    assert_eq!(plan["plan"]["replaces"], "builtin");
    install(&host, "ls", "force=true", &component).done();
    assert_eq!(host.shell("ls").success(), "mine");
    // What is removed shows what was there before.
    send(&host, "DELETE", "/ls", &Value::Null).done();
    assert_ne!(host.shell("ls").success(), "mine");
    let said = send(&host, "DELETE", "/ls", &Value::Null).refused(409, "protected");
    assert!(said.contains("`ocho plugin disable ls` switches it off"), "{said}");
    assert!(send(&host, "DELETE", "/filed", &Value::Null).refused(409, "protected").contains("remove the file"));
}

#[test]
fn a_component_from_elsewhere_does_not_take_a_name_over() {
    let host = TestHost::up().start();
    let from = |text, source| Say { text, imports: &[], version: "", source }.component();
    install(&host, "x", "", &from("ours", "https://a.example/x")).done();
    let said = install(&host, "x", "", &from("theirs", "https://b.example/x")).refused(409, "protected");
    assert!(said.contains("from `https://a.example/x`, and this one is from `https://b.example/x`"), "{said}");
    install(&host, "x", "", &from("ours again", "https://a.example/x")).done();
    assert_eq!(host.shell("x").success(), "ours again");
    install(&host, "x", "force=true", &from("theirs", "https://b.example/x")).done();
    assert_eq!(host.shell("x").success(), "theirs");
}

#[test]
fn a_file_in_the_folder_does_not_take_an_installed_name_over() {
    let host = TestHost::up().start();
    install(&host, "x", "", &say("installed", &[])).done();
    host.add_tool("x", &say("file", &[]));
    host.add_tool("zebra", &say("zebra", &[]));
    ocho_tests::host::until_listed(&host, "zebra", true);
    assert_eq!(host.shell("x").success(), "installed");
    send(&host, "DELETE", "/x", &Value::Null).done();
    assert_eq!(host.shell("x").success(), "file");
}

#[test]
fn odd_requests_are_refused_with_a_sentence() {
    let host = TestHost::up().start();
    let component = say("x", &[]);
    assert!(install(&host, "Upper", "", &component).refused(400, "request").contains("tool name `Upper`"));
    assert!(install(&host, "x", "grant=pods", &component).refused(400, "request").contains("`pods` is not an interface"));
    assert_eq!(install(&host, "x", "colour=red", &component).status, 400);
    for (method, path, body) in [
        ("PUT", "/ls/grants", json!({"grant": "pods/exec"})),
        ("PUT", "/ls/grants", json!({"give": []})),
        ("PUT", "/ls/grants", json!({"grant": ["pods/exec"], "revoke": ["pods/exec"]})),
        ("PUT", "/ls/limits", json!({"wall_ms": "long"})),
        ("POST", "/ls/rollback", json!([1, 2])),
    ] {
        send(&host, method, path, &body).refused(400, "request");
    }
    for how in ["bogus=1", "plan=perhaps", "digest=00", "digest=", "grant=pods/everything"] {
        install(&host, "x", how, &say("x", &[])).refused(400, "request");
    }
    for (method, path) in [("PUT", "/nobody/grants"), ("PUT", "/nobody/limits"), ("POST", "/nobody/rollback")] {
        send(&host, method, path, &Value::Null).refused(404, "no-such-tool");
    }
    for (method, path) in [("DELETE", "/nobody"), ("POST", "/nobody/disable"), ("POST", "/nobody/enable"), ("GET", "/a%2Fb")] {
        send(&host, method, path, &Value::Null).refused(404, "no-such-tool");
    }
    let large = json!({"grant": vec!["pods/exec"; 20_000]});
    send(&host, "PUT", "/ls/grants", &large).refused(400, "request");
}

#[test]
fn only_who_knows_the_token_installs() {
    let host = TestHost::up().token("s3cret").start();
    let component = say("signed", &[]);
    assert_eq!(install(&host, "x", "", &component).status, 401);
    assert_eq!(send(&host, "GET", "", &Value::Null).status, 401);
    let signed = Signed::by("s3cret", "/v1/tools/x?grant=pods/exec", &component);
    let changed = signed.send(&host, "/v1/tools/x?grant=pods/exec", say("forged", &[]));
    assert_eq!(changed.status, 401, "{}", changed.body);
    let done = signed.send(&host, "/v1/tools/x?grant=pods/exec", component);
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(host.shell("x").success(), "signed");
}
