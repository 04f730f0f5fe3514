//! The stream of events.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cluster::{Cluster, PATIENCE};

/// An open stream.
struct Events {
    reply: futures::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: String,
}

impl Events {
    async fn open(cluster: &Cluster, query: &str) -> Self {
        let request = cluster.request(Method::GET, &format!("/v2/events{query}")).header("Accept", "text/event-stream");
        let reply = request.timeout(Duration::from_secs(3600)).send().await.expect("an answer");
        assert_eq!(reply.status(), 200);
        Self { reply: reply.bytes_stream().map(|chunk| chunk.map(|chunk| chunk.to_vec())).boxed(), text: String::new() }
    }

    /// The next event, `None` at the end of the stream.
    async fn next(&mut self) -> Option<Value> {
        timeout(PATIENCE, async {
            loop {
                if let Some(end) = self.text.find("\r\n\r\n") {
                    let frame: String = self.text.drain(..end + 4).collect();
                    if let Some(data) = frame.lines().find_map(|line| line.strip_prefix("data: ")) {
                        return Some(serde_json::from_str(data).expect("JSON in one line"));
                    }
                    continue;
                }
                let chunk = self.reply.next().await?.ok()?;
                self.text.push_str(&String::from_utf8_lossy(&chunk));
            }
        })
        .await
        .expect("an event comes in time")
    }

    async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let last = event["eventType"] == kind;
            seen.push(event);
            if last {
                return seen;
            }
        }
    }
}

#[tokio::test]
async fn a_life_in_events() {
    let cluster = Cluster::start(&[]).await;
    let mut events = Events::open(&cluster, "").await;
    let check = json!([{"protocol": "COMMAND", "command": {"value": "true"}, "intervalSeconds": 1, "delaySeconds": 0}]);
    cluster.deploy(json!({"id": "/web", "cmd": "exec sleep 3600", "healthChecks": check})).await;
    let seen = events.until("deployment_success").await;
    let kinds: Vec<&str> = seen.iter().filter_map(|event| event["eventType"].as_str()).collect();
    let place = |kind: &str| kinds.iter().position(|seen| *seen == kind).unwrap_or_else(|| panic!("no {kind} in {kinds:?}"));
    let order = ["event_stream_attached", "group_change_success", "api_post_event", "deployment_info", "add_health_check_event"];
    assert!(order.map(place).is_sorted(), "{kinds:?}");
    place("health_status_changed_event");
    place("instance_health_changed_event");
    place("instance_changed_event");
    assert_eq!(kinds.iter().filter(|kind| **kind == "deployment_info").count(), 2, "one for each step");
    let states: Vec<&Value> = seen.iter().filter(|e| e["eventType"] == "status_update_event").map(|e| &e["taskStatus"]).collect();
    assert_eq!(states, [&json!("TASK_RUNNING")]);
    assert!(seen.iter().all(|event| event["plan"]["original"].is_null()), "light plans");

    cluster.send(Method::DELETE, "/v2/apps/web", None).await;
    let seen = events.until("app_terminated_event").await;
    let states: Vec<&Value> = seen.iter().filter(|e| e["eventType"] == "status_update_event").map(|e| &e["taskStatus"]).collect();
    assert_eq!(states, [&json!("TASK_KILLING"), &json!("TASK_KILLED")]);
    events.until("deployment_success").await;
}

#[tokio::test]
async fn heavy_plans_for_those_who_want_them() {
    let cluster = Cluster::start(&["--heavy-events"]).await;
    let mut heavy = Events::open(&cluster, "?event_type=deployment_info&event_type=deployment_success").await;
    let mut light = Events::open(&cluster, "?event_type=deployment_success&plan-format=light").await;
    cluster.deploy(json!({"id": "/g/web", "cmd": "true", "instances": 0})).await;
    let first = heavy.next().await.expect("an event");
    assert_eq!(first["eventType"], "deployment_info");
    assert_eq!(first["plan"]["original"]["groups"], json!([]));
    assert_eq!(first["plan"]["target"]["groups"][0]["apps"][0]["id"], "/g/web");
    let light = light.next().await.expect("an event");
    assert_eq!(light["plan"]["target"], Value::Null);
    assert_eq!(light["plan"]["steps"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_reader_that_stops_reading_delays_nobody_and_is_dropped() {
    let cluster = Cluster::start(&["--heavy-events"]).await;
    // Big definitions fill the socket's buffers soon.
    let filler = "x".repeat(20_000);
    for nth in 0..20 {
        let app = json!({"id": format!("/g/a{nth}"), "cmd": "true", "instances": 0, "labels": {"filler": filler}});
        cluster.create(app).await;
    }
    cluster.settled().await;
    let mut sleeper = TcpStream::connect(cluster.address()).expect("it listens");
    let request = format!("GET /v2/events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", cluster.address());
    sleeper.write_all(request.as_bytes()).expect("sent");
    let mut events = Events::open(&cluster, "?event_type=event_stream_detached").await;

    // Some 2,000 events, each of which is told before the next request is answered.
    let changes = async {
        for change in 0..700 {
            cluster.put("/g/a0?force=true", json!({"labels": {"change": change.to_string()}})).await;
        }
    };
    changes.await;
    assert_eq!(events.next().await.expect("an event")["eventType"], "event_stream_detached");
    assert_eq!(cluster.get("/v2/apps/g/a0").await["app"]["labels"]["change"], "699");
}

#[tokio::test]
async fn a_stream_ends_when_the_scheduler_stops() {
    let mut cluster = Cluster::start(&[]).await;
    let mut events = Events::open(&cluster, "").await;
    assert_eq!(events.next().await.expect("an event")["eventType"], "event_stream_attached");
    assert!(cluster.stop().await.success(), "a reader does not hold the scheduler up");
    assert_eq!(events.next().await, None);
}
