//! The host: its ports, and everything that runs behind them.

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use ocho_core::signature::Token;
use ocho_runtime::{CodeCache, Engine, EngineConfig};
use ochopod::{Member, ZookeeperHosts};
use tokio::net::TcpListener;

use crate::auth::Auth;
use crate::config::seeds::outer_port;
use crate::config::{ConfigError, Face, HostArgs};
use crate::console;
use crate::journal::Journal;
use crate::marathon::{MarathonClient, MarathonConfig};
use crate::own_pods::{OwnPod, OwnPodConfig, OwnPods};
use crate::pods::{FanOut, PodClient};
use crate::portal::{self, Portal};
use crate::runs::{DEPTH_MAX, Runs};
use crate::servo::exec::ServoTools;
use crate::servo::jobs::{Jobs, JobsConfig, NoJobs};
use crate::servo::{self, Servo};
use crate::tools::{BUILTIN, DefaultLimits, ToolStore, ToolsFolder};
use crate::zookeeper::{ZooKeeperConfig, ZooKeeperRegistry};

/// Compiled code that is kept on disk.
const CACHE_BYTES: u64 = 1 << 30;

/// The host's ports, bound before anything else starts, so that a taken one costs nothing.
pub(super) struct Faces {
    portal: Option<Ports>,
    servo: Option<Ports>,
}

/// A face's port, and the control port of the pod that it is.
struct Ports {
    face: TcpListener,
    control: TcpListener,
}

impl Faces {
    pub(super) async fn bind(args: &HostArgs) -> Result<Self, ConfigError> {
        let (mut portal, mut servo) = (None, None);
        if args.serves(Face::Portal) {
            portal = Some(Ports::bind(["--portal", "--portal-control"], args.portal, args.portal_control).await?);
        }
        if args.serves(Face::Servo) {
            servo = Some(Ports::bind(["--servo", "--servo-control"], args.servo, args.servo_control).await?);
        }
        Ok(Self { portal, servo })
    }
}

impl Ports {
    async fn bind([face, control]: [&'static str; 2], address: SocketAddr, port: u16) -> Result<Self, ConfigError> {
        let face = bind(face, address).await?;
        Ok(Self { face, control: bind(control, SocketAddr::new(address.ip(), port)).await? })
    }
}

async fn bind(option: &'static str, address: SocketAddr) -> Result<TcpListener, ConfigError> {
    TcpListener::bind(address).await.map_err(|cause| ConfigError::Listen { option, address, cause })
}

/// The host, ready to serve.
pub(super) struct Host {
    runs: Runs,
    auth: Auth,
    /// The jobs of the servo, to be drained at the end.
    pub(super) jobs: Jobs,
    servo_auth: Auth,
    /// The faces as pods, each with what keeps it registered and its control port.
    pub(super) own_pods: Vec<(OwnPod, Member, TcpListener)>,
    /// The faces, to be served.
    pub(super) portal: Option<TcpListener>,
    pub(super) servo: Option<TcpListener>,
    pub(super) tools_folder: Option<ToolsFolder>,
}

/// The systems that a host works with.
pub(super) struct Systems<'a> {
    pub(super) marathon: MarathonConfig,
    pub(super) zookeeper: &'a str,
    pub(super) journal: Journal,
    pub(super) data: Option<&'a Path>,
}

