use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn web(pods: u32) -> Cluster {
    Cluster::new()
        .pods((0..pods).map(|seq| Pod::new("test.web", seq)))
        .boots(Duration::from_secs(4), |cluster, seq| Some(Pod::new(cluster, seq)))
}

fn scale(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn up() {
    let end = scale(web(2), "test.web -f @5");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (+3 pods)\n", true));
    assert_eq!(end.requests[0], r#"PUT /v2/apps/app.test.web {"instances": 5}"#);
    assert_eq!((end.pods.len(), end.elapsed), (5, Duration::from_secs(6)));
}

#[test]
fn down_from_the_newest() {
    let end = scale(web(3), "test.web -f @1 -j");
    assert_eq!((end.out.as_str(), end.is_ok), ("{\"test.web\": {\"ok\": true, \"delta\": -2}}\n", true));
    assert_eq!(
        end.requests,
        [
            "GET /v2/apps/app.test.web",
            "control/kill test.web #1",
            "control/kill test.web #2",
            "control/kill test.web #1",
            "control/kill test.web #2",
            r#"POST /v2/tasks/delete?scale=true {"ids":["task.test.web.1","task.test.web.2"]}"#,
        ]
    );
}

#[test]
fn down_from_the_oldest() {
    let end = scale(web(4), "test.web -f x0.5 --fifo");
    assert_eq!(end.out, "100% success (-2 pods)\n");
    assert_eq!(end.pods.iter().map(Pod::key).collect::<Vec<_>>(), ["test.web #2", "test.web #3"]);
}

#[test]
fn nothing_to_do() {
    let end = scale(web(3), "test.web -f @3");
    assert_eq!((end.out.as_str(), end.is_ok, end.requests.len()), ("100% success (+0 pods)\n", true, 0));
}

#[test]
fn q16_one_more_by_default_and_signs() {
    assert_eq!(scale(web(2), "test.web").out, "100% success (+1 pods)\n");
    assert_eq!(scale(web(2), "test.web -f +2").out, "100% success (+2 pods)\n");
    assert_eq!(scale(web(3), "test.web -f -2").out, "100% success (-2 pods)\n");
    let end = scale(web(3), "test.web -f 2");
    assert_eq!((end.out.as_str(), end.is_ok), ("shutting down <- invalid operator\n", false));
}

#[test]
fn q09_scale_group_touches_only_its_app() {
    let db = [Pod::new("test.db", 1), Pod::new("test.db", 2)];
    let end = scale(web(2).pods(db.clone()), "test.* -f @1 -g 0");
    assert_eq!(end.out, "100% success (-1 pods)\n");
    assert_eq!(end.requests[1..3], ["control/kill test.web #1", "control/kill test.web #1"]);
    assert_eq!(end.pods.len(), 3);
    let end = scale(web(2).pods(db), "test.* -f @1");
    let expected = "0% success (+0 pods)\n\
                    test.* : failed to scale -> test.* maps to more than one application, you must specify -g\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
}

#[test]
fn q11_pods_that_never_come_are_a_failure() {
    let cluster = || web(1).boots(Duration::ZERO, |_, _| None);
    let end = scale(cluster(), "test.web -f @3 -t 10 -j");
    let expected = r#"{"test.web": {"ok": false, "delta": 2, "why": "1/3 pods are up after 10 s"}}"#;
    assert_eq!((end.out.trim_end(), end.is_ok), (expected, false));
    assert!(end.elapsed <= Duration::from_secs(11), "{:?}", end.elapsed);
}

#[test]
fn q11_other_applications_of_the_pattern_do_not_matter() {
    let end = scale(web(1).pod(Pod::new("test.db", 7)), "test.* -g 7 -f @2");
    assert_eq!((end.out.as_str(), end.elapsed), ("100% success (+1 pods)\n", Duration::from_secs(6)));
}

#[test]
fn q17_one_failure_does_not_hide_the_others() {
    let end = scale(web(2), "nobody test.web -f @3 -j");
    let expected = concat!(
        r#"{"nobody": {"ok": false, "delta": 0, "why": "the cluster is either invalid or empty"}, "#,
        r#""test.web": {"ok": true, "delta": 1}}"#,
    );
    assert_eq!((end.out.trim_end(), end.is_ok), (expected, false));
}

#[test]
fn q19_a_locked_application_loses_no_pod() {
    let cluster = web(3).app("app.test.web", json!({"instances": 3, "deployments": [{"id": "d1"}]}));
    let end = scale(cluster, "test.web -f @1");
    let reason = "delete failed (HTTP 409): deployments in progress hold the app: d1";
    assert_eq!(end.out, format!("0% success (+0 pods)\ntest.web : failed to scale -> {reason}\n"));
    assert!(end.pods.iter().all(|pod| !pod.is_dead()));
}

#[test]
fn q19_tasks_that_marathon_does_not_remove_are_replaced() {
    let end = scale(web(3).marathon_refuses("POST /v2/tasks/delete?scale=true", 409, "App is locked"), "test.web -f @2 -j");
    let expected = r#"{"test.web": {"ok": false, "delta": 0, "why": "delete failed (HTTP 409): App is locked; the pods are replaced by new ones"}}"#;
    assert_eq!((end.out.trim_end(), end.is_ok), (expected, false));
    assert_eq!(end.requests.last().unwrap(), r#"POST /v2/tasks/delete?scale=false {"ids":["task.test.web.2"]}"#);
}

#[test]
fn q07_a_silent_pod_is_named() {
    let cluster = web(2).pod(Pod::new("test.web", 2).silent());
    let end = scale(cluster, "test.web -f @1 -t 6 -j");
    let expected = concat!(
        r#"{"test.web": {"ok": false, "delta": -1, "silent": [2], "#,
        r#""why": "1 or more pod failed to end (test.web #2: no answer within 6 s)"}}"#
    );
    assert_eq!(end.out.trim_end(), expected);
    assert_eq!(end.requests.last().unwrap(), r#"POST /v2/tasks/delete?scale=true {"ids":["task.test.web.1"]}"#);
}

#[test]
fn q43_a_pod_that_answers_badly_is_not_up() {
    let cluster =
        web(1).boots(Duration::ZERO, |cluster, seq| Some(Pod::new(cluster, seq).says("info", [Says::Http(500, json!({}))])));
    let end = scale(cluster, "test.web -f @2 -t 5");
    assert!(end.out.contains("1/2 pods are up after 5 s: test.web #1: answered HTTP 500"), "{}", end.out);
}
