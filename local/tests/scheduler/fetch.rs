//! Files that an application names are there before its task starts, or the task fails and says why.

use std::io::Write;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, nobody, text, until_so};

/// A gzipped tar with one file.
fn tgz(name: &str, content: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    archive.append(&header, content.as_bytes()).expect("in memory");
    archive.into_inner().and_then(GzEncoder::finish).expect("in memory")
}

fn zip_of(name: &str, content: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("in memory");
    archive.write_all(content.as_bytes()).expect("in memory");
    archive.finish().expect("in memory").into_inner()
}

/// A server of files; `/silent` never answers, `/endless` never ends.
async fn files() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new()
        .route("/tool.tgz", get(async || tgz("bin/tool", "#!/bin/sh\necho tool runs\n")))
        .route("/data.zip", get(async || zip_of("data/words", "zipped words\n")))
        .route("/kept.tgz", get(async || tgz("x", "y")))
        .route("/plain.txt", get(async || "plain words\n"))
        .route("/moved", get(async || Redirect::temporary("/plain.txt")))
        .route("/script", get(async || "#!/bin/sh\necho script runs\n"))
        .route("/escape.tgz", get(async || tgz("../escaped", "x")))
        .route("/torn.tgz", get(async || tgz("x", &"y".repeat(9000))[..40].to_vec()))
        .route("/silent", get(std::future::pending::<&str>))
        .route(
            "/endless",
            get(async || {
                let zeros = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[0; 4096])));
                Body::from_stream(zeros)
            }),
        );
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

fn fetching(id: &str, cmd: &str, fetch: Value) -> Value {
    json!({"id": id, "cmd": cmd, "mem": 32, "backoffSeconds": 60, "fetch": fetch})
}

#[tokio::test]
async fn files_are_there_before_the_task_starts() {
    let cluster = Cluster::start(&[]).await;
    let server = files().await;
    let local = cluster.home().join("local.txt");
    std::fs::write(&local, "local words\n").expect("ours");
    let cmd = "cat plain.txt renamed/here moved local.txt data/words; ./script; bin/tool; test -f kept.tgz && ! test -e x && echo kept; exec sleep 1000";
    let fetch = json!([
        {"uri": format!("http://{server}/tool.tgz?token=1")},
        {"uri": format!("http://{server}/data.zip")},
        {"uri": format!("http://{server}/kept.tgz"), "extract": false},
        {"uri": format!("http://{server}/plain.txt")},
        {"uri": format!("http://{server}/plain.txt"), "destPath": "renamed/here"},
        {"uri": format!("http://{server}/moved"), "cache": true},
        {"uri": format!("http://{server}/script"), "executable": true},
        {"uri": format!("file://{}", local.display())},
    ]);
    cluster.deploy(fetching("/files", cmd, fetch)).await;
    let task = cluster.wait_running("/files", 1).await.remove(0);
    let said = cluster.output(&task, "stdout", "kept").await;
    let want = "plain words\nplain words\nplain words\nlocal words\nzipped words\nscript runs\ntool runs\nkept\n";
    assert_eq!(said, want);

    // The form of 2015, and a file that belongs to somebody else than the scheduler.
    let old = json!({"id": "/old", "cmd": "bin/tool; exec sleep 1000", "mem": 32, "uris": [format!("http://{server}/tool.tgz")]});
    cluster.deploy(old).await;
    let task = cluster.wait_running("/old", 1).await.remove(0);
    cluster.output(&task, "stdout", "tool runs").await;
}

#[tokio::test]
async fn what_cannot_be_fetched_fails_with_a_reason() {
    let cluster = Cluster::start(&["--fetch-bytes", "1000000"]).await;
    let server = files().await;
    let (_held, closed) = nobody();
    let pipe = cluster.home().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("ours");
    for (nth, (uri, reason)) in [
        (format!("http://{server}/nothing"), "the server answered 404"),
        (format!("http://me:secret@{server}/nothing"), "/nothing`: the server answered 404"),
        (format!("http://{closed}/x"), "Connection refused"),
        ("s3://bucket/x".to_owned(), "`s3` is not supported; use http, https or file"),
        ("file:///nonexistent/x".to_owned(), "No such file or directory"),
        (format!("file://{}", pipe.display()), "it is no file"),
        (format!("http://{server}/"), "its path names no file"),
        (format!("http://{server}/escape.tgz"), "`../escaped` leads out of the task's folder"),
        (format!("http://{server}/torn.tgz"), "the archive does not read"),
        (format!("http://{server}/endless"), "the files of the task take more than 1000000 bytes"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("/bad-{nth}");
        cluster.create(fetching(&id, "exec sleep 1000", json!([{"uri": uri}]))).await;
        let failure = cluster.failure(&id).await;
        assert_eq!(failure["state"], "TASK_FAILED", "{failure}");
        let message = text(&failure["message"]);
        assert!(message.starts_with("cannot fetch `") && message.contains(reason) && !message.contains("secret"), "{message}");
        let (status, _) = cluster.send(Method::DELETE, &format!("/v2/apps{id}"), None).await;
        assert_eq!(status, 200);
    }
    let outside = fetching("/place", "true", json!([{"uri": format!("http://{server}/plain.txt"), "destPath": "../../x"}]));
    cluster.create(outside).await;
    let failure = cluster.failure("/place").await;
    assert!(text(&failure["message"]).contains("`../../x` leads out of the task's folder"), "{failure}");
}

#[tokio::test]
async fn what_takes_too_long_fails_with_a_reason() {
    let cluster = Cluster::start(&["--fetch-within-ms", "2000"]).await;
    let server = files().await;
    cluster.create(fetching("/slow", "exec sleep 1000", json!([{"uri": format!("http://{server}/silent")}]))).await;
    let failure = cluster.failure("/slow").await;
    assert!(text(&failure["message"]).ends_with("/silent`: it took longer than 2 s"), "{failure}");
}

#[tokio::test]
async fn a_task_that_waits_for_its_files_can_be_killed() {
    // Nothing on the way gives up before the test does.
    let cluster = Cluster::start(&[]).await;
    let server = files().await;
    cluster.create(fetching("/slow", "exec sleep 1000", json!([{"uri": format!("http://{server}/silent")}]))).await;
    until_so("the task to be there", async || {
        cluster.get("/v2/apps/slow/tasks").await["tasks"][0]["state"] == "TASK_STAGING" && cluster.processes().len() > 1
    })
    .await;
    let (status, _) = cluster.send(Method::DELETE, "/v2/apps/slow", None).await;
    assert_eq!(status, 200);
    until_so("the task to be gone", async || cluster.get("/v2/tasks").await["tasks"] == json!([])).await;
}
