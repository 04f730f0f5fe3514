//! Our leader with followers that answer as they are told.

use ocho_tests::pods::Behaviour;
use ocho_tests::runtime::block_on;
use ocho_tests::wait::until_so;
use ocho_tests::{PodScript, Pods};
use serde_json::{Value, json};

use crate::lab::{Lab, Pod, SOON, wait_for_configurations};

/// A leader with some lines more in its description.
fn leader(lab: &Lab, more: &str) -> Pod {
    let text = format!("[process]\ncommand = \"sleep 1000\"\ngrace = \"5s\"\n[cluster]\n{more}\n");
    let pod = lab.described("web", &text);
    // It must be first in the queue for the lead, and it leads alone before the others come.
    pod.wait_for("process", "running");
    pod.wait_for("state", "leader");
    pod
}

fn answering(path: &str, code: u16) -> PodScript {
    PodScript::running().answers(path, Behaviour::Json(code, json!({})))
}

fn status(pod: &Pod) -> String {
    pod.info()["status"].as_str().unwrap_or_default().to_owned()
}

#[track_caller]
fn wait_for_status(pod: &Pod, part: &str) {
    until_so(&format!("`{part}` in the status"), SOON, || status(pod).contains(part));
}

/// How often a simulated pod was asked something.
fn times(pods: &Pods, lab: &Lab, seq: u32, path: &str) -> usize {
    pods.paths(&lab.name("web"), seq).iter().filter(|asked| asked.starts_with(path)).count()
}

#[test]
fn v40_everybody_answers() {
    let Some(lab) = Lab::open("v40_everybody_answers") else { return };
    let pod = leader(&lab, "");
    let before = lab.node("web", "hash");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 7, PodScript::running());
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    until_so("another hash", SOON, || lab.node("web", "hash") != before);
    assert_eq!(pods.paths(&lab.name("web"), 7), ["/control/check/60", "/control/on/60", "/control/ok/60"]);
    let body: Value = serde_json::from_slice(&pods.requests(&lab.name("web"), 7)[1].body).unwrap();
    let key = body["key"].as_str().unwrap();
    assert_eq!((&body["pods"][key]["seq"], body["pods"].as_object().unwrap().len()), (&json!(7), 2));
    assert_eq!(body["dependencies"], json!({}));
    wait_for_configurations(&[&pod], 2);
    assert_eq!(pod.starts(), 1);
}

#[test]
fn v41_b41_b42_a_follower_that_refuses_is_named_and_asked_again() {
    let Some(lab) = Lab::open("v41_b41_b42_a_follower_that_refuses_is_named_and_asked_again") else { return };
    let pod = leader(&lab, "");
    let hash = lab.node("web", "hash");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 7, answering("/control/check", 406));
    until_so("a second question", SOON, || times(&pods, &lab, 7, "/control/check") >= 2);
    // One look: the next attempt may begin at any moment.
    until_so("a leader that waits and says why", SOON, || {
        let info = pod.info();
        let says_why = info["status"].as_str().is_some_and(|status| status.contains("(#7 answered check with 406)"));
        says_why && info["state"] == "leader (configuration pending)"
    });
    assert_eq!(times(&pods, &lab, 7, "/control/on"), 0);
    assert_eq!(lab.node("web", "hash"), hash);
}

#[test]
fn v42_a_dead_follower_is_left_out() {
    let Some(lab) = Lab::open("v42_a_dead_follower_is_left_out") else { return };
    let pod = leader(&lab, "");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 8, PodScript::running());
    wait_for_configurations(&[&pod], 2);
    pods.add(&lab.name("web"), 7, PodScript::running().gone());
    wait_for_configurations(&[&pod], 3);
    assert_eq!(lab.snapshot("web").len(), 2);
    assert_eq!(pods.paths(&lab.name("web"), 7), ["/control/check/60"]);
    let asked = pods.requests(&lab.name("web"), 8);
    let named = |path: &str| -> Vec<usize> {
        let bodies = asked.iter().filter(|request| request.path == path).map(|request| serde_json::from_slice(&request.body));
        bodies.map(|body: Result<Value, _>| body.unwrap()["pods"].as_object().unwrap().len()).collect()
    };
    // Whether it is dead is known only after it was asked.
    assert_eq!((named("/control/check/60"), named("/control/on/60")), (vec![2, 3], vec![2, 2]));
}

