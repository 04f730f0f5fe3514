use ocho_sdk::json;
use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn web() -> Cluster {
    Cluster::new().pods([Pod::new("test.web", 0), Pod::new("test.web", 1), Pod::new("test.db", 0)])
}

fn kill(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn all_pods_of_an_app_end_then_the_app_is_deleted() {
    let end = kill(web(), "test.web --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (-2 pods)\n", true));
    assert_eq!(
        end.requests,
        [
            "control/kill test.web #0",
            "control/kill test.web #1",
            "control/kill test.web #0",
            "control/kill test.web #1",
            "GET /v2/apps/app.test.web/tasks",
            "DELETE /v2/apps/app.test.web"
        ]
    );
}

#[test]
fn some_pods_of_an_app_leave_the_app() {
    let end = kill(web(), "test.web -i 1 -j");
    assert_eq!(end.out, "{\"test.web\": {\"ok\": true, \"down\": [1]}}\n");
    assert_eq!(end.requests.last().unwrap(), r#"POST /v2/tasks/delete?scale=true {"ids":["task.test.web.1"]}"#);
    assert_eq!(end.pods.len(), 2);
}

#[test]
fn it_wants_force_or_numbers() {
    let end = kill(web(), "test.web");
    assert_eq!((end.out.as_str(), end.is_ok), ("shutting down <- you must specify --force if -i is not set\n", false));
    assert!(end.requests.is_empty());
}

#[test]
fn q06_a_pattern_without_pods_is_a_failure() {
    let end = kill(web(), "nobody --force");
    let expected = "0% success (-0 pods)\nnobody : failed to kill -> the cluster is either invalid or empty\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
}

#[test]
fn q12_patterns_run_at_the_same_time() {
    let slow = |cluster: &str| {
        let after = Says::After(Duration::from_secs(4), Box::new(Says::Http(200, json!({}))));
        Pod::new(cluster, 0).says("control/kill", [after, Says::Http(410, json!({}))])
    };
    let end = kill(Cluster::new().pods([slow("t.a"), slow("t.b"), slow("t.c")]), "t.a t.b t.c --force");
    assert_eq!(end.out, "100% success (-3 pods)\n");
    assert!(end.elapsed < Duration::from_secs(5), "{:?}", end.elapsed);
}

#[test]
fn q21_the_reason_is_told_for_each_item() {
    let end = kill(web().marathon_refuses("DELETE", 409, "App is locked"), "test.web test.db nobody --force -j");
    let expected = concat!(
        r#"{"test.web": {"ok": false, "down": [0, 1], "why": "application deletion failed (HTTP 409): App is locked"}, "#,
        r#""test.db": {"ok": false, "down": [0], "why": "application deletion failed (HTTP 409): App is locked"}, "#,
        r#""nobody": {"ok": false, "down": [], "why": "the cluster is either invalid or empty"}}"#,
        "\n"
    );
    assert_eq!(end.out, expected);
    let end = kill(web().marathon_refuses("GET /v2/apps", 404, "no such app"), "test.web --force");
    assert!(end.out.ends_with("\ntest.web : failed to kill -> task lookup failed (HTTP 404): no such app\n"), "{}", end.out);
}

#[test]
fn q23_a_pattern_given_twice_runs_once() {
    let end = kill(web(), "test.db test.db --force");
    assert_eq!(end.out, "100% success (-1 pods)\n");
}

#[test]
fn q07_a_silent_pod_is_named_and_its_task_stays() {
    let end = kill(web().pod(Pod::new("test.web", 2).silent()), "test.web --force -j -t 12");
    let expected = concat!(
        r#"{"test.web": {"ok": false, "down": [0, 1], "silent": [2], "#,
        r#""why": "1 or more pod failed to end (test.web #2: no answer within 10 s)"}}"#,
        "\n"
    );
    assert_eq!(end.out, expected);
    assert_eq!(end.requests.last().unwrap(), r#"POST /v2/tasks/delete?scale=true {"ids":["task.test.web.0","task.test.web.1"]}"#);
    assert!(end.elapsed <= Duration::from_secs(13), "{:?}", end.elapsed);
}

#[test]
fn q45_a_pod_that_dies_without_an_answer_is_seen_to_be_dead() {
    let pod = Pod::new("a.b", 3).says("control/kill", [Says::Nothing]).with("process", "dead");
    let end = kill(Cluster::new().pod(pod), "a.b --force");
    assert_eq!(end.out, "100% success (-1 pods)\n");
    assert!(end.elapsed < Duration::from_secs(15), "{:?}", end.elapsed);
}

#[test]
fn q44_there_is_a_pause_between_two_requests() {
    let busy = Pod::new("a.b", 3).says("control/kill", [Says::Http(200, json!({}))]);
    let end = kill(Cluster::new().pod(busy), "a.b --force -t 10");
    assert!(!end.is_ok);
    assert!((30..=45).contains(&end.requests.len()), "{}", end.requests.len());
    assert_eq!(end.elapsed, Duration::from_secs(10));
}

#[test]
fn a_pod_that_leaves_the_registry_is_down() {
    let leaving = Pod::new("a.b", 3).says("control/kill", [Says::Http(200, json!({})), Says::Left]);
    assert_eq!(kill(Cluster::new().pod(leaving), "a.b --force -j").out, "{\"a.b\": {\"ok\": true, \"down\": [3]}}\n");
}

#[test]
fn a_pod_outside_of_marathon_needs_no_marathon() {
    let end = kill(Cluster::new().pod(Pod::new("a.b", 3).outside_of_marathon()), "a.b --force");
    assert_eq!(end.out, "100% success (-1 pods)\n");
    assert!(end.requests.iter().all(|request| request.starts_with("control/kill")), "{:?}", end.requests);
}

#[test]
fn a_pattern_passes_the_host_itself_by() {
    let portal = || Pod::new("marathon.portal", 0).host_itself();
    let end = kill(web().pod(portal()), "* --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (-3 pods)\n", true));
    let end = kill(web().pod(portal()), "marathon.portal --force");
    let expected = "0% success (-0 pods)\nmarathon.portal : failed to kill -> marathon.portal is the host itself\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
    let end = kill(web().pod(portal()), "marathon.* --force");
    assert!(end.out.ends_with("failed to kill -> the cluster is either invalid or empty\n"), "{}", end.out);
}

#[test]
fn a_pattern_passes_another_host_by() {
    let refusal = json!({"code": "host-pod", "error": "this pod is the host itself"});
    let portal = Pod::new("marathon.portal", 3).says("control/kill", [Says::Http(406, refusal)]);
    let end = kill(web().pod(portal), "* --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (-3 pods)\n", true));
}
