//! The client of the registry against the servers that it is made for: the embedded one, and a real ZooKeeper.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use ocho_core::ClusterGlob;
use ocho_host::zookeeper::{ZooKeeperConfig, ZooKeeperRegistry};
use ocho_local::registry::{Registry as Embedded, RegistryConfig};
use ocho_runtime::host::{Pod, Registry, RegistryError};
use ocho_tests::{RealZooKeeper, skip};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use zookeeper_client::{Acls, Client, CreateMode, Error};

const ROOT: &str = "/ochopod/clusters";
/// For what comes by itself: long enough for a loaded machine.
const SOON: Duration = Duration::from_secs(60);

/// A registry to test, and a session of its own to write with.
struct World {
    pods: Client,
    registry: ZooKeeperRegistry,
}

impl World {
    async fn at(address: &str) -> Self {
        // It has to outlast a server that hangs for a while.
        let pods = Client::connector().with_session_timeout(Duration::from_secs(40)).connect(address).await.unwrap();
        Self { pods, registry: registry(address, SOON) }
    }

    async fn folder(&self, path: &str) {
        self.pods.mkdir(path, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await.unwrap();
    }

    async fn cluster(&self, cluster: &str) {
        self.folder(&format!("{ROOT}/{cluster}/pods")).await;
    }

    async fn create(&self, node: &str, content: &str) {
        let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        self.pods.create(&path(node), content.as_bytes(), &options).await.unwrap();
    }

    async fn write(&self, node: &str, content: &str) {
        self.pods.set_data(&path(node), content.as_bytes(), None).await.unwrap();
    }

    async fn delete(&self, node: &str) {
        self.pods.delete(&path(node), None).await.unwrap();
    }

    /// Deletes a folder and all below it.
    async fn wipe(&self, path: &str) {
        let children = match self.pods.list_children(path).await {
            Err(Error::NoNode) => return,
            children => children.unwrap(),
        };
        for child in children {
            Box::pin(self.wipe(&format!("{path}/{child}"))).await;
        }
        self.pods.delete(path, None).await.unwrap();
    }

    async fn found(&self, pattern: &str) -> Vec<String> {
        keys(&self.registry.find(ClusterGlob::new(pattern)).await.unwrap())
    }
}

fn registry(address: &str, find_timeout: Duration) -> ZooKeeperRegistry {
    ZooKeeperRegistry::new(ZooKeeperConfig { find_timeout, patience: find_timeout, ..ZooKeeperConfig::new(address) }).unwrap()
}

/// The path of `<cluster>/<node>`.
fn path(node: &str) -> String {
    let (cluster, node) = node.split_once('/').unwrap();
    format!("{ROOT}/{cluster}/pods/{node}")
}

fn keys(pods: &[Pod]) -> Vec<String> {
    pods.iter().map(|pod| pod.id.to_string()).collect()
}

fn none() -> Vec<String> {
    Vec::new()
}

fn seq(seq: usize) -> String {
    format!(r#"{{"seq": {seq}}}"#)
}

async fn each_step_of_a_registration_is_seen(world: &World) {
    assert_eq!(world.found("*").await, none());
    for folder in ["/ochopod", ROOT, &format!("{ROOT}/m.web"), &format!("{ROOT}/m.web/pods")] {
        world.folder(folder).await;
        assert_eq!(world.found("*").await, none(), "{folder}");
    }
    world.create("m.web/a.0", "").await;
    assert_eq!(world.found("*").await, none());
    world.write("m.web/a.0", &seq(0)).await;
    assert_eq!(world.found("*").await, ["m.web #0"]);
    world.write("m.web/a.0", &seq(7)).await;
    assert_eq!(world.found("*").await, ["m.web #7"]);
    world.write("m.web/a.0", "[").await;
    assert_eq!(world.found("*").await, none());
    world.delete("m.web/a.0").await;
    assert_eq!(world.found("*").await, none());
}

async fn what_is_there_when_it_is_asked_is_found(world: &World) {
    world.cluster("m.web").await;
    for nth in 0..100 {
        let node = format!("m.web/{nth:04}.{nth}");
        world.create(&node, "").await;
        world.write(&node, &seq(nth)).await;
        assert_eq!(world.found("m.web").await.len(), nth + 1);
    }
    for nth in 0..100 {
        world.delete(&format!("m.web/{nth:04}.{nth}")).await;
        assert_eq!(world.found("m.web").await.len(), 99 - nth);
    }
}

async fn what_goes_and_comes_under_the_same_name_is_another(world: &World) {
    for nth in 0..30 {
        world.cluster("m.web").await;
        world.create("m.web/a.0", &seq(nth)).await;
        assert_eq!(world.found("*").await, [format!("m.web #{nth}")]);
        match nth % 3 {
            0 => world.delete("m.web/a.0").await,
            1 => world.wipe(&format!("{ROOT}/m.web")).await,
            _ => world.wipe("/ochopod").await,
        }
        // Sometimes nobody looks in between.
        if nth % 2 == 0 {
            assert_eq!(world.found("*").await, none());
        }
    }
}

async fn a_pod_with_two_nodes_is_at_the_younger_one(world: &World) {
    world.cluster("m.web").await;
    world.create("m.web/z.1", r#"{"seq": 1, "ip": "old"}"#).await;
    world.create("m.web/a.2", r#"{"seq": 1, "ip": "young"}"#).await;
    let pods = world.registry.find(ClusterGlob::new("*")).await.unwrap();
    assert_eq!(keys(&pods), ["m.web #1"]);
    assert_eq!(pods[0].registration.all["ip"], "young");
    world.delete("m.web/a.2").await;
    assert_eq!(world.registry.find(ClusterGlob::new("*")).await.unwrap()[0].registration.all["ip"], "old");
}

async fn changes_are_told(world: &World) {
    let mut changes = world.registry.changes(ClusterGlob::new("m.*"));
    let mut next = async || keys(&timeout(SOON, changes.next()).await.unwrap().unwrap().unwrap());
    assert_eq!(next().await, none());
    world.cluster("m.web").await;
    world.create("m.web/a.0", &seq(0)).await;
    assert_eq!(next().await, ["m.web #0"]);
    // What does not match makes no noise, and what comes at once may come in one list.
    world.cluster("other.web").await;
    world.create("other.web/a.0", &seq(5)).await;
    world.create("m.web/b.1", &seq(1)).await;
    assert_eq!(next().await, ["m.web #0", "m.web #1"]);
    world.delete("m.web/a.0").await;
    assert_eq!(next().await, ["m.web #1"]);
}

async fn many_are_found_by_many(world: &World) {
    for cluster in 0..10 {
        world.cluster(&format!("m.c{cluster}")).await;
        join_all((0..50).map(async |nth| world.create(&format!("m.c{cluster}/{nth}.{nth}"), &seq(nth)).await)).await;
    }
    let ask = async |nth: usize| match nth % 3 {
        0 => assert_eq!(world.found("*").await.len(), 500),
        1 => assert_eq!(world.found("m.c[0-4]").await.len(), 250),
        _ => assert_eq!(world.found("m.c7").await.len(), 50),
    };
    join_all((0..300).map(ask)).await;
}

/// All of the above, each from an empty tree.
async fn stories(world: &World) {
    world.wipe("/ochopod").await;
    each_step_of_a_registration_is_seen(world).await;
    world.wipe("/ochopod").await;
    what_is_there_when_it_is_asked_is_found(world).await;
    world.wipe("/ochopod").await;
    what_goes_and_comes_under_the_same_name_is_another(world).await;
    world.wipe("/ochopod").await;
    a_pod_with_two_nodes_is_at_the_younger_one(world).await;
    world.wipe("/ochopod").await;
    changes_are_told(world).await;
    world.wipe("/ochopod").await;
    many_are_found_by_many(world).await;
}

/// An embedded registry; dropping it ends it.
struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Serving {
    /// Ends it; its port is free then.
    async fn end(self) {
        self.stop.cancel();
        timeout(SOON, self.task).await.unwrap().unwrap();
    }
}

async fn embedded(listen: SocketAddr) -> Serving {
    // A process that another test starts has all that we had open until it becomes another program, an old listener too.
    let bind = async {
        loop {
            match Embedded::bind(RegistryConfig::new(listen)).await {
                Ok(server) => return server,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let server = timeout(SOON, bind).await.unwrap();
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let task = AbortOnDropHandle::new(tokio::spawn(server.serve(stop.clone())));
    Serving { address, stop, task }
}

/// An address that is free now and stays so while nobody listens there: no system gives such a port to who asks for any, neither
/// to listen nor to connect from.
fn quiet_address() -> SocketAddr {
    let addresses = std::iter::repeat_with(|| ([127, 0, 0, 1], rand::random_range(12_000..20_000)).into());
    let free = |address: &SocketAddr| std::net::TcpListener::bind(address).is_ok();
    addresses.take(1000).find(free).expect("a port is free")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_registry() {
    let server = embedded(([127, 0, 0, 1], 0).into()).await;
    stories(&World::at(&server.address.to_string()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_zookeeper() {
    let Some(mut server) = real("on_a_real_zookeeper") else { return };
    let world = World::at(&server.address()).await;
    stories(&world).await;

    // A server that hangs: an answer in time that says so, and everything as before when it goes on.
    let hasty = registry(&server.address(), Duration::from_secs(1));
    let connected = async { while hasty.find(ClusterGlob::new("m.c7")).await.map(|pods| pods.len()) != Ok(50) {} };
    timeout(SOON, connected).await.unwrap();
    server.freeze(true);
    // The signal takes a moment to stop all of its threads.
    let stopped = async {
        loop {
            let started = Instant::now();
            if let Err(error) = hasty.find(ClusterGlob::new("m.c7")).await {
                return (error, started);
            }
        }
    };
    let (error, started) = timeout(SOON, stopped).await.unwrap();
    assert!(matches!(&error, RegistryError::Unreachable(text) if text.contains(&server.address())), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    server.freeze(false);
    assert_eq!(world.found("m.none").await, none());

    // A server that was away: a stream of changes goes on, and what is persistent is found again.
    world.cluster("lasting.web").await;
    let lasting = CreateMode::Persistent.with_acls(Acls::anyone_all());
    world.pods.create(&path("lasting.web/a.0"), seq(3).as_bytes(), &lasting).await.unwrap();
    let mut changes = world.registry.changes(ClusterGlob::new("lasting.*"));
    assert_eq!(keys(&changes.next().await.unwrap().unwrap()), ["lasting.web #3"]);
    server.restart();
    let writer = World::at(&server.address()).await;
    writer.write("lasting.web/a.0", &seq(4)).await;
    assert_eq!(world.found("lasting.*").await, ["lasting.web #4"]);
    let change = timeout(SOON, changes.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(keys(&change), ["lasting.web #4"]);
}

fn real(test: &str) -> Option<RealZooKeeper> {
    if !RealZooKeeper::is_installed() {
        skip(test, "no ZooKeeper: install libzookeeper-java and default-jre-headless");
        return None;
    }
    Some(RealZooKeeper::start())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_starts_late_or_again_is_found() {
    let address = quiet_address();
    let server = embedded(address).await;
    let world = World::at(&address.to_string()).await;
    world.cluster("m.web").await;
    world.create("m.web/a.0", &seq(0)).await;
    assert_eq!(world.found("*").await, ["m.web #0"]);
    server.end().await;
    let (found, _server) = tokio::join!(world.found("*"), async {
        tokio::task::yield_now().await;
        embedded(address).await
    });
    assert_eq!(found, none(), "it keeps its nodes in memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_down_delay_little() {
    let server = embedded(([127, 0, 0, 1], 0).into()).await;
    // Held, so that nobody else listens there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let closed = held.local_addr().unwrap();
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ensemble = format!("{closed},{},{}", hanging.local_addr().unwrap(), server.address);
    let started = Instant::now();
    for _ in 0..5 {
        // Whoever waited for the one that hangs would wait for long.
        let config = ZooKeeperConfig { connect_timeout: SOON, find_timeout: 2 * SOON, ..ZooKeeperConfig::new(&ensemble) };
        let registry = ZooKeeperRegistry::new(config).unwrap();
        assert_eq!(registry.find(ClusterGlob::new("*")).await, Ok(Vec::new()));
    }
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}
