//! `kill`, `off`, `on`, `reset`, `scale`, `bump`.

use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::marathon::Answer;
use ocho_tests::pods::Behaviour;
use ocho_tests::{PodScript, wait};
use serde_json::{Value, json};

use crate::world::{World, accepted};

const APP: &str = "ochopod.test.web-1";

fn web(task: &str) -> PodScript {
    PodScript::running().of(APP, task)
}

fn app(image: &str) -> Value {
    json!({"id": APP, "instances": 2, "deployments": [], "container": {"type": "DOCKER", "docker": {"image": image, "network": "BRIDGE"}}})
}

/// Two pods of one app.
fn two_pods() -> World {
    let mut world = World::with_app(app("foo:1"), &["t0", "t1"]);
    world.pods.add("test.web", 0, web("t0"));
    world.pods.add("test.web", 1, web("t1"));
    world
}

#[test]
fn kill_asks_until_pods_are_gone_then_removes_the_app() {
    let world = two_pods();
    assert_eq!(world.host.shell("kill test.web --force").success(), "100% success (-2 pods)");
    assert_eq!(world.pods.paths("test.web", 0), ["/control/kill/10", "/control/kill/10"]);
    assert_eq!(world.asked(), [format!("GET /v2/apps/{APP}/tasks"), format!("DELETE /v2/apps/{APP}")]);
}

#[test]
fn kill_of_some_removes_their_tasks() {
    let world = two_pods();
    assert_eq!(world.host.shell("kill test.web -i 1 -j").json(), json!({"test.web": {"ok": true, "down": [1]}}));
    assert_eq!(world.asked(), [format!("GET /v2/apps/{APP}/tasks"), "POST /v2/tasks/delete?scale=true".to_owned()]);
    assert_eq!(world.body("POST /v2/tasks"), json!({"ids": ["t1"]}));
    assert!(world.pods.paths("test.web", 0).is_empty());
}

#[test]
fn kill_tells_what_marathon_says() {
    let mut world = World::new(|request| match request.method.as_str() {
        "GET" => Answer::Json(404, json!({"message": "App '/x' does not exist"})),
        _ => accepted(),
    });
    world.pods.add("test.web", 0, web("t0"));
    let reply = world.host.shell("kill test.web --force -j");
    assert_eq!((reply.ok, &reply.json()["test.web"]["down"]), (false, &json!([0])));
    let why = reply.json()["test.web"]["why"].as_str().unwrap().to_owned();
    assert!(why.starts_with("task lookup failed (HTTP 404): "), "{why}");
}

#[test]
fn a_silent_pod_is_named_and_delays_by_no_more_than_the_time() {
    let mut world = two_pods();
    world.pods.add("test.web", 2, web("t2").silent());
    let started = Instant::now();
    let reply = world.host.shell("kill test.web --force -j -t 10");
    // Not the minute that it would have without `-t`, however busy the machine is.
    let elapsed = started.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(60)).contains(&elapsed), "{elapsed:?}");
    let item = &reply.json()["test.web"];
    assert_eq!((&item["ok"], &item["down"], &item["silent"]), (&json!(false), &json!([0, 1]), &json!([2])));
}

/// What a pod was told to do; how it is, it is asked as well.
fn orders(world: &World, seq: u32) -> Vec<String> {
    world.pods.paths("test.web", seq).into_iter().filter(|path| path.starts_with("/control/")).collect()
}

#[test]
fn off_and_on() {
    let mut world = two_pods();
    let off = world.host.shell("off test.web --force -j").json();
    assert_eq!(off, json!({"test.web": {"ok": true, "off": ["test.web #0", "test.web #1"]}}));
    assert_eq!(world.host.shell("on test.web -i 0").success(), "100% success (1 pods on)");
    assert_eq!(orders(&world, 0), ["/control/off/60", "/control/on/60"]);
    assert_eq!(world.host.shell("grep test.web -j").json()["test.web #1"]["process"], "stopped");
    world.pods.add("test.web", 2, web("t2").answers("/control/off", Behaviour::Json(408, json!({}))));
    let said = world.host.shell("off test.web --force -t 7").failure();
    assert_eq!(
        said,
        "0% success (2 pods off)\n\
         test.web : failed to switch off -> 1 or more pod failed to stop (test.web #2: answered HTTP 408)"
    );
    for tool in ["off", "on", "reset", "kill"] {
        let said = world.host.shell(&format!("{tool} test.web")).failure();
        assert_eq!(said, "shutting down <- you must specify --force if -i is not set", "{tool}");
    }
}

