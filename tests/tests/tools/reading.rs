//! `port`, `log`, `exec`: their exact texts.

use ocho_tests::{PodScript, Pods, TestHost};
use serde_json::json;

fn fixture() -> (TestHost, Pods) {
    let host = TestHost::up().start();
    let mut pods = Pods::join(&host.address("zookeeper"));
    pods.add("test.web", 12, PodScript::running().port(9000, 31003).log(&["x"]).tool("run", 0, &["hello", "world"]));
    pods.add("test.web", 3, PodScript::running().on("i-3", "54.0.0.3").port(9000, 31002).log(&["a", "b"]).tool("run", 2, &[]));
    pods.add("test.db", 0, PodScript::running());
    (host, pods)
}

#[test]
fn port_prints_a_table() {
    let (host, _pods) = fixture();
    let expected = [
        "<test.*> -> 66% replies (2 pods total) ->",
        "",
        "pod           |  pod IP     |  public IP  |  port ",
        "              |             |             |       ",
        "test.web #3   |  127.0.0.1  |  54.0.0.3   |  31002",
        "test.web #12  |  127.0.0.1  |             |  31003",
    ];
    assert_eq!(host.shell("port 9000 test.*").success(), expected.join("\n"));
    let json = json!({
        "test.web #3": {"ip": "127.0.0.1", "public": "54.0.0.3", "ports": "31002"},
        "test.web #12": {"ip": "127.0.0.1", "public": "", "ports": "31003"},
    });
    assert_eq!(host.shell("port 9000 test.* -j").json(), json);
    assert_eq!(host.shell("port 1234 test.*").success(), "");
    assert!(host.shell("port http").failure().starts_with("error: argument port: invalid int value: 'http'\n\nusage: port "));
}

#[test]
fn log_prints_the_lines_of_each_pod() {
    let (host, _pods) = fixture();
    let expected =
        "<test.*> -> 100% replies (3 pods total) ->\n- test.db #0\n\n  \n- test.web #3\n\n  a\n  b\n\n- test.web #12\n\n  x\n";
    assert_eq!(host.shell("log test.*").success(), expected);
    assert_eq!(host.shell("log -j test.web -i 3").json(), json!({"test.web #3": ["a", "b"]}));
    // The host's own log is a pod's log too.
    assert!(
        host.shell("log -l *portal*").success().starts_with("<*portal*> -> 100% replies (1 pods total) ->\n- marathon.portal #0")
    );
}

#[test]
fn exec_prints_what_each_tool_prints() {
    let (host, pods) = fixture();
    let expected = "<test.web> -> 100% replies (2 pods total) ->\n\n- test.web #3 (exit code 2)\n- test.web #12 (exit code 0)\n\n hello\n world\n";
    // A tool that fails makes the whole a failure; the text and the JSON tell of all.
    assert_eq!(host.shell("exec test.web run now --force").failure(), expected);
    let reply = host.shell("exec test.web --force run now -j");
    assert_eq!(
        reply.json(),
        json!({"test.web #3": {"code": 2, "stdout": []}, "test.web #12": {"code": 0, "stdout": ["hello", "world"]}})
    );
    assert!(!reply.ok && host.shell("exec test.web run -i 12").ok);
    let asked: Vec<_> = pods.requests("test.web", 12).into_iter().filter_map(|request| request.shell).collect();
    assert_eq!(asked, ["run now", "run now", "run"]);
}

#[test]
fn exec_sends_the_files_that_it_names() {
    let (host, pods) = fixture();
    let reply = host.call("exec test.web run --verbose a.yml -i 12").file("a.yml", "the content").file("b.yml", "no").send();
    assert!(reply.ok, "{}", reply.body);
    let request = pods.requests("test.web", 12).pop().unwrap();
    assert_eq!(request.shell.as_deref(), Some("run --verbose a.yml"));
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.contains("name=\"a.yml\"") && body.contains("the content") && !body.contains("b.yml"), "{body}");
    // Nothing outside of the run's folder is a file of the command.
    assert!(host.shell("exec test.web run /etc/hostname -i 12").ok);
    assert!(pods.requests("test.web", 12).pop().unwrap().body.is_empty());
}
