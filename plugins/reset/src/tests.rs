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
    let orders: Vec<&String> = end.requests.iter().filter(|request| request.starts_with("control/")).collect();
    assert_eq!(orders[2..4], ["control/off test.web #2", "control/on test.web #0"]);
    assert_eq!(reset(web(), "test.web --force").out, "100% success (3 pods reset)\n");
}

#[test]
fn q08_only_the_pods_that_are_meant_are_touched() {
    let stubborn = Pod::new("test.web", 3).says("control/off", [Says::Http(408, json!({}))]);
    let end = reset(web().pod(stubborn), "test.web -i 3");
    assert_eq!(end.requests, ["info test.web #3", "control/off test.web #3"]);
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

#[test]
fn a_pod_that_ran_runs_again_whatever_its_leader_waits_for() {
    let leader = Pod::new("test.web", 3).with("state", "leader (configuration pending)");
    let end = reset(web().pod(leader), "test.web --force");
    assert_eq!((end.out.as_str(), end.elapsed), ("100% success (4 pods reset)\n", std::time::Duration::ZERO));
}

#[test]
fn b04_a_pod_that_its_leader_has_not_configured_is_not_told_to_run() {
    let leader = Pod::new("test.web", 3).with("state", "leader (configuration pending)");
    let new = Pod::new("test.web", 4).with("process", "stopped");
    let end = reset(Cluster::new().pods([leader, new]), "test.web --force -j -t 7");
    let expected = r#"{"test.web": {"ok": false, "reset": [3], "why": "1 or more pod failed to start (test.web #4: not asked, "#;
    assert!(end.out.starts_with(expected) && !end.is_ok, "{}", end.out);
    assert!(!end.requests.contains(&"control/on test.web #4".to_owned()), "{:?}", end.requests);
}
