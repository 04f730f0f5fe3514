//! A whole pod: its machines and its API, wired together.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::control::{self, Control};
use crate::coordinator::Coordinator;
use crate::environment::{Environment, Variables};
use crate::face::Face;
use crate::hooks::Hooks;
use crate::identity::Identity;
use crate::leader::{Leader, ModelSettings, Probe};
use crate::lifecycle::{Lifecycle, LifecycleSettings};
use crate::log::Log;
use crate::registry::ClusterPaths;
use crate::registry::membership::Membership;
use crate::signing::Guard;
use crate::tools::Tools;
use crate::whereabouts::Whereabouts;

/// What makes one pod different from another.
pub struct Pod {
    /// What its author provides.
    pub hooks: Box<dyn Hooks>,
    /// How the sub-process is looked after.
    pub lifecycle: LifecycleSettings,
    /// How the cluster is led.
    pub model: ModelSettings,
    /// What looks at the whole cluster.
    pub probe: Option<Arc<dyn Probe>>,
    /// What `/exec` can run.
    pub tools: Tools,
    /// Where the log goes.
    pub log: Log,
}

/// Why a pod cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The control port.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where to.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// A pod that listens and is about to start.
pub struct Agent {
    listener: TcpListener,
    router: axum::Router,
    lifecycle: Lifecycle,
    coordinator: Coordinator,
    limits: control::Limits,
}

impl Agent {
    /// Puts the pod together and opens its control port.
    ///
    /// # Errors
    /// Where the port cannot be opened.
    pub async fn new(pod: Pod, environment: &Environment, place: &Whereabouts, variables: Variables) -> Result<Self, AgentError> {
        let identity = Identity::new(environment, place);
        let listener = listen(place, identity.listen_port).await?;
        let dependencies: Vec<String> = pod.model.depends_on.iter().map(|one| one.as_str().to_owned()).collect();
        let face = Arc::new(Face::new(dependencies.clone()));
        let (registrations, registered) = watch::channel(None);
        let variables = for_sub_process(variables, &identity, &dependencies);
        let (lifecycle, orders) = Lifecycle::new(
            pod.hooks,
            pod.lifecycle,
            variables,
            environment.start,
            Arc::clone(&face),
            pod.log.clone(),
            registered,
        );
        let (resets, reset_requests) = mpsc::channel(1);
        let control = Control {
            face: Arc::clone(&face),
            registration: Arc::new(identity.registration.clone()),
            log: pod.log,
            orders,
            resets,
            tools: Arc::new(pod.tools),
            room: control::Room::default(),
            guard: Arc::new(Guard::new(environment.control_token.clone())),
            publish_secrets: environment.publish_secrets,
        };
        let leader = Leader {
            key: identity.key.clone(),
            cluster: identity.cluster.clone(),
            control_port: environment.control_port.to_string(),
            settings: pod.model,
            token: environment.control_token.clone(),
            face,
            probe: pod.probe,
        };
        let membership = Membership::new(identity.key, ClusterPaths::new(&identity.cluster), identity.registration);
        let zookeeper = place.zookeeper.clone();
        let coordinator = Coordinator { zookeeper, membership, leader, resets: reset_requests, registrations };
        Ok(Self { listener, router: control::router(control), lifecycle, coordinator, limits: control::Limits::default() })
    }

    /// Where the control API listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Lives until told to stop: then the sub-process is ended, the registration removed, and requests under way are finished.
    ///
    /// A pod that dies before (killed, or its process done) stays reachable until then.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, router, lifecycle, coordinator, limits } = self;
        info!(address = ?listener.local_addr().ok(), "serving the control API");
        let (stop_lifecycle, stop_others) = (CancellationToken::new(), CancellationToken::new());
        let mut machines = JoinSet::new();
        machines.spawn(coordinator.run(stop_others.clone()));
        machines.spawn(control::serve(listener, router, limits, stop_others.clone()));
        let mut life = JoinSet::new();
        life.spawn(lifecycle.run(stop_lifecycle.clone()));
        tokio::select! {
            () = stop.cancelled() => info!("stopping"),
            // Without its machines a pod is an obstacle: better gone and started again than half there.
            Some(ended) = machines.join_next() => warn!(?ended, "stopping: a machine ended early"),
        }
        // The process ends first, while its peers still find the pod.
        stop_lifecycle.cancel();
        while life.join_next().await.is_some() {}
        stop_others.cancel();
        while machines.join_next().await.is_some() {}
        info!("stopped");
    }
}

/// A pod that advertises the loopback address is reached there only; any other one listens for all.
async fn listen(place: &Whereabouts, port: u16) -> Result<TcpListener, AgentError> {
    let loopback = place.ip.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let machine = place.network == crate::environment::Network::Machine;
    let host = if loopback && machine { [127, 0, 0, 1] } else { [0, 0, 0, 0] };
    let address = SocketAddr::from((host, port));
    TcpListener::bind(address).await.map_err(|cause| AgentError::Listen { address, cause })
}

/// The pod's own variables, the defaults that the original adds, and `ochopod`.
fn for_sub_process(mut variables: Variables, identity: &Identity, dependencies: &[String]) -> Variables {
    variables.remove("ochopod_control_token");
    for (name, default) in [
        ("ochopod_cluster", "default"),
        ("ochopod_namespace", "marathon"),
        ("ochopod_port", "8080"),
        ("ochopod_debug", "true"),
        ("ochopod_local", "false"),
        ("ochopod_start", "true"),
    ] {
        variables.entry(name.to_owned()).or_insert_with(|| default.to_owned());
    }
    variables.insert("ochopod".to_owned(), identity.for_sub_process(dependencies));
    variables
}
