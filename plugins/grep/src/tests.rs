use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn three_pods() -> Cluster {
    let pod = |cluster, seq, node: &str| Pod::new(cluster, seq).with("node", node);
    Cluster::new().pods([
        pod("test.web-server", 12, "i-0000000c").with("process", "stopped"),
        pod("marathon.portal", 0, "i-00000000").with("state", "leader"),
        pod("test.web-server", 3, "i-00000003"),
    ])
}

fn grep(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn q39_rows_are_sorted_by_cluster_then_by_number() {
    let expected = [
        "<*> -> 100% replies (3 pods total) ->",
        "",
        "pod                  |  pod IP     |  node        |  process  |  state   ",
        "                     |             |              |           |          ",
        "marathon.portal #0   |  127.0.0.1  |  i-00000000  |  running  |  leader  ",
        "test.web-server #3   |  127.0.0.1  |  i-00000003  |  running  |  follower",
        "test.web-server #12  |  127.0.0.1  |  i-0000000c  |  stopped  |  follower",
        "",
    ];
    assert_eq!(grep(three_pods(), "").out, expected.join("\n"));
}

#[test]
fn json_is_keyed_by_pod() {
    let expected = concat!(
        r#"{"test.web-server #3": {"ip": "127.0.0.1", "node": "i-00000003", "process": "running", "state": "follower"}, "#,
        r#""test.web-server #12": {"ip": "127.0.0.1", "node": "i-0000000c", "process": "stopped", "state": "follower"}}"#,
        "\n"
    );
    assert_eq!(grep(three_pods(), "*web* -j").out, expected);
    assert_eq!(grep(three_pods(), "-j *web*").out, expected);
}

#[test]
fn q51_without_pods_there_is_no_text() {
    assert_eq!(grep(three_pods(), "web").out, "");
    assert_eq!(grep(three_pods(), "web --json").out, "{}\n");
}

#[test]
fn q07_the_percentage_counts_registered_pods() {
    let end = grep(three_pods().pod(Pod::new("test.db", 7).silent()), "");
    assert!(end.out.starts_with("<*> -> 75% replies (3 pods total) ->\n"), "{}", end.out);
    assert_eq!(end.err, "test.db #7: no answer within 5 s\n");
    assert!(end.is_ok);
    let json = grep(three_pods().pod(Pod::new("test.db", 7).silent()), "-j").out;
    assert!(!json.contains("silent") && !json.contains("test.db"), "{json}");
}

#[test]
fn q15_missing_members_are_blank() {
    let pod = || Pod::new("a.b", 1).without("node").with("ip", ());
    let end = grep(Cluster::new().pod(pod()), "");
    assert!(end.out.ends_with("\na.b #1  |          |        |  running  |  follower\n"), "{}", end.out);
    let json = grep(Cluster::new().pod(pod()), "-j").out;
    assert_eq!(json, "{\"a.b #1\": {\"ip\": null, \"node\": \"\", \"process\": \"running\", \"state\": \"follower\"}}\n");
}

#[test]
fn q14_a_pod_that_leaves_meanwhile_is_passed_over() {
    let end = grep(three_pods().pod(Pod::new("a.b", 1).says("info", [Says::Left])), "");
    assert!(end.out.starts_with("<*> -> 100% replies (3 pods total) ->\n"), "{}", end.out);
}

#[test]
fn one_pattern_only() {
    let end = grep(three_pods(), "a b");
    assert!(end.out.starts_with("error: unrecognized arguments: b\n\nusage: grep [-h] [-j] [-d] [clusters]\n"), "{}", end.out);
    assert!(!end.is_ok);
}