#[test]
fn v43_a_silent_follower_is_given_up() {
    let Some(lab) = Lab::open("v43_a_silent_follower_is_given_up") else { return };
    let pod = leader(&lab, "grace = \"2s\"");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 7, PodScript::running().silent());
    wait_for_status(&pod, "(#7 did not answer check: no answer within 2.5 s)");
    assert_eq!(pods.paths(&lab.name("web"), 7)[0], "/control/check/2");
    // One that leaves is not waited for.
    until_so("another attempt", SOON, || times(&pods, &lab, 7, "/control/check") >= 2);
    pods.remove(&lab.name("web"), 7);
    until_so("quiet", SOON, || status(&pod).is_empty() && pod.info()["state"] == "leader");
    assert_eq!(pod.starts(), 1);
}

#[test]
fn v44_on_is_asked_until_it_is_done() {
    let Some(lab) = Lab::open("v44_on_is_asked_until_it_is_done") else { return };
    let pod = leader(&lab, "");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 7, answering("/control/on", 406));
    until_so("a second attempt", SOON, || times(&pods, &lab, 7, "/control/on") >= 2);
    assert_eq!(times(&pods, &lab, 7, "/control/ok"), 0);
    assert_eq!((pod.starts(), pod.configurations()), (1, 1));
}

#[test]
fn v45_answers_to_off_and_ok_are_not_asked_for() {
    let Some(lab) = Lab::open("v45_answers_to_off_and_ok_are_not_asked_for") else { return };
    let pod = leader(&lab, "full_shutdown = true");
    let mut pods = Pods::join(&lab.address());
    let script = answering("/control/off", 500).answers("/control/ok", Behaviour::Json(500, json!({})));
    pods.add(&lab.name("web"), 7, script);
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    assert_eq!(pods.paths(&lab.name("web"), 7), ["/control/check/60", "/control/off/60", "/control/on/60", "/control/ok/60"]);
    pod.wait_for("state", "leader");
    assert_eq!((pod.starts(), pod.info()["process"].as_str()), (2, Some("running")));
}

#[test]
fn v46_b06_a_node_that_is_still_empty_is_waited_for() {
    let Some(lab) = Lab::open("v46_b06_a_node_that_is_still_empty_is_waited_for") else { return };
    let pod = leader(&lab, "");
    let (before, cluster) = (lab.children("web", "pods"), lab.name("web"));
    let mut pods = Pods::join(&lab.address());
    pods.add(&cluster, 7, PodScript::running().not_written_yet());
    pod.wait_for_lines("passed over a node", 1);
    assert_eq!(pod.info()["state"], "leader");
    let node = lab.children("web", "pods").into_iter().find(|name| !before.contains(name)).unwrap();
    let content = json!({"seq": 7, "ip": "127.0.0.1", "port": "8080", "ports": {"8080": pods.port(&cluster, 7)}});
    let path = format!("/ochopod/clusters/{cluster}/pods/{node}");
    block_on(async { lab.client().await.set_data(&path, content.to_string().as_bytes(), None).await }).unwrap();
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    assert_eq!(pod.count("INFO - leading"), 1);
}

#[test]
fn v47_a_follower_without_a_control_port_is_named() {
    let Some(lab) = Lab::open("v47_a_follower_without_a_control_port_is_named") else { return };
    let pod = leader(&lab, "");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 7, PodScript::running().control_port_hidden());
    wait_for_status(&pod, "(#7 does not expose its control port)");
    assert_eq!(lab.snapshot("web").len(), 1);
}

