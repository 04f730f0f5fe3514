//! Jobs as records: found again, followed, cancelled; they outlive their callers, and what a crash leaves is cleared.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use ocho_tests::{TestHost, http, wait};
use serde_json::Value;

use crate::bundle::Bundle;
use crate::request::{Upload, at_once, folders_left, host, plan, send};

const SOON: Duration = Duration::from_secs(120);

fn jobs(host: &TestHost) -> Value {
    host.portal("GET", "/v1/jobs", &[]).json()
}

fn job(host: &TestHost, id: &str) -> Value {
    host.portal("GET", &format!("/v1/jobs/{id}"), &[]).json()["job"].clone()
}

/// Sends a bundle and goes away at once; gives the job's id.
fn send_and_leave(host: &TestHost, names: &str, bundle: &[u8]) -> String {
    let upload = Upload::to(host, names, bundle);
    let signature = ocho_core::signature::Token::new(crate::request::TOKEN).unwrap().sign(bundle);
    let body = upload.body();
    let mut stream = TcpStream::connect(host.address("servo")).unwrap();
    let head = format!(
        "POST /run/{names} HTTP/1.1\r\nHost: localhost\r\nX-Signature: {signature}\r\nContent-Length: {}\r\n\
         Content-Type: multipart/form-data; boundary=----5f1c2d7ab9e04c36\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    wait::until("the job", SOON, || jobs(host)["running"][0]["job"].as_str().map(str::to_owned))
}

#[test]
fn row_43_a_job_outlives_its_caller_and_is_found_again() {
    let host = host();
    let bundle = Bundle::default().job("slow", "print started\nawait callback.raw\nread callback.raw").pack();
    let id = send_and_leave(&host, "slow", &bundle);
    let url = wait::until("its folder", SOON, || {
        let log = job(&host, &id)["log"].as_str()?.to_owned();
        let url = log.lines().next()?.strip_prefix("$CALLBACK = ")?.to_owned();
        log.contains("started").then_some(url)
    });
    assert_eq!(job(&host, &id)["state"], "running");
    // Whoever follows the log meanwhile sees its end.
    let (portal, log) = (host.address("portal"), format!("/v1/jobs/{id}/log"));
    let follower = std::thread::spawn(move || http::request("GET", &format!("http://{portal}{log}"), &[]).body);
    assert_eq!(http::send("POST", &url, &[("content-type", "text/plain")], b"go on".to_vec()).status, 200);
    wait::until_so("its end", SOON, || job(&host, &id)["state"] == "succeeded");
    let followed = follower.join().unwrap();
    assert!(followed.contains("\"text\":\"go on\\n\"") && followed.lines().last().unwrap().contains("succeeded"), "{followed}");
    let record = job(&host, &id);
    assert!(at_once(record["log"].as_str().unwrap()).ends_with("started\ngo on\nslow ran in 0 seconds\n"), "{record}");
    assert_eq!(jobs(&host)["ended"][0]["job"], id.as_str());
    assert_eq!(folders_left(&host), [""; 0]);
    // Its part is a run, and says whose.
    let runs = host.portal("GET", "/v1/runs", &[]).json();
    assert_eq!((&runs["ended"][0]["tool"], &runs["ended"][0]["parent"]), (&Value::from("slow"), &Value::from(id)));
}

#[test]
fn a_log_is_followed_as_lines_of_json() {
    let host = host();
    let reply = send(&host, "a", &Bundle::default().job("a", "print one\nerr two\nexit 4").pack());
    let answer = host.portal("GET", &format!("/v1/jobs/{}/log", reply.run()), &[]);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let events: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("started", "ended"));
    let has = |kind: &str, text: &str| events.iter().any(|event| event["event"] == kind && event["text"] == text);
    assert!(has("out", "one\n") && has("err", "two\n"), "{events:?}");
    let end = events.last().unwrap();
    assert_eq!((&end["ok"], &end["state"]), (&Value::Bool(false), &Value::from("failed")));
    assert_eq!(host.portal("GET", "/v1/jobs/01J00000000000000000000000", &[]).status, 404);
    assert_eq!(host.portal("DELETE", "/v1/jobs/nonsense", &[]).status, 404);
}

#[test]
fn a_job_is_cancelled() {
    let host = host();
    let bundle = Bundle::default().job("spin", "print started\nspin").pack();
    let id = send_and_leave(&host, "spin", &bundle);
    assert_eq!(host.portal("DELETE", &format!("/v1/jobs/{id}"), &[]).status, 202);
    wait::until_so("its end", SOON, || job(&host, &id)["state"] == "cancelled");
    assert!(job(&host, &id)["log"].as_str().unwrap().ends_with("failure (cancelled)\n"));
    assert_eq!(folders_left(&host), [""; 0]);
}

/// The state that a job ends in, once it is over.
fn end_of(host: &TestHost, id: &str) -> String {
    wait::until("its end", SOON, || {
        let state = job(host, id)["state"].as_str()?.to_owned();
        (!["queued", "running"].contains(&state.as_str())).then_some(state)
    })
}

