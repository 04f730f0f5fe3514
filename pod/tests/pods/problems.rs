//! Weaknesses of the original that are not to come back. Those that plain values show stand beside the code.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ocho_tests::runtime::block_on;
use ocho_tests::wait::until_so;
use serde_json::{Value, json};

use crate::lab::{LONG_SESSION, Lab, Pod, SESSION, SOON, is_alive, leader_first, wait_for_configurations};

const SLEEP: &[&str] = &["sleep", "1000"];

#[test]
fn b01_a_dead_pod_gives_the_lead_up() {
    let Some(lab) = Lab::open("b01_a_dead_pod_gives_the_lead_up") else { return };
    let (leader, others) = leader_first(vec![lab.pod("web", SLEEP), lab.pod("web", SLEEP)]);
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    assert_eq!(leader.code("/control/kill"), 200);
    leader.wait_for("state", "follower");
    others[0].wait_for("state", "leader");
    until_so("b02: one pod in the snapshot", SOON, || lab.snapshot("web").len() == 1);
    assert_eq!(lab.children("web", "pods").len(), 2, "tools still find the dead one");
    assert_eq!(lab.children("web", "coordinator").len(), 1);
    assert_eq!(others[0].starts(), 1);
}

#[test]
fn b06_a_registration_is_never_seen_half_written() {
    let Some(lab) = Lab::open("b06_a_registration_is_never_seen_half_written") else { return };
    let folder = format!("/ochopod/clusters/{}/pods", lab.name("web"));
    let pods: Vec<Pod> = (0..6).map(|_| lab.pod("web", SLEEP)).collect();
    let mut complete = std::collections::BTreeSet::new();
    block_on(async {
        let client = lab.client().await;
        let end = Instant::now() + SOON;
        while complete.len() < pods.len() {
            assert!(Instant::now() < end, "{complete:?}");
            for name in client.list_children(&folder).await.unwrap_or_default() {
                let Ok((content, _)) = client.get_data(&format!("{folder}/{name}")).await else { continue };
                let pod: Value = serde_json::from_slice(&content).expect("complete from the first moment");
                assert!(pod["seq"].is_u64() && pod["ports"].is_object(), "{pod}");
                complete.insert(name);
            }
        }
    });
    until_so("all numbers are their nodes' numbers", SOON, || {
        lab.snapshot("web").len() == 6
            && lab.children("web", "pods").iter().all(|name| {
                let (key, number) = name.split_once('.').unwrap();
                lab.snapshot("web").get(key).is_some_and(|pod| pod["seq"] == number.parse::<u32>().unwrap())
            })
    });
}

#[test]
fn b09_candidates_keep_their_places() {
    let Some(lab) = Lab::open("b09_candidates_keep_their_places") else { return };
    let (mut leader, others) = leader_first((0..3).map(|_| lab.pod("web", SLEEP)).collect());
    until_so("three candidates", SOON, || lab.children("web", "coordinator").len() == 3);
    let before = lab.children("web", "coordinator");
    // As long as a session takes to end, the original would have queued anew.
    leader.kill_9();
    until_so("two candidates", SOON, || lab.children("web", "coordinator").len() == 2);
    assert!(lab.children("web", "coordinator").iter().all(|name| before.contains(name)));
    drop(others);
}

#[test]
fn b12_a_pod_can_follow_its_peers() {
    let Some(lab) = Lab::open("b12_a_pod_can_follow_its_peers") else { return };
    let text = "[process]\ncommand = \"sleep 1000\"\ngrace = \"5s\"\n[cluster]\nfollow_peers = true\n";
    let first = lab.described("web", text);
    first.wait_for("process", "running");
    let _second = lab.described("web", text);
    first.wait_for_lines("INFO - configured pods=2", 1);
    first.wait_for_lines("INFO - started pid=", 2);
}