#[test]
fn v48_a_pod_that_is_not_to_start_is_configured_all_the_same() {
    let Some(lab) = Lab::open("v48_a_pod_that_is_not_to_start_is_configured_all_the_same") else { return };
    let text = "[process]\ncommand = \"sleep 1000\"\n";
    let pod = lab.described_with("web", text, &[("ochopod_start", "false")]);
    pod.wait_for_lines("INFO - the cluster is configured", 1);
    assert_eq!((pod.info()["process"].as_str(), pod.starts()), (Some("stopped"), 0));
    assert_eq!(pod.code("/control/on"), 200);
    assert_eq!((pod.info()["process"].as_str(), pod.count("INFO - configured pods=")), (Some("running"), 1));
}

#[test]
fn v49_one_after_the_other_by_number() {
    let Some(lab) = Lab::open("v49_one_after_the_other_by_number") else { return };
    let trace = lab.folder().join("trace");
    let text = format!(
        "[process]\ncommand = \"sleep 1000\"\n[cluster]\ndamper = 1\nsequential = true\n[[needs]]\npods = 3\n[hooks]\nshell = true\n\
         can_configure = \"echo check {{{{ seq }}}} >> {0}; sleep 0.1\"\nconfigured = \"echo ok {{{{ seq }}}} >> {0}; sleep 0.1\"\n",
        trace.display()
    );
    let pods: Vec<Pod> = (0..3).map(|_| lab.described("web", &text)).collect();
    wait_for_configurations(&pods.iter().collect::<Vec<_>>(), 1);
    let lines = std::fs::read_to_string(&trace).unwrap();
    assert!(lines.ends_with("check 0\ncheck 1\ncheck 2\nok 0\nok 1\nok 2\n") && lines.matches("ok").count() == 3, "{lines}");
}

#[test]
fn v50_b11_the_first_refusal_ends_a_stage() {
    let Some(lab) = Lab::open("v50_b11_the_first_refusal_ends_a_stage") else { return };
    let _pod = leader(&lab, "damper = 1\nsequential = true");
    let mut pods = Pods::join(&lab.address());
    // The older one comes later.
    pods.add(&lab.name("web"), 9, PodScript::running());
    pods.add(&lab.name("web"), 7, answering("/control/on", 406));
    until_so("two attempts", SOON, || times(&pods, &lab, 7, "/control/on") >= 2);
    assert!(times(&pods, &lab, 9, "/control/check") >= 2);
    // Before the older one was there, the younger may have been configured alone.
    let alone = times(&pods, &lab, 9, "/control/ok");
    assert_eq!(times(&pods, &lab, 9, "/control/on"), alone, "nobody asked it after the refusal");
}

#[test]
fn v51_b40_a_strict_pod_is_not_restarted_by_retries() {
    let Some(lab) = Lab::open("v51_b40_a_strict_pod_is_not_restarted_by_retries") else { return };
    let pod = leader(&lab, "strict = true");
    let mut pods = Pods::join(&lab.address());
    pods.add(&lab.name("web"), 7, answering("/control/on", 406));
    until_so("three attempts", SOON, || times(&pods, &lab, 7, "/control/on") >= 3);
    assert_eq!(pod.starts(), 2, "once alone, once for the new topology");
}

#[test]
fn v52_b07_a_registration_that_makes_no_sense_is_passed_over() {
    let Some(lab) = Lab::open("v52_b07_a_registration_that_makes_no_sense_is_passed_over") else { return };
    let pod = leader(&lab, "");
    let mut pods = Pods::join(&lab.address());
    let odd = json!({"seq": 7, "ip": "127.0.0.1", "port": "8080", "ports": {"8080": "32101"}}).to_string();
    for (seq, content) in [(7, odd.as_bytes()), (8, b"{".as_slice()), (9, b"\xff"), (10, br#"{"seq": 10, "ports": {"8080": 1}}"#)]
    {
        pods.add(&lab.name("web"), seq, PodScript::running().node(content));
    }
    pod.wait_for_lines("passed over a node", 4);
    pods.add(&lab.name("web"), 11, PodScript::running());
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    assert_eq!(pod.count("INFO - leading"), 1);
}
