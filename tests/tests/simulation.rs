//! The simulated pods themselves: what they register and answer is what real pods do.

use std::time::{Duration, Instant};

use ocho_core::registration::{CLUSTERS_PATH, NotARegistration, Registration};
use ocho_tests::pods::Behaviour;
use ocho_tests::runtime::block_on;
use ocho_tests::wait::until_so;
use ocho_tests::{FakeMarathon, PodScript, Pods, RealZooKeeper, http, marathon, skip};
use serde_json::{Value, json};
use zookeeper_client::Client;

/// An answer comes at once, unless the machine has other work.
const SOON: Duration = Duration::from_secs(60);

fn zookeeper(test: &str) -> Option<RealZooKeeper> {
    if !RealZooKeeper::is_installed() {
        skip(test, "no ZooKeeper: install libzookeeper-java and default-jre-headless");
        return None;
    }
    Some(RealZooKeeper::start())
}

/// What stands in the nodes of a cluster, in the order of their numbers.
fn nodes(registry: &str, cluster: &str) -> Vec<Vec<u8>> {
    block_on(async {
        let client = Client::connect(registry).await.unwrap();
        let folder = format!("{CLUSTERS_PATH}/{cluster}/pods");
        let mut names = client.list_children(&folder).await.unwrap();
        names.sort_by_key(|name| name.rsplit_once('.').map(|(_, number)| number.to_owned()));
        let mut nodes = Vec::new();
        for name in names {
            nodes.push(client.get_data(&format!("{folder}/{name}")).await.unwrap().0);
        }
        nodes
    })
}

fn post(url: &str, timeout: Duration) -> Option<(u16, Value)> {
    block_on(async {
        let reply = reqwest::Client::new().post(url).timeout(timeout).send().await.ok()?;
        Some((reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.ok()?).unwrap_or_default()))
    })
}

#[test]
fn pods_register_in_a_real_zookeeper_and_answer() {
    let Some(zookeeper) = zookeeper("pods_register_in_a_real_zookeeper_and_answer") else { return };
    let mut pods = Pods::join(&zookeeper.address());
    pods.add("marathon.web", 3, PodScript::running().of("ochopod.marathon.web", "t3").port(80, 31080));
    pods.add("marathon.web", 12, PodScript::running().leader("all good"));
    pods.add("marathon.web", 13, PodScript::running().not_written_yet());

    let nodes = nodes(&zookeeper.address(), "marathon.web");
    let pod = Registration::parse(&nodes[0]).unwrap();
    assert_eq!((pod.seq.0, pod.application.as_deref(), pod.task.as_deref()), (3, Some("ochopod.marathon.web"), Some("t3")));
    let control = pod.control.unwrap();
    assert_eq!(control.port, pods.port("marathon.web", 3));
    assert_eq!(Registration::parse(&nodes[2]), Err(NotARegistration::Empty));

    let url = format!("http://{}:{}", control.host, control.port);
    let (status, info) = post(&format!("{url}/info"), SOON).unwrap();
    assert_eq!((status, &info["process"], &info["ports"]["80"]), (200, &json!("running"), &json!(31080)));
    assert_eq!(post(&format!("{url}/control/kill/60"), SOON), Some((200, json!({}))));
    assert_eq!(post(&format!("{url}/control/kill"), SOON), Some((410, json!({}))));
    assert_eq!(post(&format!("{url}/info"), SOON).unwrap().1["process"], "dead");
    assert_eq!(pods.paths("marathon.web", 3), ["/info", "/control/kill/60", "/control/kill", "/info"]);
}

#[test]
fn a_pod_that_is_taken_away_is_gone_from_both() {
    let Some(zookeeper) = zookeeper("a_pod_that_is_taken_away_is_gone_from_both") else { return };
    let mut pods = Pods::join(&zookeeper.address());
    pods.add("marathon.web", 1, PodScript::running());
    let url = format!("http://127.0.0.1:{}/info", pods.port("marathon.web", 1));
    assert!(post(&url, SOON).is_some());
    pods.remove("marathon.web", 1);
    assert!(nodes(&zookeeper.address(), "marathon.web").is_empty());
    until_so("the control port to close", SOON, || post(&url, SOON).is_none());
}

#[test]
fn scripts_differ_where_they_say() {
    let Some(zookeeper) = zookeeper("scripts_differ_where_they_say") else { return };
    let mut pods = Pods::join(&zookeeper.address());
    let add = |pods: &mut Pods, seq, script| {
        pods.add("a.b", seq, script);
        format!("http://127.0.0.1:{}", pods.port("a.b", seq))
    };

    let silent = add(&mut pods, 1, PodScript::running().silent());
    assert_eq!(post(&format!("{silent}/info"), Duration::from_millis(300)), None);
    let refused = add(&mut pods, 2, PodScript::running().refuses_connections());
    assert_eq!(post(&format!("{refused}/info"), SOON), None);
    let odd = add(&mut pods, 3, PodScript::running().answers("/info", Behaviour::Text(200, "<html>".to_owned())));
    assert_eq!(post(&format!("{odd}/info"), SOON), Some((200, Value::Null)));
    assert_eq!(post(&format!("{odd}/log"), SOON), Some((200, json!([]))));
    let slow = add(&mut pods, 4, PodScript::running().slow(Duration::from_millis(200)));
    let asked = Instant::now();
    assert!(post(&format!("{slow}/info"), SOON).is_some());
    assert!(asked.elapsed() >= Duration::from_millis(200));
    let tools = add(&mut pods, 5, PodScript::running().tool("run", 2, &["a", "b"]).log(&["one"]));
    assert_eq!(post(&format!("{tools}/exec"), SOON), Some((500, json!({}))));
    assert_eq!(post(&format!("{tools}/log"), SOON), Some((200, json!(["one\n"]))));
    add(&mut pods, 6, PodScript::running().port_as_number());
    add(&mut pods, 7, PodScript::running().control_port_hidden());
    for node in &nodes(&zookeeper.address(), "a.b")[5..] {
        assert_eq!(Registration::parse(node).unwrap().control, None);
    }
}

#[test]
fn the_pretend_marathon_answers_as_told() {
    let marathon = FakeMarathon::start(|request| match request.method.as_str() {
        "POST" => marathon::Answer::Json(409, json!({"message": "locked"})),
        "PUT" => marathon::Answer::Silence,
        _ => marathon::Answer::Text(500, "<html>".to_owned()),
    });
    let url = format!("http://{}/v2/apps", marathon.address());
    assert_eq!(post(&url, SOON), Some((409, json!({"message": "locked"}))));
    let answer = http::request("GET", &url, &[]);
    assert_eq!((answer.status, answer.json()), (500, Value::Null));
    let seen: Vec<_> = marathon.requests().into_iter().map(|request| (request.method, request.path)).collect();
    assert_eq!(seen, [("POST".into(), "/v2/apps".into()), ("GET".into(), "/v2/apps".into())]);
}
