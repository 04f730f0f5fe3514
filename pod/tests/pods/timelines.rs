//! Clusters over time. What is counted are reconfigurations and starts, not seconds.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ocho_tests::wait::until_so;

use crate::lab::{LONG_SESSION, Lab, Pod, SHORT_SESSION, SOON, is_alive, leader_first, wait_for_configurations};

const SLEEP: &[&str] = &["sleep", "1000"];

/// Waits until the last configuration consisted of `size` pods and nothing is pending.
#[track_caller]
fn settled(lab: &Lab, cluster: &str, size: usize, pods: &[&Pod]) {
    until_so(&format!("{size} pods in the snapshot of {cluster}"), SOON, || {
        let quiet = |pod: &&Pod| pod.try_info().is_some_and(|info| matches!(info["state"].as_str(), Some("leader" | "follower")));
        lab.snapshot(cluster).len() == size && pods.iter().all(quiet)
    });
}

fn all_running(pods: &[&Pod]) {
    for pod in pods {
        pod.wait_for("process", "running");
    }
}

/// A description with a damper, so that pods that come together are configured together.
fn damped(seconds: f32) -> String {
    format!("[process]\ncommand = \"sleep 1000\"\ngrace = \"5s\"\n[cluster]\ndamper = {seconds:.1}\n")
}

/// The same, and no configuration before all are there: however slowly they start, there is one.
fn damped_until(pods: usize) -> String {
    format!("{}[[needs]]\npods = {pods}\n", damped(1.0))
}

/// A cluster that grows pod by pod, each configured before the next one comes. The first one leads.
fn grown(lab: &Lab, size: usize) -> (Pod, Vec<Pod>) {
    let leader = lab.described("web", &damped(0.5));
    wait_for_configurations(&[&leader], 1);
    let mut others = Vec::new();
    for nth in 1..size {
        others.push(lab.described("web", &damped(0.5)));
        wait_for_configurations(&[&leader], nth + 1);
    }
    (leader, others)
}

#[test]
fn t01_three_pods_form_a_cluster() {
    let Some(lab) = Lab::open("t01_three_pods_form_a_cluster") else { return };
    let pods: Vec<Pod> = (0..3).map(|_| lab.described("web", &damped_until(3))).collect();
    let (leader, others) = leader_first(pods);
    let all = [&leader, &others[0], &others[1]];
    settled(&lab, "web", 3, &all);
    all_running(&all);
    assert_eq!(all.map(|pod| pod.starts()), [1, 1, 1]);
    wait_for_configurations(&all, 1);
    assert_eq!(lab.children("web", "pods").len(), 3);
    until_so("three candidates", SOON, || lab.children("web", "coordinator").len() == 3);
    assert_eq!(lab.node("web", "hash").map(|hash| hash.len()), Some(47));
}

#[test]
fn t02_scaling_up_and_down_leaves_the_others_alone() {
    let Some(lab) = Lab::open("t02_scaling_up_and_down_leaves_the_others_alone") else { return };
    let pods: Vec<Pod> = (0..2).map(|_| lab.described("web", &damped_until(2))).collect();
    let (leader, others) = leader_first(pods);
    settled(&lab, "web", 2, &[&leader, &others[0]]);
    wait_for_configurations(&[&leader], 1);
    let third = lab.described("web", &damped_until(2));
    settled(&lab, "web", 3, &[&leader, &others[0], &third]);
    all_running(&[&third]);
    assert_eq!((leader.starts(), others[0].starts(), third.starts()), (1, 1, 1));
    wait_for_configurations(&[&leader], 2);
    let (code, _) = third.stop();
    assert_eq!(code, 0);
    settled(&lab, "web", 2, &[&leader, &others[0]]);
    assert_eq!((leader.starts(), others[0].starts()), (1, 1));
    wait_for_configurations(&[&leader], 3);
}

#[test]
fn t03_another_pod_leads_when_the_leader_is_killed() {
    let Some(lab) = Lab::open("t03_another_pod_leads_when_the_leader_is_killed") else { return };
    let (mut leader, others) = grown(&lab, 4);
    let orphan = leader.sub_process();
    leader.kill_9();
    until_so("the end of the process whose pod was killed", SOON, || !is_alive(orphan));
    until_so("the end of the session", SOON, || lab.children("web", "pods").len() == 3);
    let (next, rest) = leader_first(others);
    settled(&lab, "web", 3, &[&next, &rest[0], &rest[1]]);
    assert_eq!([&next, &rest[0], &rest[1]].map(|pod| pod.starts()), [1, 1, 1], "no process was restarted");
    wait_for_configurations(&[&next, &rest[0], &rest[1]], 1);
}