#[test]
fn reset_touches_what_is_meant_and_no_more() {
    let mut world = two_pods();
    assert_eq!(world.host.shell("reset test.web --force -j").json(), json!({"test.web": {"ok": true, "reset": [0, 1]}}));
    assert_eq!(orders(&world, 1), ["/control/off/60", "/control/on/60"]);
    world.pods.add("test.web", 2, web("t2").answers("/control/off", Behaviour::Json(408, json!({}))));
    let said = world.host.shell("reset test.web -i 2").failure();
    assert!(said.starts_with("0% success (0 pods reset)\n"), "{said}");
    assert_eq!(orders(&world, 2), ["/control/off/60"]);
    assert_eq!(orders(&world, 1).len(), 2);
}

#[test]
fn the_host_itself_is_passed_by_or_refused() {
    let world = two_pods();
    assert_eq!(world.host.shell("off * --force").success(), "100% success (2 pods off)");
    for tool in ["off", "kill", "reset"] {
        let said = world.host.shell(&format!("{tool} marathon.portal --force")).failure();
        assert!(said.contains("is the host itself"), "{tool}: {said}");
    }
    assert!(world.host.shell("ls").ok);
}

#[test]
fn scale_up_waits_for_the_pods_of_its_app() {
    let mut world = two_pods();
    world.pods.add("test.web", 9, PodScript::running().of("another.app", "t9"));
    let World { host, pods, marathon, .. } = &mut world;
    let said = thread::scope(|scope| {
        let scaling = scope.spawn(|| host.shell("scale test.web -g 0 -f @3").success());
        let is_told = || marathon.requests().iter().any(|request| request.method == "PUT");
        wait::until_so("the change", Duration::from_secs(30), is_told);
        pods.add("test.web", 10, web("t10"));
        scaling.join().unwrap()
    });
    assert_eq!(said, "100% success (+1 pods)");
    assert_eq!(world.body("PUT "), json!({"instances": 3}));
}

#[test]
fn scale_down_ends_pods_before_their_tasks() {
    let world = two_pods();
    let said = world.host.shell("scale test.web -f x0.5 --fifo -j").json();
    assert_eq!(said, json!({"test.web": {"ok": true, "delta": -1}}));
    assert_eq!(world.body("POST /v2/tasks"), json!({"ids": ["t0"]}));
    assert_eq!(world.pods.paths("test.web", 0), ["/control/kill/10", "/control/kill/10"]);
    assert!(world.pods.paths("test.web", 1).is_empty());
    for (factor, said) in [("@2", "100% success (+0 pods)"), ("@2.9", "100% success (+0 pods)")] {
        assert_eq!(world.host.shell(&format!("scale test.web -f {factor}")).success(), said);
    }
    assert_eq!(world.host.shell("scale test.web -f 3").failure(), "shutting down <- invalid operator");
}

#[test]
fn bump_changes_the_tag_before_it_ends_a_pod() {
    let mut world = two_pods();
    let World { host, pods, .. } = &mut world;
    let said = thread::scope(|scope| {
        let bumping = scope.spawn(|| host.shell("bump test.web -v 2 -j").json());
        let is_killed = || !pods.paths("test.web", 1).is_empty();
        wait::until_so("the old pods to be ended", Duration::from_secs(30), is_killed);
        pods.add("test.web", 5, web("t5"));
        pods.add("test.web", 6, web("t6"));
        bumping.join().unwrap()
    });
    assert_eq!(said, json!({"test.web": {"ok": true, "up": [5, 6]}}));
    assert_eq!(world.asked()[..2], [format!("GET /v2/apps/{APP}"), format!("PUT /v2/apps/{APP}")]);
    assert_eq!(world.body("PUT "), json!({"container": {"type": "DOCKER", "docker": {"image": "foo:2", "network": "BRIDGE"}}}));
}

#[test]
fn bump_tells_what_it_waits_for() {
    let mut world = World::with_app(app("foo:1"), &["t0"]);
    world.pods.add("test.web", 0, web("t0").answers("/control/kill", Behaviour::After(Duration::from_secs(3))));
    let World { host, pods, .. } = &mut world;
    let ran = thread::scope(|scope| {
        let bumping = scope.spawn(|| host.ocho(&["bump", "test.web", "-v", "2"]));
        let is_killed = || !pods.paths("test.web", 0).is_empty();
        wait::until_so("the old pod to be ended", Duration::from_secs(30), is_killed);
        pods.add("test.web", 5, web("t5"));
        pods.add("test.web", 6, web("t6"));
        bumping.join().unwrap()
    });
    assert!(ran.stderr.starts_with("test.web : 0/1 pods have ended\n"), "{}", ran.stderr);
    assert_eq!(ran.ok(), "100% success (2 pods)\n");
}

