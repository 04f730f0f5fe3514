//! `ocho runs` on a host: what ran, what runs, and its end.

use std::process::Command;
use std::time::Duration;

use ocho_tests::command::{Background, Ended, run};
use ocho_tests::{TestHost, ocho, programs, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(180);
const TOKEN: &str = "s3cret";

fn runs(host: &TestHost, words: &[&str]) -> Command {
    let mut ocho = ocho::bare(&host.work());
    ocho.arg("runs").args(words).env("OCHOPOD_PROXY", host.address("portal")).env("OCHOPOD_TOKEN", TOKEN);
    ocho
}

fn say(host: &TestHost, words: &[&str]) -> Ended {
    run(&mut runs(host, words), SOON)
}

fn listed(host: &TestHost) -> Value {
    serde_json::from_str(&say(host, &["--json"]).ok()).unwrap()
}

/// The id of the one run under way.
fn under_way(host: &TestHost) -> String {
    let id = || listed(host)["running"][0]["run"].as_str().map(str::to_owned);
    wait::until("a run under way", SOON, id)
}

fn host() -> TestHost {
    TestHost::up().token(TOKEN).tool("sleeper", &programs::guest("sleeper")).tool("echo", &programs::guest("echo")).start()
}

#[test]
fn what_ran_is_listed_and_shown_again() {
    let host = host();
    assert_eq!(say(&host, &[]).ok(), "");
    assert!(host.ocho(&["grep", "nobody"]).ok().is_empty());
    assert_eq!(host.ocho(&["kill", "x"]).code, 1);
    let list = say(&host, &["list"]).ok();
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split("  |  ").map(str::trim).collect()).collect();
    assert_eq!(rows[0], ["run", "outcome", "started", "took", "line"]);
    let told: Vec<_> = rows[2..].iter().map(|row| (row[1], row[4])).collect();
    assert_eq!(told, [("failed (1)", "kill x"), ("succeeded", "grep nobody")]);
    let shown = say(&host, &["show", &rows[2][0][20..]]).ok();
    assert!(shown.contains("tool     kill, revision 1\nline     kill x\noutcome  failed (1)\n"), "{shown}");
    assert!(shown.ends_with("\n\nshutting down <- you must specify --force if -i is not set\n"), "{shown}");
    // To follow a run that is over is to see its end.
    let followed = say(&host, &["follow", rows[2][0]]);
    assert_eq!((followed.code, followed.stdout.as_str()), (1, "shutting down <- you must specify --force if -i is not set\n"));
    assert_eq!(say(&host, &["follow", rows[3][0]]).code, 0);
    assert_eq!(say(&host, &["list", "-n", "1"]).ok().lines().count(), 3);
}

#[test]
fn a_run_is_followed_and_cancelled() {
    let host = host();
    let mut calling = Background::start(&mut ocho::cli(&host.address("portal"), Some(TOKEN), &host.work(), &["sleeper", "600"]));
    let id = under_way(&host);
    let following = Background::start(&mut runs(&host, &["follow", &id[16..]]));
    assert!(calling.status().is_none());
    assert_eq!(say(&host, &["cancel", &id[16..]]).ok(), format!("run {id} is cancelled\n"));
    let (called, followed) = (calling.wait(SOON), following.wait(SOON));
    assert_eq!((called.code, followed.code), (1, 1));
    assert!(followed.stderr.contains("cancelled"), "{}", followed.stderr);
    assert_eq!(listed(&host)["running"], serde_json::json!([]));
}

#[test]
fn files_of_some_megabytes_come_with_a_run() {
    let host = TestHost::up().tool("files", &programs::guest("files")).start();
    let text = "a line of many\n".repeat(300_000);
    std::fs::write(host.work().join("big"), &text).unwrap();
    assert!(host.ocho(&["files", "read", "./big"]).ok() == text);
}

#[test]
fn a_query_that_does_not_read_is_a_mistake_of_the_caller() {
    let host = TestHost::up().start();
    for list in ["/v1/runs", "/v1/jobs"] {
        for wrong in ["x", "-1", "4294967296", ""] {
            let refused = host.portal("GET", &format!("{list}?limit={wrong}"), &[]);
            assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &Value::from("request")), "{list} {wrong}");
        }
        assert_eq!(host.portal("GET", &format!("{list}?limit=4294967295&other=1"), &[]).json()["ended"], serde_json::json!([]));
    }
}

#[test]
fn ids_that_are_none_are_told() {
    let host = host();
    for (words, code, said) in [
        (["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], 1, "has no such run: there is no run `01ARZ3NDEKTSV4RRFFQ69G5FAV`"),
        (["cancel", "ABCDEF"], 1, "no run on `"),
        (["show", "A"], 1, "`A` is too short for an id"),
        (["follow", "../x"], 1, "no run on `"),
    ] {
        let ended = say(&host, &words);
        assert_eq!(ended.code, code, "{words:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{words:?}: {}", ended.stderr);
    }
    let nobody = run(ocho::bare(&host.work()).args(["runs"]), SOON);
    assert_eq!(nobody.code, 2, "{}", nobody.stderr);
}
