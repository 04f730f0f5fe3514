use ocho_sdk::pretend::{Cluster, End, Pod};

use super::*;

fn three_pods() -> Cluster {
    Cluster::new().pods([
        Pod::new("test.web-server", 12).with("ports", json!({"8080": 30001, "9000": 31003})),
        Pod::new("test.web-server", 3).with("ports", json!({"9000": 31002})).with("public", "54.0.0.3"),
        Pod::new("marathon.portal", 0),
    ])
}

fn port(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn a_row_for_each_pod_that_exposes_it() {
    let expected = [
        "<*> -> 66% replies (2 pods total) ->",
        "",
        "pod                  |  pod IP     |  public IP  |  port ",
        "                     |             |             |       ",
        "test.web-server #3   |  127.0.0.1  |  54.0.0.3   |  31002",
        "test.web-server #12  |  127.0.0.1  |             |  31003",
        "",
    ];
    assert_eq!(port(three_pods(), "9000").out, expected.join("\n"));
}

#[test]
fn json_has_the_port_as_a_text() {
    let expected = r#"{"test.web-server #3": {"ip": "127.0.0.1", "public": "54.0.0.3", "ports": "31002"}, "#;
    assert!(port(three_pods(), "9000 *web* -j").out.starts_with(expected));
    assert_eq!(port(three_pods(), "1234 -j").out, "{}\n");
    assert_eq!(port(three_pods(), "1234").out, "");
}

#[test]
fn q15_missing_members_are_blank() {
    let pods = [
        Pod::new("a.b", 1).with("ports", json!({"9000": 1})).without("ip").with("public", ()),
        Pod::new("a.b", 2).without("ports"),
        Pod::new("a.b", 3).with("ports", "none"),
    ];
    let end = port(Cluster::new().pods(pods), "9000 -j");
    assert_eq!(end.out, "{\"a.b #1\": {\"ip\": \"\", \"public\": \"\", \"ports\": \"1\"}}\n");
}

#[test]
fn the_port_is_a_number() {
    let end = port(three_pods(), "http");
    assert!(end.out.starts_with("error: argument port: invalid int value: 'http'\n\nusage: port "), "{}", end.out);
    assert!(!end.is_ok);
}
