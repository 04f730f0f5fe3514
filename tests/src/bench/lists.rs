//! The embedded cluster with 1,000 applications, 1,000 tasks and 2,000 registered pods: how long lists take. And after many
//! applications and sessions came and went: whether its memory stays.
//!
//! Budget: each list below 100 ms at the median; resident memory after 10,000 cycles within 10 % of that after 1,000.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ocho_tests::cases::Engine;
use ocho_tests::runtime::block_on;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::sleep;
use zookeeper_client as zk;

use crate::usage::resident_kib;

const APPS: usize = 1_000;
const PODS: usize = 2_000;
const ROUNDS: usize = 21;
const BUDGET: Duration = Duration::from_millis(100);

/// The first measure of memory, and the second.
const CYCLES: [usize; 2] = [1_000, 10_000];

/// Every so often a cycle's application has a task, which costs a hundred times as much as the rest of it.
const WITH_TASK: usize = 20;

const LISTS: [&str; 9] = [
    "/v2/apps",
    "/v2/apps?label=tier%3D%3Dweb&id=a0",
    "/v2/apps?embed=apps.tasks",
    "/v2/apps?embed=apps.tasks&embed=apps.counts&embed=apps.lastTaskFailure&embed=apps.taskStats&embed=apps.readiness",
    "/v2/tasks",
    "/v2/groups",
    "/v2/groups?embed=group.groups&embed=group.apps&embed=group.apps.tasks&embed=group.apps.counts",
    "/v2/deployments",
    "/v2/queue",
];

pub(crate) fn run() {
    allow_open_files();
    block_on(lists());
    block_on(memory());
}

/// Each session is a connection of this process and one of the cluster, which raises its own limit.
fn allow_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a limit may be raised as far as it goes");
    }
}

/// The scheduler's side of a cluster.
struct Marathon<'a> {
    client: Client,
    engine: &'a Engine,
}

impl<'a> Marathon<'a> {
    fn of(engine: &'a Engine) -> Self {
        Self { client: Client::builder().no_proxy().build().expect("a client can be made"), engine }
    }

    async fn get(&self, path: &str) -> String {
        let reply = self.client.get(format!("{}{path}", self.engine.url)).send().await.expect("the engine answers");
        assert_eq!(reply.status(), 200, "{path}");
        reply.text().await.expect("a body")
    }

    async fn post(&self, path: &str, body: &Value) {
        let post = self.client.post(format!("{}{path}", self.engine.url)).json(body);
        let reply = post.send().await.expect("the engine answers");
        assert_eq!(reply.status(), 201, "{path}");
    }

    async fn delete(&self, path: &str) {
        let reply = self.client.delete(format!("{}{path}", self.engine.url)).send().await.expect("the engine answers");
        assert_eq!(reply.status(), 200, "{path}");
    }

