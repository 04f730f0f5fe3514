use std::time::Duration;

use ocho_sdk::json;
use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn three_pods() -> Cluster {
    Cluster::new().pods([
        Pod::new("test.web-server", 12).with("process", "stopped"),
        Pod::new("marathon.portal", 0).with("state", "leader"),
        Pod::new("test.web-server", 3),
    ])
}

fn ls(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn a_line_for_each_cluster() {
    let end = ls(three_pods(), "");
    let expected = [
        "3 pods, 100% replies ->",
        "",
        "cluster          |  ok   |  status",
        "                 |       |        ",
        "marathon.portal  |  1/1  |        ",
        "test.web-server  |  1/2  |        ",
        "",
    ];
    assert_eq!((end.out, end.err.as_str(), end.is_ok), (expected.join("\n"), "", true));
}

#[test]
fn json_has_a_member_for_each_cluster() {
    let expected = concat!(
        r#"{"marathon.portal": {"status": "", "running": 1, "total": 1}, "#,
        r#""test.web-server": {"status": "", "running": 1, "total": 2}}"#,
        "\n"
    );
    assert_eq!(ls(three_pods(), "-j").out, expected);
}

#[test]
fn q51_without_pods_there_is_no_text() {
    assert_eq!(ls(Cluster::new(), "").out, "");
    assert_eq!(ls(Cluster::new(), "-j").out, "{}\n");
    assert!(ls(Cluster::new(), "").is_ok);
}

#[test]
fn the_status_of_the_leader_is_shown() {
    let pods = [Pod::new("a.b", 1).with("status", "3 shards"), Pod::new("a.b", 2)];
    assert!(ls(Cluster::new().pods(pods), "").out.ends_with("\na.b      |  2/2  |  3 shards\n"));
}

#[test]
fn q07_silent_pods_count_and_are_named() {
    let pods = [
        Pod::new("marathon.web", 1),
        Pod::new("marathon.web", 4).silent(),
        Pod::new("marathon.web", 9).says("info", [Says::Http(500, json!({}))]),
        Pod::new("marathon.db", 0).says("info", [Says::Garbage(200)]),
    ];
    let end = ls(Cluster::new().pods(pods.clone()), "");
    assert!(end.out.starts_with("4 pods, 25% replies ->\n"), "{}", end.out);
    assert!(end.out.contains("marathon.web  |  1/3  |"), "{}", end.out);
    assert_eq!(
        end.err,
        "marathon.db #0: answered HTTP 200 with something that is not JSON\n\
         marathon.web #4: no answer within 5 s\nmarathon.web #9: answered HTTP 500\n"
    );
    assert_eq!(end.elapsed, Duration::from_secs(5));

    let json = ls(Cluster::new().pods(pods), "-j").out;
    assert!(json.contains(r#""marathon.web": {"status": "", "running": 1, "total": 3, "silent": [4, 9]}"#), "{json}");
}

#[test]
fn a_pod_that_left_meanwhile_does_not_count() {
    let pods = [Pod::new("a.b", 1), Pod::new("a.b", 2).says("info", [Says::Left])];
    assert!(ls(Cluster::new().pods(pods), "").out.starts_with("1 pods, 100% replies ->\n"));
}

#[test]
fn q15_missing_members_are_blank() {
    let pods = [Pod::new("a.b", 1).without("process").without("status"), Pod::new("a.b", 2).with("status", ())];
    assert!(ls(Cluster::new().pods(pods), "").out.ends_with("\na.b      |  1/2  |        \n"));
}

#[test]
fn q13_a_registry_that_does_not_answer_is_told() {
    let end = ls(Cluster::new().registry_fails("127.0.0.1:2181 within 10 s"), "-j");
    assert_eq!(end.out, "shutting down <- no answer from the registry: 127.0.0.1:2181 within 10 s\n");
    assert!(!end.is_ok);
}

#[test]
fn q24_debug_lines_come_before_the_json() {
    let out = ls(three_pods(), "-dj").out;
    assert!(out.starts_with("<- registry (3 pods match *)\n-> info "), "{out}");
    assert!(out.lines().last().is_some_and(|line| line.starts_with('{')), "{out}");
}
