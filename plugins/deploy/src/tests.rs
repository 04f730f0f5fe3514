use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

const REDIS: &str = "cluster: redis\nimage: paugamo/redis:1.2\n";

/// A Marathon whose pods come up after two seconds.
fn cluster() -> Cluster {
    Cluster::new().file("redis.yml", REDIS).boots(Duration::from_secs(2), |cluster, seq| Some(Pod::new(cluster, seq)))
}

fn booting(pod: impl Fn(Pod) -> Option<Pod> + 'static) -> Cluster {
    Cluster::new().file("redis.yml", REDIS).boots(Duration::from_secs(2), move |cluster, seq| pod(Pod::new(cluster, seq)))
}

fn deploy(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn pods_come_up() {
    let end = deploy(cluster(), "redis.yml -p 2 -n test");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (+2 pods)\n", true));
    assert_eq!(end.err, "redis.yml : 0/2 pods are up\n");
    assert_eq!(end.elapsed, Duration::from_secs(3));
    let (id, app) = end.apps.first_key_value().unwrap();
    assert_eq!((id.as_str(), &app["instances"]), ("ochopod.test.redis-2026-11-20-19-12-59-0001", &json!(2)));
    assert_eq!(deploy(cluster(), "redis.yml -p 2 -j").out, "{\"redis.yml\": {\"ok\": true, \"up\": [0, 1]}}\n");
    assert_eq!(deploy(cluster(), "redis.yml -p 0 -j").out, "{\"redis.yml\": {\"ok\": true, \"up\": [0]}}\n");
}

#[test]
fn q02_pods_that_came_up_stay() {
    let half = || booting(|pod| if pod.key().ends_with('0') { Some(pod) } else { None });
    let end = deploy(half(), "redis.yml -p 2 -t 10 -j");
    assert_eq!(end.out, "{\"redis.yml\": {\"ok\": false, \"up\": [0], \"why\": \"1/2 pods came up within 10 s\"}}\n");
    assert_eq!((end.apps.len(), end.pods.len()), (1, 1));

    let end = deploy(half(), "redis.yml -p 2 -t 10 --rollback");
    let expected = "0% success (+0 pods)\nredis.yml : failed to deploy -> 1/2 pods came up within 10 s\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
    assert!(end.apps.is_empty());
}

#[test]
fn q02_an_app_of_which_nothing_came_up_is_deleted() {
    let end = deploy(booting(|_| None), "redis.yml -t 4");
    assert_eq!(end.out, "0% success (+0 pods)\nredis.yml : failed to deploy -> 0/1 pods came up within 5 s\n");
    assert!(
        end.requests.last().is_some_and(|last| last.starts_with("DELETE /v2/apps/ochopod.marathon.redis-")),
        "{:?}",
        end.requests
    );
    assert!(end.elapsed <= Duration::from_secs(7), "{:?}", end.elapsed);
}

#[test]
fn an_app_whose_pods_came_up_stays_whatever_the_last_look_shows() {
    let half = || booting(|pod| if pod.key().ends_with('0') { Some(pod) } else { None });
    let end = deploy(half().registry_fails_after(Duration::from_secs(5), "z:2181"), "redis.yml -p 2 -t 10");
    let why = "0/2 pods are up after 10 s, 1 were before: no answer from the registry: z:2181; the application stays";
    assert_eq!(end.out, format!("0% success (+0 pods)\nredis.yml : failed to deploy -> {why}\n"));
    assert_eq!((end.apps.len(), end.pods.len(), end.is_ok), (1, 1, false));

    let slow = |pod: Pod| pod.says("info", [Says::Http(200, json!({"process": "running"})), Says::Nothing]);
    let end = deploy(booting(move |pod| if pod.key().ends_with('0') { Some(slow(pod)) } else { None }), "redis.yml -p 2 -t 10");
    let why = "0/2 pods are up after 10 s, 1 were before: marathon.redis #0: no answer within ";
    assert!(end.out.contains(why) && end.out.ends_with("; the application stays\n"), "{}", end.out);
    assert_eq!((end.apps.len(), end.pods.len()), (1, 1));
}

#[test]
fn an_app_stays_where_the_registry_cannot_tell_whether_its_pods_came_up() {
    let end = deploy(cluster().registry_fails("z:2181"), "redis.yml -t 5");
    assert!(end.out.contains("0/1 pods came up within 5 s: no answer from the registry: z:2181; the application stays"));
    assert_eq!(end.apps.len(), 1);
    let end = deploy(cluster().registry_fails("z:2181"), "redis.yml -t 5 --rollback");
    assert!(end.out.ends_with("0/1 pods came up within 5 s: no answer from the registry: z:2181\n"), "{}", end.out);
    assert!(end.apps.is_empty(), "somebody who rolls back wants nothing that is not known to be up");
}

#[test]
fn q05_a_pod_that_died_at_boot_is_a_failure() {
    let end = deploy(booting(|pod| Some(pod.with("process", "dead"))), "redis.yml -t 6");
    assert!(end.out.contains("0/1 pods came up within 6 s: marathon.redis #0 is dead"), "{}", end.out);
    assert!(!end.is_ok);
}

#[test]
fn strict_waits_until_pods_run() {
    let stopped = || booting(|pod| Some(pod.with("process", "stopped")));
    assert!(deploy(stopped(), "redis.yml").is_ok);
    let end = deploy(stopped(), "redis.yml --strict -t 6");
    assert!(end.out.contains("0/1 pods came up within 6 s: marathon.redis #0 is stopped"), "{}", end.out);
}

#[test]
fn q43_pods_of_other_apps_do_not_matter() {
    let old = Pod::new("marathon.redis", 0).of("ochopod.marathon.redis-old").says("info", [Says::Http(500, json!({}))]);
    let end = deploy(cluster().pod(old), "redis.yml -j");
    assert_eq!(end.out, "{\"redis.yml\": {\"ok\": true, \"up\": [1]}}\n");
}

#[test]
fn q46_two_deployments_in_one_second_have_two_names() {
    let end = deploy(cluster().file("b.yml", REDIS), "redis.yml b.yml -j");
    assert_eq!(end.out, "{\"redis.yml\": {\"ok\": true, \"up\": [0]}, \"b.yml\": {\"ok\": true, \"up\": [1]}}\n");
    assert_eq!(end.apps.len(), 2);
}

#[test]
fn q23_a_file_given_twice_is_deployed_once() {
    let end = deploy(cluster(), "redis.yml redis.yml");
    assert_eq!((end.out.as_str(), end.apps.len()), ("100% success (+1 pods)\n", 1));
}

#[test]
fn q21_the_reason_is_told_for_each_file() {
    let end = deploy(cluster().file("bad.yml", "cluster: [\n"), "bad.yml none.yml redis.yml");
    let expected = [
        "33% success (+1 pods)",
        "bad.yml : failed to deploy -> invalid deploy.yml (line 2, column 1): while parsing a node, did not find expected node content",
        "none.yml : failed to deploy -> cannot read `none.yml`: no file of this name came with the command",
        "",
    ];
    assert_eq!(end.out, expected.join("\n"));
    let end = deploy(cluster().marathon_refuses("POST", 409, "An app with id already exists"), "redis.yml -j");
    let expected =
        r#"{"redis.yml": {"ok": false, "up": [], "why": "submission failed (HTTP 409): An app with id already exists"}}"#;
    assert_eq!(end.out.trim_end(), expected);
}

#[test]
fn q13_marathon_that_does_not_answer_is_told() {
    let end = deploy(cluster().marathon_refuses("POST", 0, "127.0.0.1:8080: connection refused"), "redis.yml");
    let reason = "submission failed (no answer from Marathon): 127.0.0.1:8080: connection refused";
    assert_eq!(end.out, format!("0% success (+0 pods)\nredis.yml : failed to deploy -> {reason}\n"));
}

#[test]
fn overrides_fill_what_a_definition_leaves_open() {
    let open = "cluster: redis\nimage: i\nsettings:\n  a: ~\n  b: {c: [1], d: ~}\n";
    let cluster = || {
        cluster()
            .file("open.yml", open)
            .file("one.yml", "test.redis:\n  a: 2\n  b: {c: [3], e: hey}\nother:\n")
            .file("two.yml", "test.redis:\n  b: {c: [4], d: 5}\n")
    };
    let end = deploy(cluster(), "open.yml -n test");
    assert_eq!(
        end.out,
        "0% success (+0 pods)\nopen.yml : failed to deploy -> 2 setting(s) missing ->\n\t - pod.a\n\t - pod.b.d\n"
    );
    let end = deploy(cluster(), "open.yml -n test -o one.yml two.yml");
    assert_eq!(end.out, "100% success (+1 pods)\n");
    let app = end.apps.first_key_value().unwrap().1;
    assert_eq!(app["env"]["pod"], r#"{"a": 2, "b": {"c": [1, 3, 4], "d": 5, "e": "hey"}}"#);
}

#[test]
fn q28_override_files_merge_deeply_in_their_order() {
    let cluster = cluster().file("one.yml", "marathon.redis: {a: {x: 1, y: 1}}").file("two.yml", "marathon.redis: {a: {y: 2}}");
    let end = deploy(cluster, "redis.yml -o one.yml two.yml");
    assert_eq!(end.apps.first_key_value().unwrap().1["env"]["pod"], r#"{"a": {"x": 1, "y": 2}}"#);
}

#[test]
fn override_files_that_are_missing_or_wrong() {
    let end = deploy(cluster(), "redis.yml -o x.yml");
    assert!(end.is_ok && end.err.starts_with("unable to load ['x.yml']: cannot read `x.yml`"), "{}", end.err);
    let end = deploy(cluster().file("bad.yml", "a: 1\n]"), "redis.yml -o bad.yml");
    assert!(end.out.starts_with("shutting down <- ['bad.yml'] is invalid (line 2, column 1): "), "{}", end.out);
    let end = deploy(cluster().file("bad.yml", "[1]"), "redis.yml -o bad.yml");
    assert_eq!(end.out, "shutting down <- ['bad.yml'] is invalid (line 1, column 1): it must map clusters to settings\n");
    assert!(deploy(cluster().file("empty.yml", ""), "redis.yml -o empty.yml").is_ok);
}

#[test]
fn a_dry_run_shows_the_app_and_submits_nothing() {
    let end = deploy(cluster(), "redis.yml --dry-run -s blue -r 3");
    let app: Value = ocho_sdk::serde_json::from_str(&end.out).unwrap();
    assert_eq!(app["id"], "ochopod.marathon.redis-blue-2026-11-20-19-12-59-0001");
    assert_eq!(app["container"]["docker"]["image"], "paugamo/redis:3");
    assert!(end.is_ok && end.requests.is_empty());
    let end = deploy(cluster(), "redis.yml none.yml --dry-run -j");
    assert!(end.out.starts_with(r#"{"redis.yml": {"ok": true, "app": {"id": "ochopod.marathon.redis-"#), "{}", end.out);
    assert!(
        !end.is_ok
            && end.out.contains(
                r#""none.yml": {"ok": false, "why": "cannot read `none.yml`: no file of this name came with the command"}"#
            ),
        "{}",
        end.out
    );
}

#[test]
fn the_reason_of_marathon_is_told() {
    let failing = Cluster::new()
        .file("r.yml", "cluster: r\nimage: i\nverbatim: {lastTaskFailure: {message: no such image}}\n")
        .boots(Duration::from_secs(1), |_, _| None);
    let end = deploy(failing, "r.yml -t 5");
    assert!(end.out.contains("0/1 pods came up within 5 s: the last task failed: no such image"), "{}", end.out);
}

#[test]
fn the_layout_of_help() {
    let help = usage().help();
    let expected = "usage: deploy [-h] [-j] [-n NAMESPACE] [-o OVERRIDES [OVERRIDES ...]]\n              \
                    [-p PODS] [-r RELEASE] [-s SUFFIX] [-t TIMEOUT] [--strict]\n              \
                    [--dry-run] [--rollback] [-d]\n              containers [containers ...]\n";
    assert!(help.starts_with(expected), "{help}");
}
