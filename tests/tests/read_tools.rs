//! `ls`, `grep`, `poll`: their exact texts, and a pod that says nothing.

use std::time::{Duration, Instant};

use ocho_tests::{PodScript, Pods, TestHost};
use serde_json::json;

fn fixture() -> (TestHost, Pods) {
    let host = TestHost::up().start();
    let mut pods = Pods::join(&host.address("zookeeper"));
    let metrics = json!({"token": "", "uptime": "0.02 hours (pid 9)"});
    let gateway = PodScript::running().on("i-00000000", "").leader("* all is well").metrics(Some(metrics));
    pods.add("test.gateway", 0, gateway);
    pods.add("test.web-server", 12, PodScript::running().on("i-0000000c", "").process("stopped"));
    pods.add("test.web-server", 3, PodScript::running().on("i-00000003", "54.0.0.3").metrics(None));
    (host, pods)
}

/// Shows where lines end: blanks there are part of the format.
fn visible(text: &str) -> String {
    text.lines().map(|line| format!("{line}$\n")).collect()
}

#[test]
fn grep_prints_a_table() {
    let (host, _pods) = fixture();
    insta::assert_snapshot!(visible(&host.shell("grep test.*").success()), @r"
    <test.*> -> 100% replies (3 pods total) ->$
    $
    pod                  |  pod IP     |  node        |  process  |  state   $
                         |             |              |           |          $
    test.gateway #0      |  127.0.0.1  |  i-00000000  |  running  |  leader  $
    test.web-server #3   |  127.0.0.1  |  i-00000003  |  running  |  follower$
    test.web-server #12  |  127.0.0.1  |  i-0000000c  |  stopped  |  follower$
    ");
}

#[test]
fn grep_prints_json() {
    let (host, _pods) = fixture();
    let pods = host.shell("grep test.web* -j").json();
    assert_eq!(
        pods,
        json!({
            "test.web-server #3": {"ip": "127.0.0.1", "node": "i-00000003", "process": "running", "state": "follower"},
            "test.web-server #12": {"ip": "127.0.0.1", "node": "i-0000000c", "process": "stopped", "state": "follower"},
        })
    );
}

#[test]
fn poll_shows_metrics() {
    let (host, _pods) = fixture();
    insta::assert_snapshot!(visible(&host.shell("poll test.*").success()), @r#"
    <test.*> -> 66% replies (2 pods total) ->$
    $
    pod                  |  metrics                                      $
                         |                                               $
    test.gateway #0      |  {"token": "", "uptime": "0.02 hours (pid 9)"}$
    test.web-server #12  |  {}                                           $
    "#);
    let pods = host.shell("poll -j test.*").json();
    assert_eq!(pods, json!({"test.gateway #0": {"token": "", "uptime": "0.02 hours (pid 9)"}, "test.web-server #12": {}}));
}

#[test]
fn ls_counts_by_cluster() {
    let (host, _pods) = fixture();
    let clusters = host.shell("ls -j").json();
    assert_eq!(clusters["test.gateway"], json!({"status": "* all is well", "running": 1, "total": 1}));
    assert_eq!(clusters["test.web-server"], json!({"status": "", "running": 1, "total": 2}));
    // The host's own pods may stand there too.
    let total: u64 = clusters.as_object().unwrap().values().filter_map(|cluster| cluster["total"].as_u64()).sum();
    let text = host.shell("ls").success();
    assert!(text.starts_with(&format!("{total} pods, 100% replies ->\n\n")), "{text}");
    let lines: Vec<_> = visible(&text).lines().map(str::to_owned).collect();
    assert_eq!(lines[2], "cluster          |  ok   |  status       $", "{text}");
    assert_eq!(lines[3], "                 |       |               $", "{text}");
    for line in ["test.gateway     |  1/1  |  * all is well$", "test.web-server  |  1/2  |               $"] {
        assert!(lines.iter().any(|one| one == line), "{text}");
    }
}

#[test]
fn a_silent_pod_is_counted_and_delays_by_no_more_than_its_time() {
    let (host, mut pods) = fixture();
    pods.add("test.web-server", 4, PodScript::running().silent());
    let started = Instant::now();
    let text = host.shell("grep test.*").success();
    assert!(text.starts_with("<test.*> -> 75% replies (3 pods total) ->\n"), "{text}");
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    let clusters = host.shell("ls -j").json();
    assert_eq!(clusters["test.web-server"], json!({"status": "", "running": 1, "total": 3, "silent": [4]}));
    let ended = host.ocho(&["grep", "test.web-server"]);
    assert!(ended.stderr.contains("test.web-server #4"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("#4"), "{}", ended.stdout);
    // One after the other, these would take two minutes.
    for seq in 0..24 {
        pods.add("test.silent", seq, PodScript::running().silent());
    }
    let started = Instant::now();
    let text = host.shell("grep test.*").success();
    assert!(text.contains("(3 pods total)"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn a_secret_in_metrics_is_for_poll_alone() {
    let (host, mut pods) = fixture();
    pods.add("test.hook", 0, PodScript::running().metrics(Some(json!({"token": "t0psecret"}))).hint("token", json!("t0psecret")));
    assert!(host.shell("poll *hook").success().contains("t0psecret"));
    for line in ["grep *hook -d", "ls -d"] {
        assert!(!host.shell(line).body.contains("t0psecret"), "{line}");
    }
    assert!(!host.log().contains("t0psecret"));
}