#[test]
fn b13_b14_b22_a_pod_that_is_stopped_leaves_nothing_behind() {
    let Some(lab) = Lab::open("b13_b14_b22_a_pod_that_is_stopped_leaves_nothing_behind") else { return };
    let (child, last) = (lab.folder().join("child"), lab.folder().join("last"));
    let text = format!(
        "[process]\nshell = true\ncommand = \"sleep 1000 & echo $! > {}; wait\"\n[hooks]\nfinalize = [\"touch\", \"{}\"]\n",
        child.display(),
        last.display()
    );
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let pod = lab.described("web", &text);
        pod.wait_for("process", "running");
        let pid = || std::fs::read_to_string(&child).ok().and_then(|text| text.trim().parse::<i32>().ok());
        until_so("a child of the shell", SOON, || pid().is_some());
        let (shell, grandchild) = (pod.sub_process(), pid().unwrap());
        pod.signal(signal);
        assert_eq!(pod.stop().0, 0);
        // Those that are killed and not waited for take a moment to go.
        until_so("the end of its whole group", SOON, || !is_alive(shell) && !is_alive(grandchild));
        assert!(lab.children("web", "pods").is_empty(), "its registration goes at once");
        std::fs::remove_file(&last).expect("`finalize` was called");
        std::fs::remove_file(&child).unwrap();
    }
}

#[test]
fn b19_off_is_remembered_and_shown() {
    let Some(lab) = Lab::open("b19_off_is_remembered_and_shown") else { return };
    let pod = lab.pod("web", SLEEP);
    pod.wait_for("process", "running");
    assert_eq!(pod.code("/control/off"), 200);
    let second = lab.pod("web", SLEEP);
    second.wait_for("process", "running");
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    let info = pod.info();
    assert_eq!((&info["process"], pod.starts()), (&"stopped".into(), 1));
    assert_eq!(info["detail"], "turned off by request; `on` starts it");
    assert_eq!(pod.code("/control/on"), 200);
    let info = pod.info();
    assert_eq!((&info["process"], &info["detail"]), (&"running".into(), &Value::Null));
}

#[test]
fn b27_metrics_that_are_no_json_are_left_out() {
    let Some(lab) = Lab::open("b27_metrics_that_are_no_json_are_left_out") else { return };
    let text = "[process]\ncommand = \"sleep 1000\"\n[metrics]\ncommand = \"echo nonsense\"\n";
    let pod = lab.described("web", text);
    pod.wait_for_lines("cannot measure error=the metrics are no JSON object", 1);
    let info = pod.info();
    assert_eq!((&info["process"], &info["metrics"]), (&json!("running"), &json!({})));
}

