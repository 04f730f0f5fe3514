use std::time::Duration;

use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn saying(seq: u32, code: i64, lines: &[&str]) -> Pod {
    Pod::new("test.web", seq).says("exec", [Says::Http(200, json!({"code": code, "stdout": lines}))])
}

fn exec(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn what_each_pod_prints() {
    let cluster = || Cluster::new().pods([saying(1, 0, &["hello", "world"]), saying(0, 0, &[])]);
    let expected = [
        "<test.web> -> 100% replies (2 pods total) ->",
        "",
        "- test.web #0 (exit code 0)",
        "- test.web #1 (exit code 0)",
        "",
        " hello",
        " world",
        "",
        "",
    ];
    let end = exec(cluster(), "test.web hi there --force");
    assert_eq!((end.out, end.is_ok), (expected.join("\n"), true));
    assert_eq!(end.requests, ["exec test.web #0 `hi there` []", "exec test.web #1 `hi there` []"]);
    let end = exec(cluster(), "test.web hi -i 1 -j");
    assert_eq!(end.out, "{\"test.web #1\": {\"code\": 0, \"stdout\": [\"hello\", \"world\"]}}\n");
}

#[test]
fn unknown_switches_and_files_go_to_the_pods() {
    let cluster = Cluster::new().pod(saying(0, 0, &[])).file("a.yml", "x").file("b.yml", "y");
    let end = exec(cluster, "test.web run --fast a.yml -x b.yml a.yml --force");
    assert_eq!(end.requests, [r#"exec test.web #0 `run --fast a.yml -x b.yml a.yml` ["a.yml", "b.yml"]"#]);
}

#[test]
fn q01_a_tool_of_the_pods_may_be_called_like_one_of_ours() {
    let end = exec(Cluster::new().pod(saying(0, 0, &[])), "test.web --force reset");
    assert_eq!(end.requests, ["exec test.web #0 `reset` []"]);
}

#[test]
fn q20_a_tool_that_fails_is_a_failure() {
    let end = exec(Cluster::new().pods([saying(0, 0, &[]), saying(1, 3, &["no"])]), "test.web run --force");
    assert!(end.out.contains("- test.web #1 (exit code 3)\n\n no\n"), "{}", end.out);
    assert!(!end.is_ok);
    let end = exec(Cluster::new().pod(saying(1, 3, &["no"])), "test.web run --force -j");
    assert_eq!((end.out.as_str(), end.is_ok), ("{\"test.web #1\": {\"code\": 3, \"stdout\": [\"no\"]}}\n", false));
}

#[test]
fn q07_pods_without_an_answer_are_named_and_are_a_failure() {
    let cluster = || Cluster::new().pods([saying(0, 0, &[]), Pod::new("test.web", 1), Pod::new("test.web", 2).silent()]);
    let end = exec(cluster(), "test.web run --force -t 9");
    assert!(end.out.starts_with("<test.web> -> 33% replies (1 pods total) ->\n"), "{}", end.out);
    assert_eq!(end.err, "test.web #1: answered HTTP 404\ntest.web #2: no answer within 9 s\n");
    assert_eq!((end.is_ok, end.elapsed), (false, Duration::from_secs(9)));
}

#[test]
fn without_pods_it_fails_and_prints_nothing() {
    let end = exec(Cluster::new(), "nobody run --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("", false));
    let end = exec(Cluster::new(), "nobody run --force -j");
    assert_eq!((end.out.as_str(), end.is_ok), ("{}\n", false));
}

#[test]
fn it_wants_force_or_numbers() {
    let end = exec(Cluster::new().pod(saying(0, 0, &[])), "test.web run");
    assert_eq!(end.out, "shutting down <- you must specify --force if -i is not set\n");
    assert!(exec(Cluster::new().pod(saying(0, 0, &[])), "test.web run --for").is_ok);
}

#[test]
fn odd_answers_do_no_harm() {
    let pods = [
        Pod::new("a.b", 0).says("exec", [Says::Http(200, json!([]))]),
        Pod::new("a.b", 1).says("exec", [Says::Http(200, json!({"code": "x", "stdout": [1, "y"]}))]),
    ];
    let end = exec(Cluster::new().pods(pods), "a.b run --force");
    assert!(end.out.ends_with("- a.b #0 (exit code ?)\n- a.b #1 (exit code ?)\n\n y\n\n"), "{}", end.out);
    assert!(!end.is_ok);
}
