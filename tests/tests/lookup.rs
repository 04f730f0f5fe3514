//! Which pods a pattern finds, whatever stands in the registry: the embedded one, and a real ZooKeeper.

use ocho_tests::pods::Behaviour;
use ocho_tests::{FakeMarathon, PodScript, Pods, RealZooKeeper, TestHost, marathon, skip};
use serde_json::json;

/// A host and the session of the pods, on one registry.
struct World {
    host: TestHost,
    pods: Pods,
    _zookeeper: Option<(RealZooKeeper, FakeMarathon)>,
}

fn embedded() -> World {
    let host = TestHost::up().start();
    let pods = Pods::join(&host.address("zookeeper"));
    World { host, pods, _zookeeper: None }
}

fn real(test: &str) -> Option<World> {
    if !RealZooKeeper::is_installed() {
        skip(test, "no ZooKeeper: install libzookeeper-java and default-jre-headless");
        return None;
    }
    let zookeeper = RealZooKeeper::start();
    let marathon = FakeMarathon::start(|_| marathon::Answer::Json(404, json!({})));
    let host = TestHost::serve(&marathon.address(), &zookeeper.address()).start();
    let pods = Pods::join(&zookeeper.address());
    Some(World { host, pods, _zookeeper: Some((zookeeper, marathon)) })
}

impl World {
    /// The pods that `grep` finds, in its order.
    #[track_caller]
    fn found(&self, pattern: &str) -> Vec<String> {
        let reply = self.host.shell(&format!("grep '{pattern}' -j"));
        assert!(reply.ok, "{}", reply.body);
        reply.json().as_object().unwrap().keys().cloned().collect()
    }
}

fn patterns(mut world: World) {
    for (cluster, seq) in [("marathon.web", 12), ("marathon.web", 3), ("test.db", 1), ("test.Web", 1), ("my.project.web", 0)] {
        world.pods.add(cluster, seq, PodScript::running());
    }
    for (pattern, expected) in [
        ("test.*", &["test.Web #1", "test.db #1"][..]),
        ("marathon.web", &["marathon.web #3", "marathon.web #12"]),
        ("*web", &["marathon.web #3", "marathon.web #12", "my.project.web #0"]),
        ("m*.web", &["marathon.web #3", "marathon.web #12", "my.project.web #0"]),
        ("test.?b", &["test.db #1"]),
        ("test.[a-d]*", &["test.db #1"]),
        ("test.[!a-d]*", &["test.Web #1"]),
        ("web", &[]),
        ("test", &[]),
        ("TEST.*", &[]),
        ("[", &[]),
        ("*.web #3", &[]),
    ] {
        assert_eq!(world.found(pattern), expected, "{pattern}");
    }
    assert_eq!(world.host.shell("grep nothing.*").success(), "");
    assert_eq!(world.host.shell("grep nothing.* -j").success(), "{}");
}

#[test]
fn patterns_on_the_embedded_registry() {
    patterns(embedded());
}

#[test]
fn patterns_on_a_real_zookeeper() {
    if let Some(world) = real("patterns_on_a_real_zookeeper") {
        patterns(world);
    }
}

fn odd_nodes(mut world: World) {
    world.pods.add("a.b", 1, PodScript::running());
    for (seq, script) in [
        (2, PodScript::running().not_written_yet()),
        (3, PodScript::running().node(b"garbage")),
        (4, PodScript::running().node(b"{\"ip\": \"127.0.0.1\"}")),
        (5, PodScript::running().node(b"[]")),
        (6, PodScript::running().node(&[0xff; 1000])),
        (7, PodScript::running().port_as_number()),
        (8, PodScript::running().control_port_hidden()),
        (9, PodScript::running().refuses_connections()),
    ] {
        world.pods.add("a.b", seq, script);
    }
    assert_eq!(world.found("a.b"), ["a.b #1"]);
    // Pods that wrote a registration count, also where they cannot be reached; what is none does not.
    let text = world.host.shell("grep a.b").success();
    assert!(text.starts_with("<a.b> -> 25% replies (1 pods total) ->"), "{text}");
    world.pods.remove("a.b", 1);
    assert_eq!(world.found("a.b"), [""; 0]);
}

#[test]
fn odd_nodes_in_the_embedded_registry() {
    odd_nodes(embedded());
}

#[test]
fn odd_nodes_in_a_real_zookeeper() {
    if let Some(world) = real("odd_nodes_in_a_real_zookeeper") {
        odd_nodes(world);
    }
}

#[test]
fn odd_answers_leave_the_others_alone() {
    let mut world = embedded();
    let info = |behaviour| PodScript::running().answers("/info", behaviour);
    world.pods.add("a.b", 1, PodScript::running());
    world.pods.add("a.b", 2, info(Behaviour::Json(500, json!({}))));
    world.pods.add("a.b", 3, info(Behaviour::Text(200, "<html>no JSON".to_owned())));
    world.pods.add("a.b", 4, info(Behaviour::Json(200, json!([1, 2]))));
    world.pods.add("a.b", 5, info(Behaviour::Text(200, String::new())));
    world.pods.add("a.b", 6, info(Behaviour::Json(404, json!({"process": "running"}))));
    let found = world.found("a.b");
    assert!(found.contains(&"a.b #1".to_owned()), "{found:?}");
    for seq in [2, 3, 5, 6] {
        assert!(!found.contains(&format!("a.b #{seq}")), "{found:?}");
    }
}

#[test]
fn a_pod_that_lacks_a_key_is_shown_with_a_blank() {
    let mut world = embedded();
    world.pods.add("a.b", 1, PodScript::running().without("node").without("state"));
    world.pods.add("a.b", 2, PodScript::running().without("process").without("ip"));
    let pods = world.host.shell("grep a.b -j").json();
    assert_eq!(pods["a.b #1"], json!({"ip": "127.0.0.1", "node": "", "process": "running", "state": ""}));
    assert_eq!(pods["a.b #2"], json!({"ip": "", "node": "i-00000001", "process": "", "state": "follower"}));
    assert_eq!(host_rows(&world), 2);
}

fn host_rows(world: &World) -> usize {
    world.host.shell("grep a.b").success().lines().filter(|line| line.starts_with("a.b #")).count()
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let mut world = embedded();
    world.pods.add("a.b", 1, PodScript::running());
    let huge = Behaviour::Text(200, format!("{{\"process\": \"{}\"}}", "x".repeat(64 * 1024 * 1024)));
    world.pods.add("a.b", 2, PodScript::running().answers("/info", huge));
    assert_eq!(world.found("a.b"), ["a.b #1"]);
}