    /// Waits until so many tasks run and no deployment does.
    async fn settled(&self, tasks: usize) {
        loop {
            let metrics: Value = serde_json::from_str(&self.get("/metrics").await).unwrap_or_default();
            let gauge = |name: &str| metrics["gauges"][name]["value"].as_u64();
            let running = gauge("marathon.instances.running.gauge");
            if running == Some(tasks as u64) && gauge("marathon.deployments.active.gauge") == Some(0) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn lists() {
    let engine = Engine::start(&[]);
    let marathon = Marathon::of(&engine);
    let apps: Vec<Value> = (0..APPS).map(|nth| app(&format!("a{nth:04}"), 1)).collect();
    let begun = Instant::now();
    marathon.post("/v2/groups", &json!({ "id": "/many", "apps": apps })).await;
    marathon.settled(APPS).await;
    println!("\n{APPS} applications with a task each, up after {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let pods = register(&engine.zookeeper).await;
    println!("{PODS} pods with a session each, registered after {:.1} s", begun.elapsed().as_secs_f64());

    println!("  {:>9} {:>9} {:>10}  list", "p50 ms", "max ms", "bytes");
    for path in LISTS {
        report(path, async || marathon.get(path).await.len()).await;
    }
    let reader = connect(&engine.zookeeper).await;
    report("getChildren of the pods", async || {
        reader.list_children(FOLDER).await.expect("the registry answers").iter().map(String::len).sum()
    })
    .await;
    report("all registrations, 256 reads at a time", async || find(&reader).await).await;
    drop(pods);
}

fn app(id: &str, instances: usize) -> Value {
    json!({
        "id": id, "cmd": "exec sleep 1000000", "cpus": 0.01, "mem": 32, "instances": instances,
        "env": { "ochopod_cluster": "web", "ochopod_debug": "false" }, "labels": { "tier": "web" },
    })
}

/// Measures a list, and says how it stands beside the budget.
async fn report(name: &str, list: impl AsyncFn() -> usize) {
    let mut took = Vec::new();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        bytes = list().await;
        took.push(begun.elapsed());
    }
    took.sort();
    let (median, longest) = (took[ROUNDS / 2], took[ROUNDS - 1]);
    let over = if median > BUDGET { "   OVER 100 ms" } else { "" };
    println!("  {:>9.1} {:>9.1} {bytes:>10}  {name}{over}", median.as_secs_f64() * 1e3, longest.as_secs_f64() * 1e3);
}

const FOLDER: &str = "/ochopod/clusters/bench.web/pods";

async fn connect(address: &str) -> zk::Client {
    let connector = zk::Client::connector().with_session_timeout(Duration::from_secs(40));
    connector.connect(address).await.expect("the registry answers")
}

async fn make_folder(client: &zk::Client) {
    let options = zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());
    client.mkdir(FOLDER, &options).await.expect("the registry answers");
}

/// What a pod writes about itself, roughly.
fn registration(nth: usize) -> Vec<u8> {
    let value = json!({
        "application": "many.a0000", "cluster": "bench.web", "fwk": "marathon", "id": format!("{nth}"), "ip": "127.0.0.1",
        "node": "127.0.0.1", "port": "8080", "ports": { "8080": 20_000 + nth }, "public": "127.0.0.1", "seq": nth, "start": "true",
        "status": "", "task": "many_a0000.instance-0f0e0d0c-1111-2222-3333-444455556666._app.1", "zk": "127.0.0.1:2181",
    });
    value.to_string().into_bytes()
}

/// Sessions with a node each.
async fn register(address: &str) -> Vec<zk::Client> {
    let mut pods = vec![connect(address).await];
    make_folder(&pods[0]).await;
    let options = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::anyone_all());
    for nth in 0..PODS {
        let pod = connect(address).await;
        let path = format!("{FOLDER}/0f0e0d0c-1111-2222-3333-{nth:012}.");
        pod.create(&path, &registration(nth), &options).await.expect("the registry answers");
        pods.push(pod);
    }
    pods
}

/// Reads every registration as the host does: a list, then all nodes side by side.
async fn find(reader: &zk::Client) -> usize {
    use futures::StreamExt;
    let names = reader.list_children(FOLDER).await.expect("the registry answers");
    let reads = names.iter().map(|name| async move {
        let path = format!("{FOLDER}/{name}");
        reader.get_data(&path).await.map_or(0, |(data, _)| data.len())
    });
    futures::stream::iter(reads).buffer_unordered(256).fold(0, |sum, bytes| async move { sum + bytes }).await
}

async fn memory() {
    let engine = Engine::start(&[]);
    let marathon = Marathon::of(&engine);
    make_folder(&connect(&engine.zookeeper).await).await;
    let mut seen = Vec::new();
    let mut nth = 0;
    for end in CYCLES {
        while nth < end {
            cycle(&marathon, nth).await;
            nth += 1;
        }
        marathon.settled(0).await;
        seen.push(resident_kib(engine.pid()));
        println!("\n{end} cycles: {} KiB resident", seen[seen.len() - 1]);
    }
    let over = if seen[1] * 10 > seen[0] * 11 { "   OVER 110 %" } else { "" };
    println!("  {} % of what it was{over}", seen[1] * 100 / seen[0].max(1));
}

/// An application and a session come and go; now and then the application has a task.
async fn cycle(marathon: &Marathon<'_>, nth: usize) {
    let with_task = nth.is_multiple_of(WITH_TASK);
    let id = format!("/cycle/a{nth}");
    marathon.post("/v2/apps", &app(&id, usize::from(with_task))).await;
    if with_task {
        marathon.settled(1).await;
    }
    marathon.delete(&format!("/v2/apps{id}")).await;
    if with_task {
        marathon.settled(0).await;
    }
    let pod = connect(&marathon.engine.zookeeper).await;
    let options = zk::CreateMode::Ephemeral.with_acls(zk::Acls::anyone_all());
    pod.create(&format!("{FOLDER}/{nth}"), &registration(nth), &options).await.expect("the registry answers");
    pod.list_children(FOLDER).await.expect("the registry answers");
}
