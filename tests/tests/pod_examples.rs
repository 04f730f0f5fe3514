//! The pods of `examples/` on the cluster that `ochod up` brings, driven by nothing but `ocho cli`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use ocho_core::signature::{Token, sha256};
use ocho_tests::programs::{on_path, root};
use ocho_tests::runtime::block_on;
use ocho_tests::wait::{until, until_so};
use ocho_tests::{RealZooKeeper, TestHost, http, skip};
use ochopod::signing::sign_digest;
use serde_json::{Value, json};

/// Processes start and stop, on a machine that has other work.
const PATIENCE: Duration = Duration::from_secs(300);

/// A host with these images of `examples/images`, and their definitions in the folder where `ocho` runs.
fn host(images: &[&str]) -> TestHost {
    let mut plan = TestHost::up();
    for image in images {
        let entrypoint = root().join("examples/images").join(image).join("entrypoint");
        plan = plan.image(image, &format!("#!/bin/sh\nexec \"{}\"\n", entrypoint.display()));
    }
    let host = plan.start();
    for image in images {
        let file = format!("{image}.yml");
        fs::copy(root().join("examples").join(&file), host.work().join(&file)).unwrap();
    }
    host
}

/// What a tool says with `-j`, by pod or cluster. A pod that has nothing to say yet makes the tool fail, and says that too.
#[track_caller]
fn said(host: &TestHost, line: &[&str]) -> BTreeMap<String, Value> {
    let words: Vec<&str> = line.iter().chain(&["-j"]).copied().collect();
    let text = host.ocho(&words).stdout;
    serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{line:?}: {cause}: {text}"))
}

fn missing(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| on_path(name).is_none()).collect();
    if !missing.is_empty() {
        skip(test, &format!("not installed: {}", missing.join(", ")));
    }
    !missing.is_empty()
}

/// The part of each member in its ensemble, sorted: what `mntr` says on each pod.
fn parts(host: &TestHost) -> Vec<String> {
    let answers = said(host, &["exec", "*zookeeper", "--force", "mntr"]);
    let part = |answer: &Value| {
        let lines = answer["stdout"].as_array()?.iter().filter_map(Value::as_str);
        lines.filter_map(|line| line.strip_prefix("zk_server_state\t")).next().map(str::to_owned)
    };
    let mut parts: Vec<String> = answers.values().map(|answer| part(answer).unwrap_or_else(|| "none".to_owned())).collect();
    parts.sort();
    parts
}

#[test]
fn a_zookeeper_ensemble_of_three_is_scaled_to_five_by_ocho_alone() {
    let name = "a_zookeeper_ensemble_of_three_is_scaled_to_five_by_ocho_alone";
    if !RealZooKeeper::is_installed() {
        return skip(name, "no ZooKeeper: install Debian's package `zookeeper`");
    }
    if missing(name, &["bash"]) {
        return;
    }
    let host = host(&["zookeeper"]);
    let _ = host.ocho(&["deploy", "zookeeper.yml", "-p", "3", "-t", "300"]).ok();
    until_so("an ensemble of three", PATIENCE, || parts(&host) == ["follower", "follower", "leader"]);
    let _ = host.ocho(&["scale", "*zookeeper", "-f", "@5", "-t", "300"]).ok();
    let five = ["follower", "follower", "follower", "follower", "leader"];
    until_so("an ensemble of five", PATIENCE, || parts(&host) == five);
    until_so("the status of five", PATIENCE, || host.shell("ls -j").out.contains("5 of 5 serve, 1 leads"));
}

#[test]
fn web_servers_are_configured_when_there_is_a_redis() {
    if missing("web_servers_are_configured_when_there_is_a_redis", &["redis-server", "python3"]) {
        return;
    }
    let host = host(&["web-redis", "redis"]);
    // Nothing comes up yet, and `deploy` says so.
    let _ = host.ocho(&["deploy", "web-redis.yml", "-p", "2", "-t", "10"]);
    let states = |wanted: &str| {
        let pods = said(&host, &["grep", "*web-redis"]);
        pods.len() == 2 && pods.values().all(|pod| pod["process"] == wanted)
    };
    until_so("two pods that wait", PATIENCE, || states("stopped"));
    until_so("the reason", PATIENCE, || host.shell("ls -j").out.contains("answered check with 406"));
    let _ = host.ocho(&["deploy", "redis.yml", "-t", "300"]).ok();
    until_so("two pods that run", PATIENCE, || states("running"));
}

#[test]
fn the_smallest_pod_runs_and_ends() {
    let host = host(&["shell"]);
    let _ = host.ocho(&["deploy", "shell.yml", "-t", "300"]);
    let process = || said(&host, &["grep", "*shell"]).into_values().next().map(|pod| pod["process"].clone());
    until_so("its end", PATIENCE, || process() == Some(json!("dead")));
    until_so("its first and last words", PATIENCE, || host.shell("log *shell -j").out.contains("the process is done"));
    let _ = host.ocho(&["kill", "*shell", "--force", "-t", "300"]).ok();
    until_so("its leave", PATIENCE, || said(&host, &["grep", "*shell"]).is_empty());
}

