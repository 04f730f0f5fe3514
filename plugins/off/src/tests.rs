use std::time::Duration;

use ocho_sdk::json;
use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn web() -> Cluster {
    Cluster::new().pods([Pod::new("test.web", 2), Pod::new("test.web", 0), Pod::new("test.web", 1)])
}

fn off(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn q18_json_lists_the_keys_of_pods() {
    let end = off(web(), "test.web --force -j");
    assert_eq!(end.out, "{\"test.web\": {\"ok\": true, \"off\": [\"test.web #0\", \"test.web #1\", \"test.web #2\"]}}\n");
    assert!(end.pods.iter().all(|pod| pod.process() == "stopped"));
}

#[test]
fn a_line_of_text() {
    let end = off(web(), "test.web -i 1");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (1 pods off)\n", true));
    assert_eq!(end.requests, ["control/off test.web #1"]);
    assert_eq!(off(web(), "test.web").out, "shutting down <- you must specify --force if -i is not set\n");
}

#[test]
fn q41_what_did_switch_is_listed() {
    let cluster =
        web().pods([Pod::new("test.web", 3).says("control/off", [Says::Http(408, json!({}))]), Pod::new("test.web", 4).silent()]);
    let end = off(cluster, "test.web --force -j -t 7");
    let expected = concat!(
        r#"{"test.web": {"ok": false, "off": ["test.web #0", "test.web #1", "test.web #2"], "silent": [4], "#,
        r#""why": "1 or more pod failed to stop (test.web #3: answered HTTP 408; test.web #4: no answer within 7 s)"}}"#,
        "\n"
    );
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
    assert_eq!(end.err, "test.web #4: no answer within 7 s\n");
}

#[test]
fn q06_a_pattern_without_pods_is_a_failure() {
    let end = off(web(), "nobody --force");
    let expected = "0% success (0 pods off)\nnobody : failed to switch off -> the cluster is either invalid or empty\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
}

#[test]
fn q12_patterns_run_at_the_same_time() {
    let slow = |cluster| {
        Pod::new(cluster, 0).says("control/off", [Says::After(Duration::from_secs(4), Box::new(Says::Http(200, json!({}))))])
    };
    let end = off(Cluster::new().pods([slow("t.a"), slow("t.b")]), "t.a t.b --force");
    assert_eq!((end.out.as_str(), end.elapsed), ("100% success (2 pods off)\n", Duration::from_secs(4)));
}

#[test]
fn a_pattern_passes_the_host_itself_by() {
    let portal = || Pod::new("marathon.portal", 0).host_itself();
    assert_eq!(off(web().pod(portal()), "* --force").out, "100% success (3 pods off)\n");
    let expected = "0% success (0 pods off)\nmarathon.portal : failed to switch off -> marathon.portal is the host itself\n";
    assert_eq!(off(web().pod(portal()), "marathon.portal --force").out, expected);
}
