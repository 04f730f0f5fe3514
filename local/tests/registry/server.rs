//! A registry of its own for each test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ocho_local::registry::{Registry, RegistryConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zookeeper_client as zk;

/// Longer than anything here takes, shorter than one waits for a hung test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Short, so that sessions that end on their own do so soon; long enough to outlast a pause of a busy machine.
pub(crate) const SESSION: Duration = Duration::from_secs(5);

/// The longest that a registry grants.
const LASTING: Duration = Duration::from_secs(40);

/// A registry that serves until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With another configuration.
    pub(crate) async fn with(configure: impl FnOnce(&mut RegistryConfig)) -> Self {
        let mut config = RegistryConfig::new("127.0.0.1:0".parse().unwrap());
        config.limits.session_timeout_min = SESSION;
        configure(&mut config);
        let registry = Registry::bind(config).await.unwrap();
        let address = registry.local_addr();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(registry.serve(stop.clone()));
        Self { address, stop, serving }
    }

    /// One that keeps its state in the folder.
    pub(crate) async fn on(folder: &Path) -> Self {
        Self::with(|config| config.data = Some(folder.to_owned())).await
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }

    /// A client with a session that lasts.
    pub(crate) async fn client(&self) -> zk::Client {
        let connector = zk::Client::connector().with_session_timeout(LASTING);
        connector.connect(&self.address.to_string()).await.unwrap()
    }
}

/// An address that is free now and stays so while nobody listens there: no system gives such a port to who asks for any, neither
/// to listen nor to connect from.
pub(crate) fn quiet_address() -> SocketAddr {
    let addresses = std::iter::repeat_with(|| ([127, 0, 0, 1], rand::random_range(12_000..20_000)).into());
    let free = |address: &SocketAddr| std::net::TcpListener::bind(address).is_ok();
    addresses.take(1000).find(free).expect("a port is free")
}

pub(crate) fn persistent() -> zk::CreateOptions<'static> {
    zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all())
}

pub(crate) fn ephemeral() -> zk::CreateOptions<'static> {
    zk::CreateMode::Ephemeral.with_acls(zk::Acls::anyone_all())
}

/// Waits for a future, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("{what} does not come"),
    }
}