#[test]
fn a_job_is_cancelled_wherever_it_is() {
    let host = plan().words(&["--jobs", "1"]).tool("sleeper", &ocho_tests::programs::guest("sleeper")).start();
    for steps in ["proxy-for-ever ls", "proxy sleeper 300 60000", "sleep 600000"] {
        let steps = format!("print started\n{steps}");
        let first = send_and_leave(&host, "it", &Bundle::default().job("it", &steps).pack());
        wait::until_so("its first step", SOON, || job(&host, &first)["log"].as_str().unwrap().contains("started"));
        // The next one waits, and is cancelled there.
        let bundle = Bundle::default().job("next", "print never").pack();
        let (next, reply) = std::thread::scope(|scope| {
            let reply = scope.spawn(|| send(&host, "next", &bundle).failed());
            let next = wait::until("one that waits", SOON, || {
                let list = jobs(&host)["running"].clone();
                let waits = |job: &&Value| job["state"] == "queued";
                list.as_array().unwrap().iter().find(waits).map(|job| job["job"].as_str().unwrap().to_owned())
            });
            assert_eq!(host.portal("DELETE", &format!("/v1/jobs/{next}"), &[]).status, 202);
            (next, reply.join().unwrap())
        });
        assert_eq!((reply, end_of(&host, &next)), (vec!["failure (cancelled)".to_owned()], "cancelled".to_owned()));
        assert_eq!(host.portal("DELETE", &format!("/v1/jobs/{first}"), &[]).status, 202);
        assert_eq!(end_of(&host, &first), "cancelled", "{steps}");
        // Nothing of it is left once it is over, and nothing of it runs.
        assert_eq!(folders_left(&host), [""; 0]);
        assert!(job(&host, &first)["log"].as_str().unwrap().ends_with("failure (cancelled)\n"));
        let runs = || host.portal("GET", "/v1/runs", &[]).json()["running"].clone();
        wait::until_so("no run of it", SOON, || runs() == Value::Array(Vec::new()));
    }
}

#[test]
fn a_job_ends_with_its_host_and_its_caller_is_told() {
    let host = host();
    let bundle = Bundle::default().job("wait", "print started\nawait callback.raw").pack();
    let home = host.home().to_owned();
    std::thread::scope(|scope| {
        let upload = Upload::to(&host, "wait", &bundle);
        let caller = scope.spawn(move || upload.send().failed());
        wait::until_so("its folder", SOON, || !folders_left(&host).is_empty());
        host.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(caller.join().unwrap().last().unwrap(), "failure (cancelled)");
    });
    let places = || std::fs::read_dir(home.join("data")).unwrap().flatten();
    let is_place = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("ocho-jobs-");
    wait::until_so("nothing left of it", SOON, || !places().any(is_place));
}

#[test]
fn what_a_crash_leaves_is_cleared_and_told() {
    let mut host = host();
    let bundle = Bundle::default().job("wait", "print started\nawait callback.raw").pack();
    let id = send_and_leave(&host, "wait", &bundle);
    wait::until_so("its folder", SOON, || !folders_left(&host).is_empty());
    wait::until_so("its record on disk", SOON, || jobs(&host)["running"][0]["state"] == "running");
    host.crash();
    assert!(!folders_left(&host).is_empty());
    let host = host.restart();
    assert_eq!(folders_left(&host), [""; 0]);
    assert_eq!(job(&host, &id)["state"], "lost");
}

#[test]
fn what_a_tool_leaves_is_cleared_after_a_crash_and_after_a_stop() {
    let place = |host: &TestHost| {
        let places = std::fs::read_dir(host.home().join("tmp")).unwrap().flatten();
        let places = places.filter(|entry| entry.file_name().to_string_lossy().starts_with("ocho-"));
        places.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let runs = |host: &TestHost| {
        let inside = place(host).into_iter().flat_map(|place| std::fs::read_dir(place).unwrap().flatten());
        inside.filter(|entry| entry.file_name().to_string_lossy().starts_with("ocho-run-")).count()
    };
    let mut host = crate::request::plan().tool("sleeper", &ocho_tests::programs::guest("sleeper")).start();
    std::thread::scope(|scope| {
        let url = format!("http://{}/shell", host.address("portal"));
        let waiting = scope.spawn(move || {
            let form = "multipart/form-data; boundary=x";
            let body = "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\ncontent\r\n--x--\r\n";
            // No answer comes: the host is killed.
            let sent = std::panic::catch_unwind(|| {
                http::send("POST", &url, &[("content-type", form), ("x-shell", "sleeper 300 60000")], body.into())
            });
            assert!(sent.is_err(), "{sent:?}");
        });
        wait::until_so("its folder", SOON, || runs(&host) == 1);
        host.crash();
        waiting.join().unwrap();
    });
    assert_eq!(runs(&host), 1);
    let host = host.restart();
    assert_eq!((runs(&host), place(&host).len()), (0, 1), "only the place of the host that runs");
    let home = host.home().to_owned();
    let tmp = home.join("tmp");
    host.signal(nix::sys::signal::Signal::SIGTERM);
    wait::until_so("an empty place", SOON, || std::fs::read_dir(&tmp).is_ok_and(|listing| listing.count() == 0));
}

#[test]
fn a_token_that_was_made_is_shown_by_poll_and_stays() {
    let shown = |host: &TestHost| {
        let polled = host.shell("poll *servo -j").json();
        polled.as_object().unwrap().values().next().unwrap()["token"].as_str().unwrap().to_owned()
    };
    let mut host = TestHost::up().start();
    wait::until_so("the servo's registration", SOON, || host.shell("ls -j").out.contains("marathon.servo"));
    let token = shown(&host);
    assert_eq!(token.len(), 32);
    host.crash();
    let host = host.restart();
    wait::until_so("the servo's registration", SOON, || host.shell("ls -j").out.contains("marathon.servo"));
    assert_eq!(shown(&host), token);
    let archive = Bundle::default().job("a", "print one").pack();
    let signature = ocho_core::signature::Token::new(&token).unwrap().sign(&archive);
    assert_eq!(Upload::to(&host, "a", &archive).header("x-signature", &signature).send().ok()[0], "one");
}
