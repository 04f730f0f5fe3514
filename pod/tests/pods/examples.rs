//! The pods of `examples/images`, with the programs that they need.

use std::path::PathBuf;

use ocho_tests::programs::{on_path, root};
use ocho_tests::server::nobody;
use ocho_tests::skip;
use ocho_tests::wait::until_so;
use serde_json::Value;

use crate::http::request;
use crate::lab::{LONG_SESSION, Lab, Pod, SOON};

fn folder(image: &str) -> PathBuf {
    root().join("examples/images").join(image)
}

/// A pod of an example, with free ports for those that it wants and a folder of its own.
fn start(lab: &Lab, image: &str, ports: &[u16], nth: usize) -> Pod {
    let path = folder(image);
    let home = lab.folder().join(format!("{image}-{nth}"));
    std::fs::create_dir_all(&home).unwrap();
    let mut variables = vec![("here".to_owned(), path.display().to_string())];
    variables.extend(ports.iter().map(|port| (format!("PORT_{port}"), nobody().port().to_string())));
    lab.start_in(&home, image, &["run", &path.join("pod.toml").display().to_string()], &variables)
}

#[test]
fn every_description_passes_its_check() {
    for image in ["zookeeper", "redis", "web-redis"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ochopod"));
        command.arg("check").arg(folder(image).join("pod.toml")).env("here", "/here");
        let text = ocho_tests::command::run(&mut command, SOON).ok();
        assert!(text.contains("is a description of a pod"), "{text}");
    }
}

/// What members say about themselves.
fn states(pods: &[Pod]) -> Vec<String> {
    let mut states: Vec<String> = pods.iter().map(mntr).collect();
    states.sort();
    states
}

fn mntr(pod: &Pod) -> String {
    let answer = request(pod.port, "POST", "/exec", &[("X-Shell", "mntr")], b"").map(|answer| answer.json());
    let lines = answer.as_ref().and_then(|answer| answer["stdout"].as_array()).cloned().unwrap_or_default();
    let state = |line: &Value| line.as_str()?.strip_prefix("zk_server_state\t").map(str::to_owned);
    lines.iter().find_map(state).unwrap_or_else(|| "none".to_owned())
}

#[test]
fn an_ensemble_of_three_grows_to_five() {
    let name = "an_ensemble_of_three_grows_to_five";
    let Some(lab) = Lab::open(name) else { return };
    if on_path("bash").is_none() {
        return skip(name, "no bash");
    }
    let start = |nth| start(&lab, "zookeeper", &[2181, 2888, 3888], nth);
    let mut pods: Vec<Pod> = (0..3).map(start).collect();
    until_so("an ensemble of three", SOON * 2, || states(&pods) == ["follower", "follower", "leader"]);
    until_so("the status of it", SOON, || {
        pods.iter().filter_map(Pod::try_info).any(|info| info["status"] == "3 of 3 serve, 1 leads")
    });
    pods.extend((3..5).map(start));
    until_so("an ensemble of five", SOON * 3, || states(&pods) == ["follower", "follower", "follower", "follower", "leader"]);
    // Those that come within the damper are configured together; on a machine that is very slow the fifth comes after it.
    let configured: Vec<usize> = pods.iter().map(|pod| pod.count("INFO - configured pods=")).collect();
    let outputs = || pods.iter().map(Pod::output).collect::<Vec<_>>().join("\n\n");
    let as_wanted = [[2, 2, 2, 1, 1], [3, 3, 3, 2, 1], [3, 3, 3, 1, 2]].iter().any(|wanted| configured == wanted);
    assert!(as_wanted, "{configured:?}\n{}", outputs());
}

#[test]
fn web_servers_wait_for_redis() {
    let name = "web_servers_wait_for_redis";
    let Some(lab) = Lab::open(name) else { return };
    for program in ["redis-server", "python3"] {
        if on_path(program).is_none() {
            return skip(name, &format!("no `{program}`"));
        }
    }
    let web: Vec<Pod> = (0..2).map(|nth| start(&lab, "web-redis", &[80], nth)).collect();
    until_so("a refusal", SOON, || web.iter().any(|pod| pod.output().contains("answered check with 406")));
    assert_eq!([web[0].starts(), web[1].starts()], [0, 0]);
    let redis = start(&lab, "redis", &[6379], 0);
    for pod in &web {
        pod.wait_for("process", "running");
    }
    let address = lab.snapshot("redis").values().next().map(|pod| format!("127.0.0.1:{}", pod["ports"]["6379"])).unwrap();
    let page = |pod: &Pod| {
        let info = pod.info();
        let port = info["ports"]["80"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
        request(port, "GET", "/", &[], b"").map(|answer| answer.body).unwrap_or_default()
    };
    for pod in &web {
        until_so("a page with the address of redis", SOON, || page(pod).contains(&format!("redis is at {address}")));
    }
    drop(redis);
}

#[test]
fn the_smallest_pod_outlives_a_restart_of_zookeeper() {
    let Some(mut lab) = Lab::alone("the_smallest_pod_outlives_a_restart_of_zookeeper", LONG_SESSION) else { return };
    // It runs until it may end, so that it is seen to run.
    let pod = lab.pod("shell", &["sh", "-c", "echo hello; until [ -e enough ]; do sleep 0.1; done"]);
    pod.wait_for("process", "running");
    lab.zookeeper().restart();
    assert_eq!(pod.info()["process"], "running");
    lab.file("enough", "");
    pod.wait_for("process", "dead");
    assert_eq!((pod.starts(), pod.code("/log")), (1, 200));
    until_so("its registration", SOON, || lab.children("shell", "pods").len() == 1);
}