#[test]
fn b31_b33_a_pod_that_cannot_start_says_so_with_its_exit_code() {
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ochopod"));
        command.env_clear().envs(variables.iter().copied()).args(arguments);
        let ended = ocho_tests::command::run(&mut command, SOON);
        (ended.code, ended.stderr)
    };
    let plain = ["run", "--", "true"];
    let (code, text) = run(&[], &plain);
    assert_eq!(code, 2);
    assert!(text.starts_with("ochopod: `MARATHON_APP_ID` is not set"), "{text}");
    let task = [("MARATHON_APP_ID", "/a"), ("MESOS_TASK_ID", "t"), ("ochopod_zk", "z:1"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let (code, text) = run(&[&task[..], &[("HOST", "no such host")]].concat(), &plain);
    assert_eq!(code, 2);
    assert!(text.starts_with("ochopod: `HOST` is `no such host`, which has no IPv4 address"), "{text}");
    let (code, text) = run(&task, &["run", "/no/such/pod.toml"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("ochopod: cannot read `/no/such/pod.toml`: "), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = run(&[&task[..], &[("HOST", "127.0.0.1"), ("PORT_8080", &port)]].concat(), &plain);
    assert_eq!(code, 2);
    assert!(text.starts_with(&format!("ochopod: cannot listen on 127.0.0.1:{port}: ")), "{text}");
}

#[test]
fn b35_the_leader_watches() {
    let Some(mut lab) = Lab::alone("b35_the_leader_watches", SESSION) else { return };
    let _pods: Vec<Pod> = (0..3).map(|_| lab.pod("web", SLEEP)).collect();
    until_so("three pods in the snapshot", SOON, || lab.snapshot("web").len() == 3);
    let port = lab.zookeeper().address().rsplit_once(':').unwrap().1.parse().unwrap();
    let watches = || {
        let monitor = ocho_tests::zookeeper::ask(port, "mntr").unwrap_or_default();
        let line = monitor.lines().find_map(|line| line.strip_prefix("zk_watch_count\t").map(str::to_owned));
        line.and_then(|count| count.trim().parse::<f64>().ok()).unwrap_or_default()
    };
    // The folder of the pods, each of its three nodes, the leader's own lock node, and two candidates that watch the one ahead.
    until_so("seven watches", SOON, || watches() >= 7.0);
}

#[test]
fn b36_a_short_silence_of_zookeeper_costs_nothing() {
    let Some(mut lab) = Lab::alone("b36_a_short_silence_of_zookeeper_costs_nothing", LONG_SESSION) else { return };
    let (leader, others) = leader_first(vec![lab.pod("web", SLEEP), lab.pod("web", SLEEP)]);
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    let nodes = (lab.children("web", "pods"), lab.children("web", "coordinator"));
    lab.zookeeper().freeze(true);
    leader.wait_for_lines("zookeeper is silent", 1);
    lab.zookeeper().freeze(false);
    leader.wait_for_lines("zookeeper is back", 1);
    assert_eq!((lab.children("web", "pods"), lab.children("web", "coordinator")), nodes);
    assert_eq!((leader.count("INFO - leading"), others[0].count("INFO - leading")), (1, 0));
}

#[test]
fn b39_a_slow_probe_does_not_hold_configurations_up() {
    let Some(lab) = Lab::open("b39_a_slow_probe_does_not_hold_configurations_up") else { return };
    let text = "[process]\ncommand = \"sleep 1000\"\n[probe]\ncommand = \"sleep 1000\"\ntimeout = \"1h\"\n";
    let first = lab.described("web", text);
    first.wait_for_lines("INFO - the cluster is configured", 1);
    let second = lab.described("web", text);
    second.wait_for("process", "running");
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
}

#[test]
fn a_probe_gives_the_status() {
    let Some(lab) = Lab::open("a_probe_gives_the_status") else { return };
    let text = "[process]\ncommand = \"sleep 1000\"\n[probe]\ncommand = [\"echo\", \"{{ size }} of 1 is fine\"]\n";
    lab.described("web", text).wait_for("status", "1 of 1 is fine");
    let failing = "[process]\ncommand = \"sleep 1000\"\n[probe]\nshell = true\ncommand = \"echo too bad >&2; exit 3\"\n";
    lab.described("other", failing).wait_for("status", "* `/bin/sh` ended with 3: too bad");
}

#[test]
fn b48_a_leader_waits_until_it_has_seen_its_dependencies() {
    let Some(lab) = Lab::open("b48_a_leader_waits_until_it_has_seen_its_dependencies") else { return };
    let db = lab.pod("db", SLEEP);
    db.wait_for("process", "running");
    until_so("a pod in the snapshot", SOON, || lab.snapshot("db").len() == 1);
    let text = "[process]\ncommand = \"sleep 1000\"\n[cluster]\ndepends_on = [\"db\", \"d*\", \"/*.nothing\"]\n";
    let api = lab.described("api", text);
    until_so("a pod in the snapshot", SOON, || lab.snapshot("api").len() == 1);
    wait_for_configurations(&[&api], 1);
    assert_eq!(api.starts(), 1);
}

#[test]
fn b49_a_configuration_that_fails_is_tried_again() {
    let Some(lab) = Lab::open("b49_a_configuration_that_fails_is_tried_again") else { return };
    let flag = lab.folder().join("flag");
    let text = format!("[process]\ncommand = \"sleep 1000\"\n[hooks]\ninitialize = [\"cat\", \"{}\"]\n", flag.display());
    let pod = lab.described("web", &text);
    pod.wait_for_lines("answered on with 406", 1);
    assert_eq!(pod.info()["process"], "stopped");
    std::fs::write(&flag, "").unwrap();
    pod.wait_for("process", "running");
    assert_eq!(pod.starts(), 1);
}

#[test]
fn a_process_that_does_not_end_is_left_behind_where_that_is_wanted() {
    let Some(lab) = Lab::open("a_process_that_does_not_end_is_left_behind_where_that_is_wanted") else { return };
    let text =
        "[process]\nshell = true\ncommand = \"trap '' TERM; while :; do sleep 0.1; done\"\ngrace = \"300ms\"\nsoft = true\n";
    let pod = lab.described("web", text);
    pod.wait_for("process", "running");
    let pid = pod.sub_process();
    // The shell needs a moment to set its trap.
    until_so("the loop", SOON, || {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).is_ok_and(|text| !text.is_empty())
    });
    assert_eq!(pod.code("/control/off"), 200);
    assert_eq!(pod.info()["process"], "stopped");
    assert!(is_alive(pid));
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[test]
fn the_output_of_the_process_can_go_into_the_log() {
    let Some(lab) = Lab::open("the_output_of_the_process_can_go_into_the_log") else { return };
    let text =
        "[process]\nshell = true\noutput = \"log\"\ncommand = \"echo out; echo err >&2; printf 'a\\\\377b'; exec sleep 1000\"\n";
    let pod = lab.described("web", text);
    pod.wait_for("process", "running");
    let log = || pod.post("/log").json().to_string();
    until_so("all lines", SOON, || [" : out\\n", " : err\\n"].iter().all(|line| log().contains(line)));
    assert!(pod.stop().1.contains(" : a\u{fffd}b"));
}

#[test]
fn a_sub_process_knows_its_place() {
    let Some(lab) = Lab::open("a_sub_process_knows_its_place") else { return };
    let text = "[process]\nshell = true\noutput = \"log\"\ncommand = \"env; exec sleep 1000\"\nenvironment = { GREETING = \"hello {{ cluster }}\" }\n";
    let pod = lab.described_with("web", text, &[("ochopod_x", "y"), ("ochopod_control_token", "")]);
    pod.wait_for_lines(" : GREETING=hello web", 1);
    for line in ["OCHO_POD_INDEX=0", "OCHO_POD_SIZE=1", "OCHO_POD_SEQ=0", "ochopod_start=true", "ochopod_x=y", "HOST=127.0.0.1"] {
        pod.wait_for_lines(&format!(" : {line}"), 1);
    }
    pod.wait_for_lines("\"dependencies\": []", 1);
}

#[test]
fn orphans_are_buried() {
    let Some(lab) = Lab::open("orphans_are_buried") else { return };
    // The inner shell ends at once, and its child has no parent then.
    let text = "[process]\nshell = true\ncommand = \"sh -c 'setsid sleep 0.2 &'; exec sleep 1000\"\n";
    let pod = lab.described("web", text);
    pod.wait_for_lines("an orphan ended", 1);
    assert_eq!(pod.info()["process"], "running");
    assert_eq!(pod.count("cannot tell how the process ended"), 0);
}

#[test]
fn a_check_that_fails_turns_the_process_off() {
    let Some(lab) = Lab::open("a_check_that_fails_turns_the_process_off") else { return };
    let flag = lab.file("well", "");
    let text = format!(
        "[process]\ncommand = \"sleep 1000\"\ngrace = \"5s\"\n[check]\ncommand = [\"cat\", \"{}\"]\nevery = 0.2\nfailures = 2\nwarm_up = 0\n\
         [metrics]\ncommand = \"echo {{\\\"x\\\": 1}}\"\nshell = false\n",
        flag.display()
    );
    let pod = lab.described("web", &text);
    pod.wait_for("process", "running");
    until_so("metrics", SOON, || pod.info()["metrics"] == json!({"x": 1}));
    std::fs::remove_file(flag).unwrap();
    pod.wait_for("process", "stopped");
    assert_eq!(pod.count("a hook failed hook=sanity_check"), 2);
    assert_eq!(pod.starts(), 1);
}

#[test]
fn an_idle_pod_rests() {
    let Some(lab) = Lab::open("an_idle_pod_rests") else { return };
    let pod = lab.pod("web", SLEEP);
    pod.wait_for("process", "running");
    let stat = || {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", pod.id())).unwrap();
        let fields: Vec<u64> = text.rsplit_once(") ").unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
        // User and system time in hundredths of a second; the state is no number and not among them.
        fields[10] + fields[11]
    };
    let (start, before) = (Instant::now(), stat());
    until_so("some seconds of rest", SOON, || start.elapsed() > Duration::from_secs(5));
    // 0.2 % would be one hundredth. A test beside others gets more: what it finds is a pod that spins or polls.
    assert!(stat() - before <= 20, "{} hundredths in 5 s", stat() - before);
}

#[test]
fn b25_a_change_reaches_the_next_cluster_and_stops_there() {
    let Some(lab) = Lab::open("b25_a_change_reaches_the_next_cluster_and_stops_there") else { return };
    let needs = |name: &str| {
        format!("[process]\ncommand = \"sleep 1000\"\n[cluster]\ndepends_on = [\"{name}\"]\n[[needs]]\ndependency = \"{name}\"\n")
    };
    let _db = lab.pod("db", SLEEP);
    let api = lab.described("api", &needs("db"));
    let web = lab.described("web", &needs("api"));
    web.wait_for("process", "running");
    wait_for_configurations(&[&web], 1);
    let _another = lab.pod("db", SLEEP);
    until_so("a second start of api", SOON, || api.starts() == 2);
    wait_for_configurations(&[&api], 2);
    assert_eq!((web.starts(), web.configurations()), (1, 1), "api's pods are the same");
}

#[test]
fn b34_after_the_last_pod_only_folders_are_left_and_numbers_go_on() {
    let Some(lab) = Lab::open("b34_after_the_last_pod_only_folders_are_left_and_numbers_go_on") else { return };
    let pod = lab.pod("web", SLEEP);
    pod.wait_for("state", "leader");
    until_so("a snapshot", SOON, || lab.snapshot("web").len() == 1);
    assert_eq!(pod.stop().0, 0);
    assert_eq!(lab.children("web", ""), ["coordinator", "hash", "pods"]);
    for folder in ["coordinator", "pods"] {
        assert!(lab.children("web", folder).is_empty(), "{folder}");
    }
    let _next = lab.pod("web", SLEEP);
    until_so("the next number", SOON, || lab.snapshot("web").values().any(|pod| pod["seq"] == 1));
}

#[test]
fn b37_a_pod_stops_while_zookeeper_hangs() {
    let Some(mut lab) = Lab::alone("b37_a_pod_stops_while_zookeeper_hangs", SESSION) else { return };
    let (leader, others) = leader_first((0..2).map(|_| lab.pod("web", SLEEP)).collect());
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    lab.zookeeper().freeze(true);
    // A reset that cannot be done yet holds nothing up either.
    assert_eq!(leader.code("/reset"), 200);
    let ended = [leader.stop().0, others.into_iter().map(|pod| pod.stop().0).sum()];
    lab.zookeeper().freeze(false);
    assert_eq!(ended, [0, 0]);
}
