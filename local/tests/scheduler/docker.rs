//! Images in Docker, where an engine answers: a small engine of our own on a Unix socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::cluster::{Cluster, port, text, until_so};

/// What the engine knows of a container.
struct Container {
    create: Value,
    /// `None` before the start, then `None` inside while it runs, then its code.
    end: watch::Sender<Option<i64>>,
    oom: bool,
}

#[derive(Default)]
struct Known {
    containers: BTreeMap<String, Container>,
    /// All requests, `METHOD /path?query`.
    seen: Vec<String>,
    images: Vec<String>,
    commands: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
struct FakeDocker(Arc<Mutex<Known>>);

impl FakeDocker {
    fn start(home: &TempDir) -> (Self, PathBuf) {
        let fake = Self::default();
        let socket = home.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, socket)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().expect("no panic while it is held"))
    }

    fn saw(&self, start: &str) -> usize {
        self.with(|known| known.seen.iter().filter(|seen| seen.starts_with(start)).count())
    }

    /// The body that created the only container.
    fn created(&self) -> Value {
        self.with(|known| known.containers.values().next().expect("one").create.clone())
    }

    fn end(&self, code: i64, oom: bool) {
        self.with(|known| {
            for container in known.containers.values_mut() {
                container.oom = oom;
                container.end.send_replace(Some(code));
            }
        });
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "message": message }))).into_response()
}

async fn answer(State(fake): State<FakeDocker>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path =
        parts.uri.path().replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%3A", ":").replace("%2F", "/");
    fake.with(|known| known.seen.push(format!("{} {}", parts.method, path)));
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (parts.method.as_str(), words.as_slice()) {
        ("GET", ["_ping"]) => "OK".into_response(),
        ("GET", ["images", .., "json"]) => {
            let image = path.trim_start_matches("/images/").trim_end_matches("/json").to_owned();
            let known = fake.with(|known| known.images.contains(&image));
            if known { axum::Json(json!({})).into_response() } else { refusal(StatusCode::NOT_FOUND, "No such image") }
        }
        ("POST", ["images", "create"]) => {
            let refused = parts.uri.query().unwrap_or_default().contains("forbidden");
            let last = if refused { "{\"error\":\"pull access denied\"}\r\n" } else { "{\"status\":\"done\"}\r\n" };
            format!("{{\"status\":\"Pulling\"}}\r\n{last}").into_response()
        }
        ("POST", ["containers", "create"]) => {
            let name = parts
                .uri
                .query()
                .unwrap_or_default()
                .trim_start_matches("name=")
                .replace("%2D", "-")
                .replace("%2E", ".")
                .replace("%5F", "_");
            let container = Container { create: body, end: watch::Sender::new(None), oom: false };
            fake.with(|known| known.containers.insert(name, container));
            (StatusCode::CREATED, axum::Json(json!({"Id": "c0ffee"}))).into_response()
        }
        ("POST", ["containers", _, "start"]) => StatusCode::NO_CONTENT.into_response(),
        ("GET", ["containers", name, "logs"]) => logs(&fake, name),
        ("POST", ["containers", name, "wait"]) => wait(&fake, name).await,
        ("POST", ["containers", _, "stop"]) => {
            fake.end(143, false);
            StatusCode::NO_CONTENT.into_response()
        }
        ("GET", ["containers", name, "json"]) => {
            let oom = fake.with(|known| known.containers.get(*name).is_some_and(|container| container.oom));
            axum::Json(json!({"State": {"OOMKilled": oom}})).into_response()
        }
        ("DELETE", ["containers", name]) => match fake.with(|known| known.containers.remove(*name)) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => refusal(StatusCode::NOT_FOUND, "No such container"),
        },
        ("POST", ["containers", _, "exec"]) => {
            fake.with(|known| known.commands.insert("e1".into(), body["Cmd"][2].as_str().unwrap_or_default().to_owned()));
            (StatusCode::CREATED, axum::Json(json!({"Id": "e1"}))).into_response()
        }
        ("POST", ["exec", "e1", "start"]) => "".into_response(),
        ("GET", ["exec", "e1", "json"]) => {
            let good = fake.with(|known| known.commands.get("e1").is_some_and(|line| line == "true"));
            axum::Json(json!({"ExitCode": i32::from(!good)})).into_response()
        }
        _ => refusal(StatusCode::NOT_FOUND, "page not found"),
    }
}

/// Two frames, then nothing until the end of the container.
fn logs(fake: &FakeDocker, name: &str) -> Response {
    let Some(mut end) = fake.with(|known| known.containers.get(name).map(|container| container.end.subscribe())) else {
        return refusal(StatusCode::NOT_FOUND, "No such container");
    };
    let frames = Bytes::from_static(b"\x01\0\0\0\0\0\0\x06hello\n\x02\0\0\0\0\0\0\x05oops\n");
    let rest = stream::once(async move {
        let _ = end.wait_for(Option::is_some).await;
        Bytes::new()
    });
    Body::from_stream(stream::iter([frames]).chain(rest).map(Ok::<_, std::convert::Infallible>)).into_response()
}

async fn wait(fake: &FakeDocker, name: &str) -> Response {
    let end = fake.with(|known| known.containers.get(name).map(|container| container.end.subscribe()));
    let Some(mut end) = end else { return refusal(StatusCode::NOT_FOUND, "No such container") };
    let code = end.wait_for(Option::is_some).await.map(|code| code.unwrap_or(0)).unwrap_or(0);
    axum::Json(json!({"StatusCode": code})).into_response()
}