#[test]
fn bump_that_marathon_refuses_costs_no_pod() {
    let mut world = World::new(|request| match request.method.as_str() {
        "GET" => Answer::Json(200, json!({"app": app("foo:1")})),
        _ => Answer::Json(409, json!({"message": "App is locked", "deployments": [{"id": "d7"}]})),
    });
    world.pods.add("test.web", 0, web("t0"));
    let said = world.host.shell("bump test.web -v 2").failure();
    assert!(said.starts_with("0% success (0 pods)\ntest.web : failed to bump -> update failed (HTTP 409): "), "{said}");
    assert!(said.contains("d7"), "{said}");
    assert!(world.pods.paths("test.web", 0).iter().all(|path| !path.contains("kill")));
}

#[test]
fn scale_counts_as_its_factor_says() {
    let mut world = World::with_app(app("foo:1"), &["t0", "t1", "t2", "t3", "t4"]);
    for seq in 0..5 {
        world.pods.add("test.web", seq, web(&format!("t{seq}")));
    }
    // Pods that never come: the order is what counts here.
    for (factor, instances) in [("@7", 7), ("x1.2", 6), ("+3", 8), ("@6.9", 6)] {
        let said = world.host.shell(&format!("scale test.web -t 5 -f {factor}")).failure();
        assert!(said.starts_with(&format!("0% success (+{} pods)\n", instances - 5)), "{factor}: {said}");
        assert_eq!(world.body("PUT "), json!({"instances": instances}), "{factor}");
    }
    assert_eq!(world.host.shell("scale test.web -f @5 -j").json(), json!({"test.web": {"ok": true, "delta": 0}}));
    assert_eq!(world.host.shell("scale test.web -f -1 -j").json(), json!({"test.web": {"ok": true, "delta": -1}}));
    assert_eq!(world.body("POST /v2/tasks"), json!({"ids": ["t4"]}));
    // Never to nothing.
    assert_eq!(world.host.shell("scale test.web -f @0").success(), "100% success (-4 pods)");
    assert_eq!(world.body("POST /v2/tasks"), json!({"ids": ["t1", "t2", "t3", "t4"]}));
    for wrong in ["5", "@", "x", "@-", "ten", ""] {
        assert!(!world.host.shell(&format!("scale test.web -f '{wrong}'")).ok, "`{wrong}`");
    }
}

#[test]
fn scale_of_two_applications_wants_one_of_them() {
    let mut world = two_pods();
    world.pods.add("test.db", 7, PodScript::running().of("ochopod.test.db-1", "t7"));
    let said = world.host.shell("scale test.* -f @1").failure();
    assert!(said.contains("test.* maps to more than one application, you must specify -g"), "{said}");
    let said = world.host.shell("scale test.* -f @1 -g 99").failure();
    assert!(said.contains("#99 is not a valid pod index"), "{said}");
    assert!(world.asked().iter().all(|request| request.starts_with("GET ")), "{:?}", world.asked());
    assert_eq!(world.host.shell("scale test.* -f @1 -g 0 -j").json(), json!({"test.*": {"ok": true, "delta": -1}}));
    assert_eq!(world.body("POST /v2/tasks"), json!({"ids": ["t1"]}));
    assert!(world.pods.paths("test.db", 7).iter().all(|path| !path.contains("kill")));
}

#[test]
fn bump_waits_for_pods_that_run_where_that_is_wanted() {
    let mut world = two_pods();
    let World { host, pods, .. } = &mut world;
    let said = thread::scope(|scope| {
        let bumping = scope.spawn(|| host.shell("bump test.web -v 2 --strict -t 25").failure());
        let is_killed = || !pods.paths("test.web", 1).is_empty();
        wait::until_so("the old pods to be ended", Duration::from_secs(30), is_killed);
        pods.add("test.web", 5, web("t5"));
        pods.add("test.web", 6, web("t6").process("stopped"));
        bumping.join().unwrap()
    });
    assert!(said.starts_with("0% success (1 pods)\ntest.web : failed to bump -> "), "{said}");
    assert!(said.contains("test.web #6 is stopped"), "{said}");
}
