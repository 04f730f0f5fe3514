use ocho_sdk::json;
use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn web() -> Cluster {
    Cluster::new().pods([Pod::new("test.web", 2), Pod::new("test.web", 0), Pod::new("test.web", 1)])
}

fn reset(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn pods_go_off_and_on() {
    let end = reset(web(), "test.web --force -j");
    assert_eq!(end.out, "{\"test.web\": {\"ok\": true, \"reset\": [0, 1, 2]}}\n");
    assert_eq!(end.requests[2..4], ["control/off test.web #2", "control/on test.web #0"]);
    assert_eq!(reset(web(), "test.web --force").out, "100% success (3 pods reset)\n");
}

#[test]
fn q08_only_the_pods_that_are_meant_are_touched() {
    let stubborn = Pod::new("test.web", 3).says("control/off", [Says::Http(408, json!({}))]);
    let end = reset(web().pod(stubborn), "test.web -i 3");
    assert_eq!(end.requests, ["control/off test.web #3"]);
    let expected = "0% success (0 pods reset)\n\
                    test.web : failed to reset -> 1 or more pod failed to stop (test.web #3: answered HTTP 408)\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
}

#[test]
fn q42_a_pod_that_does_not_stop_is_a_failure_and_the_others_run_again() {
    let stubborn = Pod::new("test.web", 3).says("control/off", [Says::Http(408, json!({}))]);
    let end = reset(web().pod(stubborn), "test.web --force -j");
    assert!(end.out.starts_with(r#"{"test.web": {"ok": false, "reset": [0, 1, 2], "why": "#), "{}", end.out);
    assert!(end.pods.iter().all(|pod| pod.process() == "running"));
}

#[test]
fn a_pod_that_does_not_start_again_is_a_failure() {
    let broken = Pod::new("test.web", 3).says("control/on", [Says::Http(406, json!({}))]);
    let end = reset(web().pod(broken), "test.web --force");
    assert!(end.out.ends_with("1 or more pod failed to start (test.web #3: answered HTTP 406)\n"), "{}", end.out);
    assert!(!end.is_ok);
}

#[test]
fn q49_every_wait_has_at_least_five_seconds() {
    let end = reset(Cluster::new().pod(Pod::new("a.b", 0).silent()), "a.b --force -t 1");
    assert_eq!(end.elapsed, std::time::Duration::from_secs(5));
}