fn app(image: &str) -> Value {
    json!({
        "id": "/web", "cpus": 0.5, "mem": 64, "backoffSeconds": 60, "args": ["--fast"], "env": {"A": "b"},
        "container": {"type": "DOCKER", "docker": {"image": image, "network": "BRIDGE", "privileged": true,
                "parameters": [{"key": "hostname", "value": "box"}, {"key": "add-host", "value": "db:10.0.0.1"}],
                "portMappings": [{"containerPort": 80}, {"containerPort": 53, "protocol": "udp,tcp"}]},
            "volumes": [{"containerPath": "/data", "hostPath": "/srv", "mode": "RO"}]},
        "healthChecks": [{"protocol": "COMMAND", "command": {"value": "true"}, "intervalSeconds": 1, "delaySeconds": 0}],
    })
}

async fn cluster() -> (Cluster, FakeDocker) {
    let home = TempDir::with_prefix("docker-").expect("a folder");
    let (fake, socket) = FakeDocker::start(&home);
    (Cluster::start_in(home, &["--docker", socket.to_str().expect("UTF-8")]).await, fake)
}

#[tokio::test]
async fn a_container_has_what_the_application_says() {
    let (cluster, docker) = cluster().await;
    cluster.deploy(app("team/web:1.2")).await;
    let task = cluster.wait_running("/web", 1).await.remove(0);
    assert_eq!(docker.saw("POST /images/create"), 1, "it was not there");
    let create = docker.created();
    let host = &create["HostConfig"];
    let binding = |nth: usize| json!([{"HostIp": "127.0.0.1", "HostPort": task["ports"][nth].to_string()}]);
    assert_eq!(create["Image"], "team/web:1.2");
    assert_eq!(create["Cmd"], json!(["--fast"]));
    assert_eq!(create["Hostname"], "box");
    assert_eq!(host["PortBindings"], json!({"80/tcp": binding(0), "53/tcp": binding(1), "53/udp": binding(1)}));
    assert_eq!(host["ExtraHosts"], json!(["db:10.0.0.1"]));
    assert_eq!((&host["Memory"], &host["CpuShares"], &host["Privileged"]), (&json!(64 << 20), &json!(512), &json!(true)));
    assert_eq!(host["NetworkMode"], "bridge");
    assert!(host["Binds"].as_array().expect("binds").contains(&json!("/srv:/data:ro")), "{host}");
    let env = create["Env"].as_array().expect("a list").clone();
    assert!(env.contains(&json!("A=b")) && env.contains(&json!(format!("PORT_80={}", port(&task)))), "{env:?}");
    assert!(
        !env.iter().any(|entry| text(entry).starts_with("HOME=") || text(entry).starts_with("PATH=")),
        "the image has its own"
    );
    assert_eq!(cluster.output(&task, "stdout", "hello").await, "hello\n");
    assert_eq!(cluster.output(&task, "stderr", "oops").await, "oops\n");
    assert_eq!(cluster.app("/web").await["tasksHealthy"], 1, "the command ran inside");

    assert_eq!(cluster.send(Method::DELETE, "/v2/apps/web", None).await.0, 200);
    cluster.settled().await;
    let stops = docker.with(|known| known.seen.iter().filter(|seen| seen.ends_with("/stop")).count());
    assert_eq!(stops, 1, "it was asked to stop, not killed");
    assert!(docker.with(|known| known.containers.is_empty()), "it is removed");
}

#[tokio::test]
async fn ends_are_told() {
    let (cluster, docker) = cluster().await;
    docker.with(|known| known.images.push("here:1".into()));
    for (code, oom, want) in [
        (3, false, "Command exited with status 3"),
        (137, false, "Command terminated with signal SIGKILL"),
        (137, true, "Memory limit exceeded"),
    ] {
        cluster.deploy(app("here:1")).await;
        docker.end(code, oom);
        assert_eq!(cluster.failure("/web").await["message"], want);
        cluster.send(Method::DELETE, "/v2/apps/web", None).await;
        cluster.settled().await;
    }
    assert_eq!(docker.saw("POST /images/create"), 0, "the image is there");
}

#[tokio::test]
async fn what_docker_refuses_is_told() {
    let (cluster, _docker) = cluster().await;
    cluster.create(app("forbidden:1")).await;
    let failure = cluster.failure("/web").await;
    assert!(text(&failure["message"]).ends_with("pull access denied"), "{failure}");
    cluster.send(Method::DELETE, "/v2/apps/web", None).await;
    cluster.settled().await;
    let mut odd = app("here");
    odd["container"]["docker"]["parameters"] = json!([{"key": "ulimit", "value": "nofile=1"}]);
    cluster.create(odd).await;
    let failure = cluster.failure("/web").await;
    assert_eq!(failure["message"], "the Docker parameter `ulimit` is not supported here");
}

#[tokio::test]
async fn a_container_outlives_the_scheduler() {
    let (mut cluster, docker) = cluster().await;
    cluster.deploy(app("team/web")).await;
    let task = cluster.wait_running("/web", 1).await.remove(0);
    cluster.crash();
    cluster.restart();
    let same = cluster.wait_running("/web", 1).await.remove(0);
    assert_eq!(same["id"], task["id"]);
    assert_eq!(docker.saw("POST /containers/create"), 1);
    docker.end(9, false);
    assert_eq!(cluster.failure("/web").await["message"], "Command exited with status 9");
    until_so("the container to be removed", async || docker.with(|known| known.containers.is_empty())).await;
}

#[tokio::test]
async fn a_local_image_needs_no_engine() {
    let (cluster, docker) = cluster().await;
    cluster.image("web", "#!/bin/sh\nexec sleep 3600\n");
    cluster.deploy(app("team/web:1")).await;
    assert_eq!(cluster.wait_running("/web", 1).await.len(), 1);
    assert_eq!(docker.saw(""), 0);
}