impl Host {
    pub(super) fn new(args: &HostArgs, token: Option<Token>, faces: Faces, systems: Systems<'_>) -> anyhow::Result<Self> {
        let engine = Engine::new(EngineConfig {
            runs: args.runs.saturating_mul(DEPTH_MAX + 1).saturating_add(args.servo_args.jobs),
            memory_bytes: (args.memory_limit as usize) << 20,
            cache: code_cache(args.cache.as_deref())?,
        })?;
        let limits =
            DefaultLimits { cpu: args.cpu_limit, wall: args.wall_limit, memory_bytes: (args.memory_limit as usize) << 20 };
        let config = args.tool_args.store_config(limits, args.grants());
        let tools = ToolStore::open(engine.clone(), config, systems.data).context("the tool store cannot start")?;
        load_tools(&tools);
        let tools_folder = args.tools.as_deref().map(|folder| ToolsFolder::watch(tools.clone(), folder)).transpose()?;
        let registry = Arc::new(ZooKeeperRegistry::new(ZooKeeperConfig::new(systems.zookeeper))?);
        let servo_token = args.servo_args.token(token.as_ref(), systems.data)?;
        let own_pods = own_pods(args, [token.as_ref(), Some(&servo_token)], &faces, systems.zookeeper)?;
        let own = own_pods.iter().flatten().map(|(pod, _)| pod.clone()).collect();
        let pod_token = args.pod_token.as_deref().and_then(Token::new);
        let pod_client = PodClient::new(registry.clone(), FanOut::default()).signing(pod_token);
        let pods = Arc::new(OwnPods::new(own, Arc::new(pod_client)));
        let marathon = MarathonClient::new(systems.marathon).context("the Marathon client cannot start")?;
        let runs = Runs::new(tools, systems.journal, args.runs, registry.clone(), pods, Arc::new(marathon))
            .context("no place for working folders")?;
        let callback = callback(args, faces.servo.as_ref(), systems.zookeeper);
        let jobs = Jobs::new(JobsConfig {
            runs: runs.clone(),
            engine,
            registry,
            token: servo_token.clone(),
            settings: &args.servo_args.settings(),
            memory_bytes: (args.memory_limit as usize) << 20,
            callback_base: format!("http://{callback}"),
            data: systems.data,
        })
        .map_err(|error| no_jobs(error, args))?;
        if let [_, Some((servo, _))] = &own_pods {
            servo.set_tools(Arc::new(ServoTools::new(&jobs)));
        }
        let (portal, portal_control) = faces.portal.map(|ports| (ports.face, ports.control)).unzip();
        let (servo, servo_control) = faces.servo.map(|ports| (ports.face, ports.control)).unzip();
        let served = own_pods.into_iter().zip([portal_control, servo_control]);
        let own_pods =
            served.filter_map(|(pod, control)| pod.zip(control).map(|((pod, member), control)| (pod, member, control)));
        let (own_pods, auth) = (own_pods.collect(), Auth::new(token, args.require_signature_256));
        let servo_auth = Auth::new(Some(servo_token), args.require_signature_256);
        Ok(Self { runs, auth, jobs, servo_auth, own_pods, portal, servo, tools_folder })
    }

    pub(super) fn portal_routes(&self) -> Router {
        let portal = Portal { runs: self.runs.clone(), auth: self.auth.clone() };
        console::routes(self.runs.clone(), self.jobs.clone(), self.auth.clone()).merge(portal::routes(portal))
    }

    pub(super) fn servo_routes(&self) -> Router {
        servo::routes(Servo { jobs: self.jobs.clone(), auth: self.servo_auth.clone() })
    }
}

/// The portal's pod and the servo's, as far as they are served.
fn own_pods(
    args: &HostArgs,
    [portal_token, servo_token]: [Option<&Token>; 2],
    faces: &Faces,
    zookeeper: &str,
) -> anyhow::Result<[Option<(OwnPod, Member)>; 2]> {
    let hosts: ZookeeperHosts = zookeeper.parse()?;
    let pod = |name, token: Option<&Token>, number: u16, ports: &Option<Ports>| {
        let Some(Ports { face, control }) = ports else { return Ok(None) };
        anyhow::Ok(Some(OwnPod::new(&OwnPodConfig {
            name,
            ip: advertised(args, face, zookeeper),
            face: (number, outer_port(face.local_addr()?.port())),
            control: outer_port(control.local_addr()?.port()),
            zookeeper: &hosts,
            token: token.cloned(),
            publish_token: args.publish_token,
        })))
    };
    Ok([pod("portal", portal_token, 9000, &faces.portal)?, pod("servo", servo_token, 5000, &faces.servo)?])
}