/// What the pods of a cluster registered, in the order of their nodes' numbers.
fn registrations(host: &TestHost, cluster: &str) -> Vec<Value> {
    let folder = format!("/ochopod/clusters/{cluster}/pods");
    block_on(async {
        let client = zookeeper_client::Client::connect(&host.address("zookeeper")).await.expect("the registry answers");
        let mut nodes = client.list_children(&folder).await.unwrap_or_default();
        nodes.sort_by_key(|node| node.rsplit('.').next().map(str::to_owned));
        let mut found = Vec::new();
        for node in nodes {
            if let Ok((content, _)) = client.get_data(&format!("{folder}/{node}")).await {
                found.push(serde_json::from_slice(&content).expect("a registration is JSON"));
            }
        }
        found
    })
}

fn port_of(registration: &Value, inside: &str) -> String {
    format!("127.0.0.1:{}", registration["ports"][inside])
}

/// `POST` to a control port, signed or not.
fn post(address: &str, path: &str, shell: Option<&str>, token: Option<&str>) -> (u16, Value) {
    let token = token.map(|token| Token::new(token).unwrap());
    let signature = token.map(|token| sign_digest(&token, path, shell.unwrap_or_default().as_bytes(), sha256(b"")));
    let signature = signature.unwrap_or_default();
    let header = |name: &'static str| Some((name, signature.get(name)?.to_str().ok()?));
    let mut headers: Vec<_> = ["x-ocho-time", "x-ocho-nonce", "x-signature-256"].into_iter().filter_map(header).collect();
    headers.extend(shell.map(|line| ("x-shell", line)));
    let answer = http::request("POST", &format!("http://{address}{path}"), &headers);
    (answer.status, answer.json())
}

#[test]
fn the_hosts_own_pods_take_signed_orders_and_refuse_those_that_would_end_it() {
    let host = TestHost::up().token("s3cret").start();
    let portal = until("the portal's pod", PATIENCE, || registrations(&host, "marathon.portal").pop());
    let control = port_of(&portal, "8080");
    for path in ["/control/off", "/control/kill/5", "/control/on", "/control/signal", "/reset", "/exec"] {
        let (status, body) = post(&control, path, None, None);
        let why = body["error"].as_str().unwrap_or_default();
        assert!(status == 401 && why.contains("takes signed requests only"), "{path}: {status} {body}");
        assert_eq!(post(&control, path, None, Some("other")).0, 401, "{path}");
    }
    for path in ["/control/off", "/control/kill/5", "/control/on", "/control/signal", "/reset"] {
        let refused = json!({"code": "host-pod", "error": "this pod is the host itself; stop it where it runs"});
        assert_eq!(post(&control, path, None, Some("s3cret")), (406, refused), "{path}");
    }
    assert_eq!((post(&control, "/control/check/5", None, None).0, post(&control, "/info", None, None).0), (200, 200));
    // The portal's pod has no tools, the servo's has: what they say is theirs.
    assert_eq!(post(&control, "/exec", Some("run x"), Some("s3cret")).0, 404);
    let servo = until("the servo's pod", PATIENCE, || registrations(&host, "marathon.servo").pop());
    let said = post(&port_of(&servo, "8080"), "/exec", Some("frobnicate"), Some("s3cret"));
    assert_ne!(said.0, 401, "{said:?}");
    assert!(host.shell("ls").ok, "it lives");
}

#[test]
fn a_host_signs_for_pods_that_ask_for_it() {
    let entrypoint = "#!/bin/sh\nochopod_control_token=pods exec ochopod run -- sleep 1000\n";
    for (token, heard) in [(None, false), (Some("pods"), true)] {
        let mut plan = TestHost::up().image("guarded", entrypoint);
        if let Some(token) = token {
            plan = plan.env("OCHOD_POD_TOKEN", token);
        }
        let host = plan.start();
        fs::write(host.work().join("guarded.yml"), "cluster: guarded\nimage: guarded\nverbatim:\n  cpus: 0.1\n  mem: 32\n")
            .unwrap();
        // A pod that tells a host nothing is not up as far as the host can see.
        let deployed = host.ocho(&["deploy", "guarded.yml", "--strict", "-t", if heard { "300" } else { "10" }]);
        assert_eq!(deployed.code == 0, heard, "{} {}", deployed.stdout, deployed.stderr);
        if heard {
            let process = || said(&host, &["grep", "*guarded"]).into_values().next().map(|pod| pod["process"].clone());
            until_so("its process", PATIENCE, || process() == Some(json!("running")));
            let _ = host.ocho(&["off", "*guarded", "--force", "-t", "300"]).ok();
            assert_eq!(process(), Some(json!("stopped")));
        }
    }
}

#[test]
fn a_servo_is_deployed_on_the_embedded_cluster() {
    let host = host(&[]);
    fs::copy(root().join("examples/servo.yml"), host.work().join("servo.yml")).unwrap();
    // The first start compiles the tools.
    let deployed = host.ocho(&["deploy", "servo.yml", "--strict", "-t", "300", "-j"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&deployed).unwrap(), json!({"servo.yml": {"ok": true, "up": [1]}}));
    let pods = said(&host, &["grep", "*servo"]);
    assert_eq!(pods.keys().collect::<Vec<_>>(), ["marathon.servo #0", "marathon.servo #1"]);
    // It is a servo: without a signature it runs nothing.
    let servo = registrations(&host, "marathon.servo").pop().unwrap();
    let answer = http::request("POST", &format!("http://{}/run/x", port_of(&servo, "5000")), &[]);
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(servo["application"].as_str().map(|app| app.starts_with("ochopod.marathon.servo-")), Some(true), "{servo}");
    // Nobody else's pattern ends it.
    let _ = host.ocho(&["kill", "*servo", "--force", "-t", "20"]);
    assert_eq!(registrations(&host, "marathon.servo").len(), 2);
}
