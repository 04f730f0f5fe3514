use std::time::Duration;

use ocho_sdk::json;
use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn on(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn pods_run_again() {
    let cluster = Cluster::new().pods([Pod::new("test.web", 0).with("process", "stopped"), Pod::new("test.web", 1)]);
    let end = on(cluster, "test.web --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (2 pods on)\n", true));
    assert!(end.pods.iter().all(|pod| pod.process() == "running"));
}

#[test]
fn q18_json_lists_the_keys_of_pods() {
    let end = on(Cluster::new().pod(Pod::new("test.web", 7)), "*web -i 7 -j");
    assert_eq!(end.out, "{\"*web\": {\"ok\": true, \"on\": [\"test.web #7\"]}}\n");
}

#[test]
fn q41_the_reason_speaks_of_starting() {
    let pods = [Pod::new("test.web", 0), Pod::new("test.web", 1).says("control/on", [Says::Http(406, json!({}))])];
    let end = on(Cluster::new().pods(pods), "test.web --force");
    let expected = "0% success (1 pods on)\n\
                    test.web : failed to switch on -> 1 or more pod failed to start (test.web #1: answered HTTP 406)\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
}

/// What a leader says of itself; `status` where it is not done.
fn leading(status: &str) -> Says {
    let state = if status.is_empty() { "leader" } else { "leader (configuration pending)" };
    Says::Http(200, json!({"process": "running", "state": state, "status": status}))
}

fn new_pod() -> Pod {
    Pod::new("test.web", 1).with("process", "stopped")
}

#[test]
fn b04_a_pod_is_not_told_to_run_before_its_leader_has_configured_it() {
    let pending = || leading("* configuration in 3.0 seconds (#2 answered check with 406)");
    // The first answer is about itself: it is one of the pods that are meant.
    let leader = Pod::new("test.web", 0).says("info", [pending(), pending(), pending(), leading("")]);
    let end = on(Cluster::new().pods([leader, new_pod()]), "test.web --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (2 pods on)\n", true));
    let told = "test.web : the leader of test.web has not configured its pods yet, waiting \
                (configuration in 3.0 seconds (#2 answered check with 406))\n";
    assert_eq!((end.err.as_str(), end.elapsed), (told, Duration::from_secs(2 + 3)));
    let switched: Vec<&String> = end.requests.iter().filter(|request| request.starts_with("control/on")).collect();
    assert_eq!(switched, ["control/on test.web #0", "control/on test.web #1"], "whoever runs is not kept waiting");
    assert_eq!(end.requests.last().unwrap(), "control/on test.web #1");
}

#[test]
fn b04_a_leader_that_never_configures_is_told() {
    let leader = Pod::new("test.web", 0).says("info", [leading("* configuration in 3.0 seconds")]);
    let end = on(Cluster::new().pods([leader, new_pod()]), "test.web --force -j -t 12");
    let expected = concat!(
        r#"{"test.web": {"ok": false, "on": ["test.web #0"], "why": "1 or more pod failed to start (test.web #1: not asked, "#,
        r#"since its leader has not configured it within 12 s; `grep test.web` tells why)"}}"#,
        "\n"
    );
    assert_eq!((end.out.as_str(), end.is_ok, end.elapsed), (expected, false, Duration::from_secs(12)));
    assert!(!end.requests.contains(&"control/on test.web #1".to_owned()), "{:?}", end.requests);
    assert_eq!(end.err.lines().count(), 2, "{}", end.err);
}

#[test]
fn a_pod_that_says_that_it_was_switched_off_is_not_kept_waiting() {
    let leader = Pod::new("test.web", 0).says("info", [leading("* configuration in 3.0 seconds")]);
    let off = new_pod().with("detail", "turned off by request; `on` starts it");
    let end = on(Cluster::new().pods([leader, off]), "test.web -i 1");
    assert_eq!((end.out.as_str(), end.elapsed), ("100% success (1 pods on)\n", Duration::ZERO));
}

#[test]
fn a_pod_that_its_leader_starts_meanwhile_is_on() {
    let leader = Pod::new("test.web", 0).says("info", [leading("* configuring 2 pods")]);
    let info = |process: &str| Says::Http(200, json!({"process": process, "state": "follower"}));
    let pod = Pod::new("test.web", 1).says("info", [info("stopped"), info("stopped"), info("running")]);
    let end = on(Cluster::new().pods([leader, pod]), "test.web -i 1");
    assert_eq!((end.out.as_str(), end.elapsed), ("100% success (1 pods on)\n", Duration::from_secs(1)));
}

#[test]
fn a_cluster_without_a_leader_is_not_waited_for_long() {
    let end = on(Cluster::new().pod(new_pod()), "test.web -i 1");
    assert_eq!((end.out.as_str(), end.elapsed), ("100% success (1 pods on)\n", Duration::from_secs(10)));
}

#[test]
fn what_a_busy_leader_takes_is_part_of_the_time() {
    let silent = |seconds: usize, line: &str| {
        let pending = vec![leading("* configuration in 3.0 seconds"); seconds];
        let leader = Pod::new("test.web", 0).says("info", pending.into_iter().chain([leading("")]));
        on(Cluster::new().pods([leader, new_pod().says("control/on", [Says::Nothing])]), line)
    };
    let end = silent(9, "test.web -i 1 -t 30");
    assert!(end.out.contains("(test.web #1: no answer within 22 s)"), "{}", end.out);
    assert_eq!(end.elapsed, Duration::from_secs(8 + 4 + 22));
    let end = silent(11, "test.web -i 1 -t 12");
    assert_eq!(end.elapsed, Duration::from_secs(12 + 5), "to start takes a moment");
}

#[test]
fn a_silent_pod_delays_nobody_and_has_no_more_than_its_time() {
    let end = on(Cluster::new().pods([Pod::new("test.web", 0).silent(), Pod::new("test.web", 1)]), "test.web --force -j -t 7");
    assert!(end.out.contains("(test.web #0: no answer within 7 s)"), "{}", end.out);
    assert_eq!(end.requests, ["info test.web #0", "info test.web #1", "control/on test.web #1", "control/on test.web #0"]);
    assert_eq!(end.elapsed, Duration::from_secs(7));
}
