//! Clusters of ours and of the original's pods, whoever leads.

use ocho_tests::TestHost;
use ocho_tests::wait::until_so;
use serde_json::{Value, json};

use crate::lab::{Lab, Pod, SOON, wait_for_configurations};
use crate::original::{Original, ask};

const OURS: &str = "[process]\ncommand = \"sleep 1000\"\n[cluster]\ndamper = \"500ms\"\n";

/// What an original leader takes for granted of every registration; without it the leader steps down.
#[track_caller]
fn check_registration(pod: &Value) {
    let texts =
        ["application", "cluster", "namespace", "task", "ip", "public", "node", "port", "fwk", "zk", "debug", "local", "start"];
    for name in texts {
        assert!(pod[name].is_string(), "`{name}` in {pod}");
    }
    assert!(pod["seq"].is_u64(), "{pod}");
    let ports = pod["ports"].as_object().unwrap();
    assert!(ports.values().all(Value::is_u64) && ports.contains_key(pod["port"].as_str().unwrap()), "{pod}");
}

#[test]
fn an_original_leader_configures_ours_and_ours_follow_it_into_the_lead() {
    let Some(lab) = Lab::open("an_original_leader_configures_ours_and_ours_follow_it_into_the_lead") else { return };
    let original = Original::start(&lab, "web", 1);
    original.queue();
    assert!(original.leads());
    let ours: Vec<Pod> = (0..2).map(|_| lab.described("web", OURS)).collect();
    until_so("three registrations", SOON, || original.local().len() == 3);
    for node in lab.children("web", "pods") {
        let (key, number) = node.split_once('.').unwrap();
        assert_eq!((key.len(), key.matches('-').count(), number.len()), (36, 4, 10), "{node}");
        check_registration(&original.local()[key]);
        // Two that come at the same moment may both have expected the same number.
        until_so(&format!("the number in {node}"), SOON, || original.local()[key]["seq"].as_u64() == number.parse().ok());
    }
    until_so("two candidates behind it", SOON, || lab.children("web", "coordinator").len() == 3);
    for node in lab.children("web", "coordinator") {
        let (name, number) = node.split_once("__lock__").unwrap();
        assert_eq!((name.len(), number.len()), (32, 10), "{node}");
    }
    assert_eq!(original.configure(&json!({})), vec![vec![200, 200]; 3]);
    for pod in &ours {
        pod.wait_for("process", "running");
        assert_eq!((pod.info()["state"].as_str(), pod.starts()), (Some("follower"), 1));
    }
    // A second time nothing changes; with other dependencies everybody starts again.
    assert_eq!(original.configure(&json!({})), vec![vec![200, 200]; 3]);
    assert_eq!(ours.iter().map(Pod::starts).collect::<Vec<_>>(), [1, 1]);
    let db = json!({"db": {"x": {"seq": 0, "ip": "127.0.0.1", "ports": {"80": 1}}}});
    assert_eq!(original.configure(&db), vec![vec![200, 200]; 3]);
    assert_eq!(ours.iter().map(Pod::starts).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(original.configure(&json!({})), vec![vec![200, 200]; 3]);
    // It goes, with its lock, its snapshot and its node: one of ours leads, and finds a hash that it did not write.
    original.leave();
    until_so("one of ours in the lead", SOON, || {
        ours.iter().any(|pod| pod.info()["state"] == "leader" && pod.configurations() > 0)
    });
    until_so("its snapshot", SOON, || lab.snapshot("web").len() == 2);
    assert_eq!(ours.iter().map(Pod::starts).collect::<Vec<_>>(), [3, 3], "the change of the lead started nothing");
    assert_eq!(ours.iter().map(Pod::configurations).sum::<usize>(), 1);
    assert_eq!(lab.node("web", "hash").unwrap().len(), 47);
}

/// An original says nowhere that it was killed: its leader finds out when it asks it the next time.
#[test]
fn b02_an_original_that_was_killed_is_left_out_of_the_next_configuration() {
    let Some(lab) = Lab::open("b02_an_original_that_was_killed_is_left_out_of_the_next_configuration") else { return };
    let first = lab.described("web", OURS);
    wait_for_configurations(&[&first], 1);
    let original = Original::start(&lab, "web", 1);
    wait_for_configurations(&[&first], 2);
    assert_eq!(ask(&Value::Object(original.registration().clone()), "kill", &json!({})), 200);
    assert_eq!(lab.snapshot("web").len(), 2, "nobody knows yet");
    let second = lab.described("web", OURS);
    wait_for_configurations(&[&first], 3);
    let known: Vec<u64> = lab.snapshot("web").values().filter_map(|pod| pod["seq"].as_u64()).collect();
    assert!(known.len() == 2 && !known.contains(&original.registration()["seq"].as_u64().unwrap()), "{known:?}");
    let asked = original.asked();
    let last: Vec<&str> = asked.iter().rev().take(2).map(|asked| asked.path.as_str()).collect();
    assert_eq!(last, ["/control/check/60", "/control/kill/60"]);
    assert_eq!((first.starts(), second.starts()), (1, 1));
}

#[test]
fn our_leader_configures_originals_and_an_original_follows_it_into_the_lead() {
    let Some(lab) = Lab::open("our_leader_configures_originals_and_an_original_follows_it_into_the_lead") else { return };
    let first = lab.described("web", OURS);
    first.wait_for("state", "leader");
    first.wait_for("process", "running");
    let original = Original::start(&lab, "web", 1);
    original.queue();
    let second = lab.described("web", OURS);
    until_so("three pods in the snapshot", SOON, || lab.snapshot("web").len() == 3);
    second.wait_for("process", "running");
    until_so("three candidates", SOON, || lab.children("web", "coordinator").len() == 3);
    // Originals give their place up every 5 s and take another one; that bothers nobody.
    original.queue();
    original.queue();
    assert!(!original.leads());
    let asked = original.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert!(paths.ends_with(&["/control/check/60", "/control/on/60", "/control/ok/60"]), "{paths:?}");
    for asked in &asked {
        assert!(["", "application/json"].contains(&asked.content_type.as_str()), "a form would be taken for nothing: {asked:?}");
        assert_eq!((&asked.body["key"], &asked.body["dependencies"]), (&json!(original.key), &json!({})));
        asked.body["pods"].as_object().unwrap().values().for_each(check_registration);
        assert_eq!(asked.body["pods"][&original.key], json!(original.registration()), "as it was registered");
    }
    assert_eq!(original.life(), (1, false));
    assert!(lab.snapshot("web").keys().all(|key| key.len() == 36));
    // The second of ours is ahead in the queue; after it the original leads.
    assert_eq!(first.stop().0, 0);
    second.wait_for("state", "leader");
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    let third = lab.described("web", OURS);
    until_so("three pods in the snapshot again", SOON, || lab.snapshot("web").len() == 3);
    assert_eq!((original.life(), second.starts()), ((1, false), 1), "nobody was started again");
    assert_eq!(second.stop().0, 0);
    until_so("the original in the lead", SOON, || original.leads());
    assert_eq!(lab.node("web", "snapshot"), None, "it went with our leader");
    until_so("the end of the other registration", SOON, || original.local().len() == 2);
    assert_eq!(original.configure(&json!({})), vec![vec![200]; 3]);
    assert_eq!((third.info()["state"].as_str(), third.starts()), (Some("follower"), 1));
}

/// The tools give orders without a body. An original that is told to run like this before its leader has configured it dies.
#[test]
fn b04_the_tools_wait_until_an_original_has_been_configured() {
    let Some(lab) = Lab::open("b04_the_tools_wait_until_an_original_has_been_configured") else { return };
    let host = TestHost::serve("127.0.0.1:9", &lab.address()).start();
    let (web, waiting) = (lab.name("web"), format!("{OURS}[[needs]]\npods = 3\n"));
    let leader = lab.described("web", &waiting);
    leader.wait_for("state", "leader (configuration pending)");
    let original = Original::start(&lab, "web", 1);
    until_so("both in the listing", SOON, || host.shell(&format!("grep {web}")).success().matches("stopped").count() == 2);
    for tool in ["on", "reset"] {
        let said = host.shell(&format!("{tool} {web} -i 1 -t 5")).failure();
        let refused = format!("{web} #1: not asked, since its leader has not configured it within 5 s");
        assert!(said.starts_with("0% success (0 pods ") && said.contains(&refused), "{said}");
    }
    assert_eq!(original.life(), (0, false));
    // A third pod comes while the tool waits.
    let looks = original.looks();
    let (said, _third) = std::thread::scope(|scope| {
        let switching = scope.spawn(|| host.shell(&format!("on {web} -i 1 -t 600")).success());
        until_so("a tool that waits", SOON, || original.looks() >= looks + 2);
        let third = lab.described("web", &waiting);
        (switching.join().unwrap(), third)
    });
    assert_eq!((said.as_str(), original.life()), ("100% success (1 pods on)", (1, false)));
    // What has been configured is switched as ever.
    assert_eq!(host.shell(&format!("off {web} -i 1")).success(), "100% success (1 pods off)");
    assert_eq!(host.shell(&format!("on {web} -i 1")).success(), "100% success (1 pods on)");
    assert_eq!(host.shell(&format!("reset {web} --force")).success(), "100% success (3 pods reset)");
    assert_eq!(original.life(), (3, false));
}