/// Where jobs are told that something is over. Without a servo there are none.
fn callback(args: &HostArgs, servo: Option<&Ports>, zookeeper: &str) -> SocketAddr {
    let reached = |ports: &Ports| {
        let port = ports.face.local_addr().ok()?.port();
        Some(SocketAddr::new(advertised(args, &ports.face, zookeeper), outer_port(port)))
    };
    servo.and_then(reached).unwrap_or(args.servo)
}

fn advertised(args: &HostArgs, face: &TcpListener, zookeeper: &str) -> IpAddr {
    args.advertise.unwrap_or_else(|| reached_at(face.local_addr().ok(), zookeeper))
}

/// The address that others reach a face at: its own; where it listens on all, the one that leads to ZooKeeper.
fn reached_at(face: Option<SocketAddr>, zookeeper: &str) -> IpAddr {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match face.map(|face| face.ip()) {
        Some(ip) if !ip.is_unspecified() => ip,
        _ => {
            // Connecting a datagram socket sends nothing; it only asks the kernel for the way.
            let way = || {
                let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.connect(zookeeper.split(',').next().unwrap_or_default())?;
                std::io::Result::Ok(socket.local_addr()?.ip())
            };
            way().unwrap_or(loopback)
        }
    }
}

/// A file of authorities that cannot be used is a matter of the configuration.
fn no_jobs(error: NoJobs, args: &HostArgs) -> anyhow::Error {
    match (error, args.servo_args.job_http_ca.clone()) {
        (NoJobs::NoCertificates(why), Some(path)) => {
            ConfigError::Path { option: "--job-http-ca", path, cause: std::io::Error::other(why) }.into()
        }
        (error, _) => error.into(),
    }
}

/// Makes sure that the data folder is there and that no other host uses it for as long as the result lives: each would overwrite what
/// the other records of its tools.
pub(super) fn hold_data(data: Option<&Path>) -> Result<Option<File>, ConfigError> {
    let Some(folder) = data else { return Ok(None) };
    let unusable = |cause| ConfigError::Path { option: "--data", path: folder.to_owned(), cause };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let mut options = File::options();
    let lock = options.create(true).append(true).mode(0o600).open(folder.join("host.lock")).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            Err(unusable(std::io::Error::other("another ochod uses it; stop that one or name another folder")))
        }
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}

/// The journal of a data folder, or one in memory.
pub(super) fn open_journal(data: Option<&Path>) -> anyhow::Result<Journal> {
    let Some(folder) = data else { return Ok(Journal::open(None)?) };
    let unusable = |cause| ConfigError::Path { option: "--data", path: folder.to_owned(), cause };
    Ok(Journal::open(Some(folder)).map_err(|error| unusable(std::io::Error::other(error)))?)
}

/// Where compiled code is kept: as told, or in the user's cache.
pub(super) fn cache_folder(told: Option<&Path>) -> Option<PathBuf> {
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    told.map(Path::to_owned).or_else(|| Some(home()?.join("ocho/compiled")))
}

fn code_cache(folder: Option<&Path>) -> anyhow::Result<Option<CodeCache>> {
    if let Some(folder) = folder {
        let cache = CodeCache::open(folder, CACHE_BYTES);
        return Ok(Some(cache.map_err(|cause| ConfigError::Path { option: "--cache", path: folder.to_owned(), cause })?));
    }
    let opened = cache_folder(None).map(|folder| CodeCache::open(&folder, CACHE_BYTES));
    match opened {
        Some(Ok(cache)) => Ok(Some(cache)),
        Some(Err(error)) => {
            tracing::warn!(%error, "compiled tools are not kept; name a folder with --cache");
            Ok(None)
        }
        None => Ok(None),
    }
}

fn load_tools(tools: &ToolStore) {
    if BUILTIN.is_empty() {
        tracing::warn!("this ochod was built without the standard tools; build it with `cargo xtask`");
    }
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let started = std::time::Instant::now();
    tools.load(at_once, |name, done, all| {
        // 250 ms: a warm start stays quiet, a cold one shows life before one wonders.
        if started.elapsed() > Duration::from_millis(250) {
            eprintln!("compiled {name} ({done}/{all})");
        }
    });
}