#[test]
fn t04_a_crash_loop_slows_down() {
    let Some(lab) = Lab::open("t04_a_crash_loop_slows_down") else { return };
    let pod = lab.pod("web", &["false"]);
    pod.wait_for_lines("the process crashed", 3);
    pod.wait_for_lines("exit code 1", 3);
    let detail = || pod.info()["detail"].as_str().map(str::to_owned).unwrap_or_default();
    until_so("a word about the loop", SOON, || detail().starts_with("crash looping: "));
    wait_for_configurations(&[&pod], 1);
    assert_eq!(pod.code("/control/off"), 200);
    let (starts, info) = (pod.starts(), pod.info());
    assert_eq!((&info["process"], &info["detail"]), (&"stopped".into(), &"turned off by request; `on` starts it".into()));
    assert_eq!(pod.code("/control/on"), 200);
    // How often more is a matter of moments: it is back at the beginning of its loop.
    assert!(pod.starts() > starts);
}

#[test]
fn t05_a_dependency_goes_and_returns() {
    let Some(lab) = Lab::open("t05_a_dependency_goes_and_returns") else { return };
    let description = "[process]\ncommand = [\"sleep\", \"1000\"]\ngrace = \"5s\"\n\
        environment = { DB = \"{{ addresses('db', 8080) | join(',') }}\" }\n\
        [cluster]\ndepends_on = [\"db\"]\ndamper = 0.5\npatience = \"4s\"\n[[needs]]\ndependency = \"db\"\n";
    let api = lab.described("api", description);
    until_so("a refusal that names the need", SOON, || {
        api.try_info()
            .is_some_and(|info| info["status"].as_str().is_some_and(|status| status.contains("answered check with 406")))
    });
    assert_eq!(api.starts(), 0);
    let db = lab.pod("db", SLEEP);
    api.wait_for("process", "running");
    settled(&lab, "api", 1, &[&api]);
    wait_for_configurations(&[&api], 1);
    assert_eq!(api.starts(), 1);

    // It goes: what runs goes on with its last configuration, and the leader retries.
    let (_, _) = db.stop();
    api.wait_for("state", "leader (configuration pending)");
    assert_eq!((api.starts(), api.info()["process"].as_str()), (1, Some("running")));

    // Another one comes: one restart.
    let _db = lab.pod("db", SLEEP);
    api.wait_for_lines("INFO - started pid=", 2);
    wait_for_configurations(&[&api], 2);
    assert_eq!(api.starts(), 2);
}

#[test]
fn t06_off_and_on() {
    let Some(lab) = Lab::open("t06_off_and_on") else { return };
    let pod = lab.pod("web", SLEEP);
    pod.wait_for("process", "running");
    wait_for_configurations(&[&pod], 1);
    let registered = lab.children("web", "pods");
    assert_eq!(pod.code("/control/off"), 200);
    let info = pod.info();
    assert_eq!((&info["process"], &info["state"]), (&"stopped".into(), &"leader".into()));
    assert_eq!(lab.children("web", "pods"), registered);
    assert_eq!(lab.snapshot("web").len(), 1);
    assert_eq!(pod.code("/control/on"), 200);
    assert_eq!(pod.info()["process"], "running");
    assert_eq!((pod.starts(), pod.configurations(), pod.count("INFO - configured pods=")), (2, 1, 1));
}

#[test]
fn t07_kill() {
    let Some(lab) = Lab::open("t07_kill") else { return };
    let (leader, mut others) = grown(&lab, 2);
    let follower = others.remove(0);
    assert_eq!(follower.code("/control/kill"), 200);
    assert_eq!(follower.code("/control/on"), 410);
    assert_eq!(follower.info()["process"], "dead");
    // Registered still, but no part of the cluster.
    settled(&lab, "web", 1, &[&leader]);
    assert_eq!(lab.children("web", "pods").len(), 2);
    wait_for_configurations(&[&leader], 3);
    let (_, _) = follower.stop();
    until_so("the end of the registration", SOON, || lab.children("web", "pods").len() == 1);
    settled(&lab, "web", 1, &[&leader]);
    assert_eq!((leader.configurations(), leader.starts()), (3, 1), "it had been dropped before");
}

#[test]
fn t08_v22_reset() {
    let Some(lab) = Lab::open("t08_v22_reset") else { return };
    let pod = lab.pod("web", SLEEP);
    pod.wait_for("process", "running");
    settled(&lab, "web", 1, &[&pod]);
    let before = lab.children("web", "pods").remove(0);
    let seq = |lab: &Lab| lab.snapshot("web").values().next().map(|pod| pod["seq"].clone());
    let number = seq(&lab);
    assert_eq!(pod.code("/reset"), 200);
    pod.wait_for_lines("INFO - registered", 2);
    settled(&lab, "web", 1, &[&pod]);
    let after = lab.children("web", "pods").remove(0);
    assert_eq!(before.split_once('.').unwrap().0, after.split_once('.').unwrap().0, "the key stays");
    assert_ne!(before, after);
    assert_eq!(seq(&lab), number, "the number stays, though the node has another");
    pod.wait_for("state", "leader");
    wait_for_configurations(&[&pod], 1);
    assert_eq!(pod.starts(), 1, "nothing had changed");
}

