//! Rulings on what the original did oddly, where host and tool have to work together.

use std::time::{Duration, Instant};

use ocho_tests::command::run;
use ocho_tests::{FakeMarathon, PodScript, Pods, TestHost, ocho, programs, wait};
use serde_json::json;

use crate::world::World;

#[test]
fn q01_the_first_word_alone_names_the_tool() {
    let host = TestHost::up().start();
    let mut pods = Pods::join(&host.address("zookeeper"));
    pods.add("test.web", 0, PodScript::running().tool("reset", 0, &["the pod's own"]));
    assert!(host.shell("exec test.web --force reset").success().contains(" the pod's own\n"));
    assert_eq!(pods.paths("test.web", 0), ["/exec"]);
    assert!(host.shell("foo bar kill").failure().starts_with("unknown command (available commands -> "));
}

#[test]
fn q04_a_pattern_does_not_meet_the_files() {
    let host = TestHost::up().start();
    let reply = host.call("off * --force -j").file("foo.yml", "x").file("a.b", "y").send();
    assert_eq!(reply.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["*"]);
}

#[test]
fn q13_a_registry_that_is_gone_is_told() {
    let World { host, pods, marathon: _marathon, registry } = World::with_app(json!({}), &[]);
    assert!(host.shell("ls").ok);
    drop(pods);
    let _stopped = registry.stop();
    let started = Instant::now();
    let said = host.shell("ls").failure();
    assert!(said.starts_with("shutting down <- no answer from the registry: "), "{said}");
    // It does not wait for ever, however busy the machine is.
    assert!(started.elapsed() < Duration::from_secs(110), "{:?}", started.elapsed());
}

#[test]
fn q13_a_registry_that_is_not_there_yet_keeps_no_host_from_starting() {
    let host = TestHost::serve("127.0.0.1:9", "127.0.0.1:9").start();
    let is_told = || host.log().contains("no registry took the host's own pods yet");
    wait::until_so("the warning in the log", Duration::from_secs(30), is_told);
    assert!(host.shell("help").ok);
}

#[test]
fn a_host_that_is_ready_lists_itself() {
    for _ in 0..4 {
        let host = TestHost::up().start();
        assert_eq!(
            host.shell("ls -j").json().as_object().unwrap().keys().collect::<Vec<_>>(),
            ["marathon.portal", "marathon.servo"]
        );
    }
}

#[test]
fn q13_a_marathon_that_is_gone_is_told() {
    let registry = TestHost::up().start();
    let host = TestHost::serve("127.0.0.1:9", &registry.address("zookeeper")).start();
    let said = host.call("deploy c.yml").file("c.yml", "cluster: c\nimage: i\n").send().failure();
    let start = "0% success (+0 pods)\nc.yml : failed to deploy -> submission failed (no answer from Marathon): ";
    assert!(said.starts_with(start) && said.contains("127.0.0.1:9"), "{said}");
}

#[test]
fn q14_a_pod_that_is_not_written_yet_is_passed_over() {
    let host = TestHost::up().start();
    let mut pods = Pods::join(&host.address("zookeeper"));
    pods.add("a.b", 0, PodScript::running().not_written_yet());
    pods.add("a.b", 1, PodScript::running());
    assert!(host.shell("grep a.b").success().starts_with("<a.b> -> 100% replies (1 pods total) ->"));
    assert_eq!(host.shell("ls -j").json()["a.b"]["total"], 1);
}

#[test]
fn q50_masters_may_be_written_in_any_way_and_stand_in_for_one_another() {
    let registry = TestHost::up().start();
    let marathon = FakeMarathon::start(|request| ocho_tests::marathon::Answer::Json(409, json!({"message": request.path})));
    let masters = format!("127.0.0.1:9, http://{} ", marathon.address());
    let host = TestHost::serve(&masters, &registry.address("zookeeper")).start();
    let said = host.call("deploy c.yml").file("c.yml", "cluster: c\nimage: i\n").send().failure();
    assert!(said.ends_with("submission failed (HTTP 409): /v2/apps"), "{said}");
}

#[test]
fn q24_debug_lines_stand_before_one_line_of_json() {
    let host = TestHost::up().start();
    let mut pods = Pods::join(&host.address("zookeeper"));
    pods.add("a.b", 1, PodScript::running());
    let reply = host.shell("grep a.b -dj");
    assert!(reply.out.starts_with("<- registry (1 pods match a.b)\n-> info a.b #1 (answered HTTP 200, "), "{}", reply.out);
    assert_eq!(reply.json()["a.b #1"]["process"], "running");
}

#[test]
fn q03_output_that_is_no_text_is_still_an_answer() {
    let plan = TestHost::up().tool("script", &programs::guest("script"));
    let host = plan.words(&["--grant", "script=proxy/shell,pods/registry,pods/observe"]).start();
    let reply = host.call("script").file("script.steps", "raw 41ff42\nprint é").send();
    assert_eq!((reply.status, reply.success().as_str()), (200, "A\u{fffd}Bé"));
}

#[test]
fn q31_everything_after_the_host_is_the_command() {
    let host = TestHost::up().start();
    for words in [&["ls", "-j"][..], &["ls -j"], &["--", "ls", "-j"]] {
        let said = host.ocho(words).ok();
        assert!(said.starts_with("{\"marathon.portal\": "), "{words:?}: {said}");
    }
}

#[test]
fn q32_the_host_may_have_another_port() {
    let host = TestHost::up().start();
    let port = host.address("portal").rsplit(':').next().unwrap().to_owned();
    for name in [format!("localhost:{port}"), format!("http://127.0.0.1:{port}")] {
        let said = run(&mut ocho::cli(&name, None, &host.work(), &["help"]), Duration::from_secs(60)).ok();
        assert!(said.starts_with("available commands -> "), "{said}");
    }
}

#[test]
fn q38_masters_that_are_named_go_before_mesos_dns() {
    let registry = TestHost::up().start();
    let marathon = FakeMarathon::start(|_| ocho_tests::marathon::Answer::Json(409, json!({"message": "asked"})));
    // The name would lead to nobody.
    let plan = TestHost::serve_alone(&registry.address("zookeeper")).words(&["--mesos-dns", "localhost:9"]);
    let host = plan.env("MARATHON_MASTER", &marathon.address()).start();
    let said = host.call("deploy c.yml").file("c.yml", "cluster: c\nimage: i\n").send().failure();
    assert!(said.ends_with("submission failed (HTTP 409): asked"), "{said}");
}
