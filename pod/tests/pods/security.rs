//! What strangers cannot do.

use std::io::Write;
use std::net::TcpStream;

use ocho_tests::wait::until_so;

use crate::http::request;
use crate::lab::{Lab, SOON};

const TEXT: &str = "[process]\ncommand = \"sleep 1000\"\n";

#[test]
fn s01_with_a_token_only_signed_requests_come_in_and_leaders_sign() {
    let Some(lab) = Lab::open("s01_with_a_token_only_signed_requests_come_in_and_leaders_sign") else { return };
    let token = [("ochopod_control_token", "s3cret")];
    let pods = [lab.described_with("web", TEXT, &token), lab.described_with("web", TEXT, &token)];
    until_so("two pods in the snapshot", SOON, || lab.snapshot("web").len() == 2);
    for path in ["/info", "/log", "/reset", "/exec", "/control/on", "/control/kill"] {
        assert_eq!(pods[0].code(path), 401, "{path}");
    }
    assert_eq!(request(pods[0].port, "GET", "/healthz", &[], b"").unwrap().code, 200);
    // One that has another token cannot be configured, and nobody is harmed.
    let stranger = lab.described_with("web", TEXT, &[("ochopod_control_token", "other")]);
    until_so("a refusal", SOON, || pods.iter().any(|pod| pod.output().contains("answered check with 401")));
    // Their logs are closed to us, and what they print takes its way through a pipe.
    until_so("both started once", SOON, || [pods[0].starts(), pods[1].starts()] == [1, 1]);
    assert_eq!(stranger.starts(), 0);
}

#[test]
fn s02_s12_a_pod_can_do_without_a_shell() {
    let Some(lab) = Lab::open("s02_s12_a_pod_can_do_without_a_shell") else { return };
    let text = format!("shell_tool = false\n{TEXT}[tools.hello]\ncommand = [\"echo\", \"hello\"]\n");
    let pod = lab.described("web", &text);
    pod.wait_for("process", "running");
    let exec = |line: &str| request(pod.port, "POST", "/exec", &[("X-Shell", line)], b"").unwrap();
    assert_eq!(exec("shell ls").code, 404);
    assert_eq!(exec("hello 'you  there' $(id)").json()["stdout"][0], "hello you  there $(id)");
    assert_eq!(exec("hello 'open").json()["code"], 1);
}

#[test]
fn s06_secrets_of_the_environment_are_nowhere_to_be_read() {
    let Some(lab) = Lab::open("s06_secrets_of_the_environment_are_nowhere_to_be_read") else { return };
    let secrets = [("ochopod_github_token", "hunter2"), ("ochopod_control_password", "hunter2"), ("OTHER", "hunter2")];
    let pod = lab.described_with("web", TEXT, &secrets);
    pod.wait_for("process", "running");
    until_so("a pod in the snapshot", SOON, || lab.snapshot("web").len() == 1);
    let node = lab.children("web", "pods").remove(0);
    let registration = String::from_utf8(lab.node("web", &format!("pods/{node}")).unwrap()).unwrap();
    assert!(registration.contains("\"github_token\": \"******\""), "{registration}");
    let snapshot = String::from_utf8(lab.node("web", "snapshot").unwrap()).unwrap();
    for text in [registration, snapshot, pod.post("/info").body, pod.post("/log").body, pod.output()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn s08_many_and_large_requests_have_a_bound() {
    let Some(lab) = Lab::open("s08_many_and_large_requests_have_a_bound") else { return };
    let pod = lab.pod("web", &["sleep", "1000"]);
    pod.wait_for("process", "running");
    let large = vec![b' '; (16 << 20) + 1];
    assert_eq!(request(pod.port, "POST", "/control/signal", &[], &large).map_or(413, |answer| answer.code), 413);
    // Connections that say nothing take places, but not all of the pod's patience.
    let silent: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(("127.0.0.1", pod.port)).ok()).collect();
    assert_eq!(silent.len(), 200);
    assert_eq!(pod.code("/control/signal"), 200);
    drop(silent);
    // Neither do bodies that never end take all of its memory: the last ones are told that there is no room.
    let unfinished = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", pod.port)).unwrap();
        let head = format!("POST /control/signal HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 16 << 20);
        // The pod may close it in the midst of this.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&large[..15 << 20]));
        stream
    };
    let unfinished: Vec<TcpStream> = (0..10).map(unfinished).collect();
    assert_eq!(pod.code("/control/signal"), 200);
    drop(unfinished);
    let mut garbage = TcpStream::connect(("127.0.0.1", pod.port)).unwrap();
    garbage.write_all(b"\x16\x03\x01 nonsense\r\n\r\n").unwrap();
    assert_eq!(pod.info()["process"], "running");
}
