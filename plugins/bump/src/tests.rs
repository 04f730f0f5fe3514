use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn app(image: &str) -> Value {
    json!({"container": {"type": "DOCKER", "docker": {"image": image, "network": "BRIDGE"}, "volumes": []}})
}

/// Three old pods; what Marathon starts comes up after a while.
fn web(image: &str) -> Cluster {
    Cluster::new()
        .app("app.test.web", app(image))
        .pods((4..7).map(|seq| Pod::new("test.web", seq)))
        .boots(Duration::from_secs(4), |cluster, seq| Some(Pod::new(cluster, seq)))
}

fn bump(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn q19_marathon_is_told_before_a_pod_ends() {
    let end = bump(web("foo:1"), "test.web -v 2 -j");
    assert_eq!((end.out.as_str(), end.is_ok), ("{\"test.web\": {\"ok\": true, \"up\": [7, 8, 9]}}\n", true));
    let put = r#"PUT /v2/apps/app.test.web {"container": {"type": "DOCKER", "docker": {"image": "foo:2", "network": "BRIDGE"}, "volumes": []}}"#;
    assert_eq!(end.requests[..3], ["GET /v2/apps/app.test.web", put, "control/kill test.web #4"]);
    assert!(end.requests.iter().any(|request| request.starts_with("POST /v2/tasks/delete?scale=false ")), "{:?}", end.requests);
    assert_eq!(bump(web("foo:1"), "test.web -v 2").out, "100% success (3 pods)\n");
}

#[test]
fn q19_a_refusal_costs_no_pod() {
    let end = bump(web("foo:1").marathon_refuses("PUT", 409, "App is locked"), "test.web -v 2");
    assert_eq!(end.out, "0% success (0 pods)\ntest.web : failed to bump -> update failed (HTTP 409): App is locked\n");
    assert!(!end.is_ok && end.pods.iter().all(|pod| !pod.is_dead()));
}

#[test]
fn q19_the_same_tag_restarts() {
    let end = bump(web("foo:latest"), "test.web");
    assert_eq!(end.out, "100% success (3 pods)\n");
    assert_eq!(end.requests[1], "POST /v2/apps/app.test.web/restart");
}

#[test]
fn what_it_waits_for_is_told() {
    let slow = |seq| {
        let after = |seconds| Says::After(Duration::from_secs(seconds), Box::new(Says::Http(200, json!({}))));
        Pod::new("test.web", seq).says("control/kill", [after(if seq == 4 { 1 } else { 4 }), Says::Http(410, json!({}))])
    };
    let cluster = Cluster::new()
        .app("app.test.web", app("foo:1"))
        .pods((4..7).map(slow))
        .boots(Duration::from_secs(6), |cluster, seq| Some(Pod::new(cluster, seq)));
    let end = bump(cluster, "test.web -v 2");
    assert_eq!(end.out, "100% success (3 pods)\n");
    assert_eq!(end.err, "test.web : 0/3 pods have ended\ntest.web : 1/3 pods have ended\ntest.web : 0/3 pods are up\n");
    let quick = bump(web("foo:1"), "test.web -v 2").err;
    assert_eq!(quick, "test.web : 0/3 pods are up\n", "what ends at once is not worth a word");
}

#[test]
fn pods_that_marathon_does_not_run_are_left_alone() {
    let end = bump(web("foo:1").pod(Pod::new("test.web", 3).outside_of_marathon()), "test.web -v 2 -j");
    assert_eq!((end.out.as_str(), end.is_ok), ("{\"test.web\": {\"ok\": true, \"up\": [7, 8, 9]}}\n", true));
    assert!(!end.requests.contains(&"control/kill test.web #3".to_owned()), "{:?}", end.requests);
    assert!(end.pods.iter().any(|pod| pod.key() == "test.web #3" && !pod.is_dead()));
}

#[test]
fn q10_only_the_tag_changes() {
    let end = bump(web("reg.io:5000/foo:1"), "test.web -v 2");
    assert_eq!(end.apps["app.test.web"]["container"]["docker"]["image"], "reg.io:5000/foo:2");
}

#[test]
fn rolling_leaves_the_ending_to_marathon() {
    let end = bump(web("foo:1"), "test.web -v 2 --rolling");
    assert_eq!(end.out, "100% success (3 pods)\n");
    assert!(end.requests.iter().all(|request| !request.starts_with("control/")), "{:?}", end.requests);
}

#[test]
fn pods_that_do_not_come_up_are_told() {
    let end = bump(web("foo:1").boots(Duration::ZERO, |_, _| None), "test.web -v 2 -t 8");
    assert_eq!(end.out, "0% success (0 pods)\ntest.web : failed to bump -> 1+ pods still not up (0/3)\n");
    let stopped = |cluster: &str, seq| Some(Pod::new(cluster, seq).with("process", "stopped"));
    assert!(bump(web("foo:1").boots(Duration::ZERO, stopped), "test.web").is_ok);
    let end = bump(web("foo:1").boots(Duration::ZERO, stopped), "test.web --strict -t 8");
    assert!(end.out.contains("1+ pods still not up (0/3): test.web #7 is stopped; test.web #8 is stopped"), "{}", end.out);
}

#[test]
fn q47_the_right_words_for_what_is_wrong() {
    let message = |cluster, line| bump(cluster, line).out.lines().last().unwrap_or_default().to_owned();
    assert_eq!(message(web("foo"), "nobody"), "nobody : failed to bump -> the cluster is either invalid or empty");
    assert_eq!(
        message(web("foo").pod(Pod::new("test.db", 0)), "test.*"),
        "test.* : failed to bump -> test.* is mapping to 2+ marathon applications"
    );
    assert_eq!(
        message(web("foo").marathon_refuses("GET", 404, "no such app"), "test.web"),
        "test.web : failed to bump -> application lookup failed (HTTP 404): no such app"
    );
    let command = Cluster::new().app("app.a.b", json!({"cmd": "sleep 1"})).pod(Pod::new("a.b", 0));
    assert_eq!(message(command, "a.b"), "a.b : failed to bump -> the application has no docker image");
    let alone = Cluster::new().pod(Pod::new("a.b", 0).outside_of_marathon());
    assert_eq!(message(alone, "a.b"), "a.b : failed to bump -> the pods are not run by marathon");
}

#[test]
fn q07_an_old_pod_that_is_silent_is_named() {
    let end = bump(web("foo:1").pod(Pod::new("test.web", 3).silent()), "test.web -v 2 -t 20 -j");
    assert!(
        end.out.contains(r#""silent": [3], "why": "1 or more pod failed to end (test.web #3: no answer within "#),
        "{}",
        end.out
    );
    assert!(!end.is_ok);
}
