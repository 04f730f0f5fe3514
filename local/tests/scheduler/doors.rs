//! Requests that are refused, and bodies that nobody should send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, text};

#[tokio::test]
async fn foreign_names_are_refused() {
    let cluster = Cluster::start(&[]).await;
    for (header, value) in
        [("Host", "evil.example"), ("Host", "127.0.0.1.evil.example:8080"), ("Origin", "http://evil.example"), ("Origin", "null")]
    {
        let app = json!({"id": "/x", "cmd": "true", "instances": 0}).to_string();
        let post = cluster.request(Method::POST, "/v2/apps").header(header, value).header("Content-Type", "application/json");
        let reply = post.body(app).send().await.expect("an answer");
        assert_eq!(reply.status(), 403, "{header}: {value}");
    }
    assert_eq!(cluster.get("/v2/apps").await, json!({"apps": []}));
    let port = cluster.address().rsplit(':').next().expect("a port").to_owned();
    for (header, value) in [("Host", format!("localhost:{port}")), ("Origin", format!("http://127.0.0.1:{port}"))] {
        let reply = cluster.request(Method::GET, "/v2/apps").header(header, &value).send().await.expect("an answer");
        assert_eq!(reply.status(), 200, "{header}: {value}");
    }
}

#[tokio::test]
async fn hostile_bodies_are_answered() {
    let cluster = Cluster::start(&[]).await;
    let send = async |body: Vec<u8>| {
        let post = cluster.request(Method::POST, "/v2/apps").header("Content-Type", "application/json");
        let reply = post.body(body).send().await.expect("an answer");
        (reply.status().as_u16(), serde_json::from_str::<Value>(&reply.text().await.expect("text")).unwrap_or_default())
    };
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert_eq!(send(deep).await.0, 400);
    assert_eq!(send(b"\xff\xfe{}".to_vec()).await.0, 400);
    assert_eq!(send(b"[]".to_vec()).await.0, 422);
    assert_eq!(send(b"42".to_vec()).await.0, 422);
    let many = json!({"id": "/m", "cmd": "true", "portDefinitions": vec![json!({}); 100_000]}).to_string();
    let (status, body) = send(many.into_bytes()).await;
    assert_eq!((status, text(&body["details"][0]["errors"][0])), (422, "error.maxLength"));
    assert_eq!(send(vec![b' '; 17 << 20]).await.0, 413);
    let deep = json!({"id": "/a".repeat(1 << 20), "cmd": "true"}).to_string();
    let (status, body) = send(deep.into_bytes()).await;
    assert_eq!((status, text(&body["details"][0]["errors"][0])), (422, "error.pattern"));
    let put = cluster.send(Method::PUT, &format!("/v2/apps{}", "/a".repeat(500)), Some(json!({"cmd": "true"}))).await;
    assert_eq!((put.0, text(&put.1["details"][0]["errors"][0])), (422, "error.pattern"));
    let every = json!({
        "id": 1, "cmd": [], "args": {}, "cpus": "x", "mem": null, "env": {"A": []}, "container": "DOCKER", "networks": {"a": 1},
        "healthChecks": [1, {"protocol": "X"}], "portDefinitions": [{"port": 70000}], "upgradeStrategy": 1, "fetch": [{}],
        "constraints": [["a"]], "ports": "x", "uris": 1, "ipAddress": 1, "labels": {"a": 1}, "dependencies": ["/Up"],
    });
    let (status, body) = send(every.to_string().into_bytes()).await;
    assert_eq!(status, 422);
    let wrong: Vec<&str> = body["details"].as_array().expect("a list").iter().map(|detail| text(&detail["path"])).collect();
    let want = [
        "/args",
        "/cmd",
        "/constraints(0)",
        "/container",
        "/cpus",
        "/dependencies(0)",
        "/env/A",
        "/fetch(0)/uri",
        "/healthChecks(0)",
        "/healthChecks(1)/protocol",
        "/id",
        "/ipAddress",
        "/labels/a",
        "/networks",
        "/portDefinitions(0)/port",
        "/ports",
        "/upgradeStrategy",
        "/uris",
    ];
    assert_eq!(wrong, want);
    let group = (0..200).fold(json!({"id": "x"}), |inner, _| json!({"id": "g", "groups": [inner]}));
    assert!(cluster.send(Method::POST, "/v2/groups", Some(group)).await.0 >= 400);
    assert_eq!(cluster.get("/v2/apps").await, json!({"apps": []}));
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let cluster = Cluster::start(&[]).await;
    for (method, path, want) in [
        (Method::GET, "/v2/nothing", 404),
        (Method::GET, "/", 302),
        (Method::PUT, "/ping", 405),
        (Method::POST, "/v2/apps/a/b", 405),
        (Method::HEAD, "/v2/pods", 404),
        (Method::GET, "/v2/pods", 200),
        (Method::GET, "/v2/plugins/x/y", 404),
        (Method::GET, "/v2/apps/%ff", 404),
        (Method::DELETE, "/v2/leader", 200),
        (Method::HEAD, "/v2/apps", 200),
    ] {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let reply =
            client.request(method.clone(), format!("http://{}{path}", cluster.address())).send().await.expect("an answer");
        assert_eq!(reply.status().as_u16(), want, "{method} {path}");
    }
}

#[tokio::test]
async fn garbage_on_the_port_ends_only_its_connection() {
    let cluster = Cluster::start(&[]).await;
    let address = cluster.address().to_owned();
    let talk = move |bytes: Vec<u8>| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
        // It may hang up at the first byte.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answers = tokio::task::spawn_blocking(move || {
        [
            talk(vec![0; 100_000]),
            talk(b"GET / HTTP/1.1\r\nHost: ".to_vec()),
            talk(b"POST /v2/apps HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{".to_vec()),
        ]
    })
    .await
    .expect("no panic");
    assert!(answers[0].is_empty() || answers[0].starts_with("HTTP/1.1 400"), "{answers:?}");
    assert_eq!(cluster.get("/v2/apps").await, json!({"apps": []}));
}
