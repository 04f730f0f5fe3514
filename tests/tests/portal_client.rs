//! The original's clients against the host: line for line the replies that they know, where no ruling says otherwise.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use ocho_tests::marathon::Answer;
use ocho_tests::pods::Behaviour;
use ocho_tests::{FakeMarathon, PodScript, Pods, TestHost, programs, skip};
use serde_json::json;

const TOKEN: &str = "my cool secret token";

/// A cluster as the listings of the reference show one.
fn fixture() -> (TestHost, TestHost, Pods, FakeMarathon) {
    let marathon = FakeMarathon::start(|request| match request.method.as_str() {
        "POST" if request.path == "/v2/apps" => Answer::Json(409, json!({"message": "no room"})),
        "GET" if request.path.ends_with("/tasks") => Answer::Json(200, json!({"tasks": [{"id": "t3"}, {"id": "t12"}]})),
        _ => Answer::Json(200, json!({"version": "v", "deploymentId": "d"})),
    });
    let registry = TestHost::up().start();
    let mut pods = Pods::join(&registry.address("zookeeper"));
    let web = |task: &str| PodScript::running().of("ochopod.test.web-server-1", task);
    pods.add("test.web-server", 12, web("t12").process("stopped").on("i-0000000c", "").port(9000, 31003).log(&["x"]));
    let third = web("t3").on("i-00000003", "54.0.0.3").port(9000, 31002).log(&["line 4", "line 5"]);
    pods.add("test.web-server", 3, third.tool("run", 0, &["hello", "world"]).metrics(Some(json!({"depth": 3}))));
    pods.add("test.db", 0, PodScript::running().answers("/info", Behaviour::Json(500, json!({}))));
    let host = TestHost::serve(&marathon.address(), &registry.address("zookeeper")).token(TOKEN).start();
    (host, registry, pods, marathon)
}

/// Lets the client type these lines, and gives the transcript.
fn transcript(host: &TestHost, token: &str, lines: &[&str]) -> Option<String> {
    let client = programs::root().join("tests/python/portal_client.py");
    let mut python = Command::new(programs::python()?);
    python.arg(client).arg(host.address("portal")).arg(token).current_dir(host.work());
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let ended = python.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Some(String::from_utf8(ended.stdout).unwrap())
}

#[test]
fn what_the_command_line_knows() {
    let (host, _registry, pods, _marathon) = fixture();
    fs::write(host.work().join("c.yml"), "cluster: c\nimage: i\n").unwrap();
    fs::create_dir_all(host.work().join("jobs/deep")).unwrap();
    fs::write(host.work().join("jobs/a.py"), "print('a')\n").unwrap();
    fs::write(host.work().join("jobs/deep/b.py"), "print('b')\n").unwrap();
    let lines = [
        "cli help",
        "cli ls --help me",
        "cli foo ls",
        "cli ",
        "cli grep test.web*",
        "cli ls",
        "cli port 9000 test.*",
        "cli log test.web-server -i 3",
        "cli exec test.web-server --force run now jobs -i 3",
        "cli kill test.web-server",
        "cli kill test.web-server --for -i x",
        "cli deploy c.yml",
        "cli kill test.web-server --force",
        "cli grep nobody",
        "raw X-Nothing 1",
        "raw X-Shell help",
        "raw X-Shell help X-Signature sha1=8d81c6a0fab40bd563a78e8c97027c5331c042bd",
        "raw X-Shell help X-Signature SHA1=8D81C6A0FAB40BD563A78E8C97027C5331C042BD",
    ];
    let Some(said) = transcript(&host, TOKEN, &lines) else {
        return skip("what_the_command_line_knows", "the Python packages of the tests are not installed");
    };
    let said = said.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(said);
    let sent = pods.requests("test.web-server", 3).into_iter().find(|request| request.path == "/exec").unwrap();
    assert_eq!(sent.shell.as_deref(), Some("run now jobs.tgz"));
    assert!(String::from_utf8_lossy(&sent.body).contains("name=\"jobs.tgz\""));
}

#[test]
fn what_ci_scripts_know() {
    let (host, _registry, _pods, _marathon) = fixture();
    let lines = [
        "ci grep test.web*",
        "ci port 9000 test.*",
        "ci poll test.web*",
        "ci ls",
        "ci log test.web-server -i 3",
        "ci exec test.web-server --force run -i 3",
        "ci off test.web-server -i 12",
        "ci on test.web-server -i 12",
        "ci reset test.web-server -i 3 12",
        "ci scale test.web-server -f @2",
        "ci kill test.web-server -i 12",
        "ci grep nobody",
        "ci kill nobody --force",
    ];
    let Some(said) = transcript(&host, TOKEN, &lines) else {
        return skip("what_ci_scripts_know", "the Python packages of the tests are not installed");
    };
    insta::assert_snapshot!(said);
}