#[test]
fn t09_zookeeper_restarts() {
    let Some(mut lab) = Lab::alone("t09_zookeeper_restarts", LONG_SESSION) else { return };
    let pods: Vec<Pod> = (0..2).map(|_| lab.described("web", &damped_until(2))).collect();
    let (leader, others) = leader_first(pods);
    wait_for_configurations(&[&leader, &others[0]], 1);
    lab.zookeeper().restart();
    for pod in [&leader, &others[0]] {
        pod.wait_for_lines("zookeeper is back", 1);
    }
    settled(&lab, "web", 2, &[&leader, &others[0]]);
    wait_for_configurations(&[&leader, &others[0]], 1);
    assert_eq!((leader.starts(), others[0].starts()), (1, 1));
}

#[test]
fn t10_zookeeper_hangs_for_longer_than_a_session() {
    let Some(mut lab) = Lab::alone("t10_zookeeper_hangs_for_longer_than_a_session", SHORT_SESSION) else { return };
    let text = format!("{}[[needs]]\npods = 2\n", damped(10.0));
    let pods: Vec<Pod> = (0..2).map(|_| lab.described("web", &text)).collect();
    let (leader, others) = leader_first(pods);
    wait_for_configurations(&[&leader, &others[0]], 1);
    lab.zookeeper().freeze(true);
    for pod in [&leader, &others[0]] {
        pod.wait_for_lines("the session is lost", 1);
        pod.wait_for("state", "follower");
        assert_eq!(pod.info()["process"], "running");
    }
    lab.zookeeper().freeze(false);
    settled(&lab, "web", 2, &[&leader, &others[0]]);
    let (leader, others) = leader_first([leader].into_iter().chain(others).collect());
    settled(&lab, "web", 2, &[&leader, &others[0]]);
    assert_eq!((leader.starts(), others[0].starts()), (1, 1));
    // The same pods with the same numbers came back.
    wait_for_configurations(&[&leader, &others[0]], 1);
}

#[test]
fn t11_a_pod_is_cut_off_and_returns() {
    let Some(lab) = Lab::open("t11_a_pod_is_cut_off_and_returns") else { return };
    let (leader, mut others) = grown(&lab, 2);
    let follower = others.remove(0);
    // A pod that is stopped neither pings ZooKeeper nor answers its leader.
    follower.signal(Signal::SIGSTOP);
    settled(&lab, "web", 1, &[&leader]);
    follower.signal(Signal::SIGCONT);
    settled(&lab, "web", 2, &[&leader, &follower]);
    assert_eq!((leader.starts(), follower.starts()), (1, 1));
    // One without it, one with it.
    wait_for_configurations(&[&leader], 4);
}

#[test]
fn t12_a_process_that_is_done_ends_its_pod() {
    let Some(lab) = Lab::open("t12_a_process_that_is_done_ends_its_pod") else { return };
    let pod = lab.pod("web", &["sleep", "0.3"]);
    pod.wait_for("process", "dead");
    pod.wait_for("state", "follower");
    assert_eq!(pod.code("/control/check"), 410);
    assert_eq!(pod.code("/log"), 200);
    assert_eq!(lab.children("web", "pods").len(), 1);
    assert_eq!(pod.stop().0, 0);
    assert_eq!(lab.children("web", "pods").len(), 0);
}

#[test]
fn t13_a_process_is_restarted_after_a_crash_with_the_same_configuration() {
    let Some(lab) = Lab::open("t13_a_process_is_restarted_after_a_crash_with_the_same_configuration") else { return };
    let pod = lab.pod("web", SLEEP);
    pod.wait_for("process", "running");
    kill(Pid::from_raw(pod.sub_process()), Signal::SIGKILL).unwrap();
    pod.wait_for_lines("INFO - started pid=", 2);
    pod.wait_for("process", "running");
    assert_eq!((pod.count("INFO - configured pods="), pod.count("exit=SIGKILL")), (1, 1));
}

#[test]
fn t14_the_embedded_registry_serves_pods_as_well() {
    let lab = Lab::embedded();
    let (mut leader, others) = grown(&lab, 3);
    leader.kill_9();
    until_so("the end of the session", SOON, || lab.children("web", "pods").len() == 2);
    let (next, rest) = leader_first(others);
    settled(&lab, "web", 2, &[&next, &rest[0]]);
    assert_eq!((next.starts(), rest[0].starts()), (1, 1));
    assert_eq!(next.stop().0, 0);
    settled(&lab, "web", 1, &[&rest[0]]);
}
