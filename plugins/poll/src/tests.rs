use ocho_sdk::pretend::{Cluster, End, Pod};

use super::*;

fn three_pods() -> Cluster {
    Cluster::new().pods([
        Pod::new("test.web-server", 12),
        Pod::new("marathon.portal", 0).with("metrics", json!({"token": "s3cret", "uptime": "0.02 hours (pid 9)"})),
        Pod::new("test.db", 1).without("metrics"),
    ])
}

fn poll(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn metrics_are_one_line_of_json() {
    let expected = [
        "<*> -> 66% replies (2 pods total) ->",
        "",
        "pod                  |  metrics                                            ",
        "                     |                                                     ",
        "marathon.portal #0   |  {\"token\": \"s3cret\", \"uptime\": \"0.02 hours (pid 9)\"}",
        "test.web-server #12  |  {}                                                 ",
        "",
    ];
    assert_eq!(poll(three_pods(), "").out, expected.join("\n"));
}

#[test]
fn json_is_keyed_by_pod() {
    let expected = "{\"marathon.portal #0\": {\"token\": \"s3cret\", \"uptime\": \"0.02 hours (pid 9)\"}}\n";
    assert_eq!(poll(three_pods(), "*portal -j").out, expected);
    assert_eq!(poll(three_pods(), "nobody -j").out, "{}\n");
    assert_eq!(poll(three_pods(), "nobody").out, "");
}

#[test]
fn q07_silent_pods_count_and_are_named() {
    let end = poll(three_pods().pod(Pod::new("test.mute", 3).silent()), "");
    assert!(end.out.starts_with("<*> -> 50% replies (2 pods total) ->\n"), "{}", end.out);
    assert_eq!(end.err, "test.mute #3: no answer within 5 s\n");
    assert!(end.is_ok);
}
