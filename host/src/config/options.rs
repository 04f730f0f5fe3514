//! The daemon's commands and their options: each field is a flag, a variable and a key of the configuration file.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ocho_core::ToolName;
use ocho_runtime::{Grants, Interface};
use ochopod::ZookeeperHosts;

use super::command::ConfigArgs;
use super::sections::Sections;
use super::seeds;
use crate::marathon::{Credentials, MarathonConfig};
use crate::servo::config::ServoArgs;
use crate::tools::ToolArgs;

/// Run operations tools as WebAssembly components
#[derive(Debug, Parser)]
#[command(name = "ochod", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 after a clean stop, 2 where an option or a file is wrong or a port is taken, 4 where the host failed.";

const UP_EXAMPLES: &str = "Examples:
  ochod up
  ochod up --data ~/.local/share/ocho --images examples/images
  ochod up --portal 127.0.0.1:0 --marathon 127.0.0.1:0 --zookeeper 127.0.0.1:0 --servo 127.0.0.1:0";

const SERVE_EXAMPLES: &str = "Examples:
  ochod serve --marathon 10.0.0.1:8080,10.0.0.2:8080 --zookeeper 10.0.0.1:2181 --portal 0.0.0.0:9000 --token-file /etc/ocho/token";

/// What `ochod` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the host with an embedded cluster, all on this machine
    #[command(after_help = UP_EXAMPLES)]
    Up(Box<UpArgs>),
    /// Run the host for a cluster that has a Marathon and a ZooKeeper
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Run only the embedded cluster: a Marathon-compatible scheduler and a registry that speaks ZooKeeper's protocol
    Cluster(Box<ClusterArgs>),
    /// Check a configuration file, or show what the whole configuration comes to
    Config(ConfigArgs),
    /// Run one task of the embedded cluster; started by the scheduler
    #[command(hide = true, disable_help_flag = true)]
    TaskShim {
        /// For the scheduler's own use.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Options of `ochod up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The host's options.
    #[command(flatten)]
    pub host: HostArgs,
    /// The cluster's options.
    #[command(flatten)]
    pub cluster: ClusterPlaces,
    /// Folder of state that survives: apps, tasks, what pods wrote; a temporary one if not given
    #[arg(long, value_name = "DIR", env = "OCHOD_DATA")]
    pub data: Option<PathBuf>,
}

/// Options of `ochod serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The host's options.
    #[command(flatten)]
    pub host: HostArgs,
    /// Marathon's masters, `[http[s]://]<host>[:<port>]`; those that --mesos-dns names if not given
    #[arg(long, value_name = "HOST:PORT,...", env = "OCHOD_MARATHON", value_delimiter = ',')]
    pub marathon: Vec<String>,
    /// Name that leads to all masters, with Marathon's port; looked up anew when they do not answer
    #[arg(long, value_name = "NAME[:PORT]", env = "OCHOD_MESOS_DNS", default_value = "master.mesos")]
    pub mesos_dns: String,
    /// Name and password for Marathon; better as $OCHOD_MARATHON_CREDENTIALS
    #[arg(long, value_name = "USER:PASSWORD", env = "OCHOD_MARATHON_CREDENTIALS", hide_env_values = true)]
    pub marathon_credentials: Option<String>,
    /// Token for Marathon, sent as `Authorization: Bearer`
    #[arg(
        long,
        value_name = "SECRET",
        env = "OCHOD_MARATHON_TOKEN",
        hide_env_values = true,
        conflicts_with_all = ["marathon_credentials", "marathon_dcos_token"]
    )]
    pub marathon_token: Option<String>,
    /// Token for Marathon, sent as `Authorization: token=`, as DC/OS wants it
    #[arg(
        long,
        value_name = "SECRET",
        env = "OCHOD_MARATHON_DCOS_TOKEN",
        hide_env_values = true,
        conflicts_with = "marathon_credentials"
    )]
    pub marathon_dcos_token: Option<String>,
    /// Certificates (PEM) that alone vouch for masters with `https`; the system's if not given
    #[arg(long, value_name = "FILE", env = "OCHOD_MARATHON_CA")]
    pub marathon_ca: Option<PathBuf>,
    /// ZooKeeper servers, also as `zk://<host>:<port>,.../<path>`
    #[arg(long, value_name = "HOST:PORT,...", env = "OCHOD_ZOOKEEPER", required = true)]
    pub zookeeper: ZookeeperHosts,
    /// Folder of state that survives
    #[arg(long, value_name = "DIR", env = "OCHOD_DATA")]
    pub data: Option<PathBuf>,
}

/// Options of `ochod cluster`.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// Where it listens and what it runs.
    #[command(flatten)]
    pub places: ClusterPlaces,
    /// Folder of state that survives; a temporary one if not given
    #[arg(long, value_name = "DIR", env = "OCHOD_DATA")]
    pub data: Option<PathBuf>,
    /// ZooKeeper that tasks register in, instead of a registry of its own
    #[arg(long, value_name = "HOST:PORT,...", env = "OCHOD_EXTERNAL_ZOOKEEPER", conflicts_with = "zookeeper")]
    pub external_zookeeper: Option<ZookeeperHosts>,
    /// The configuration file.
    #[command(flatten)]
    pub file: FileArgs,
}

/// Which configuration file is read.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// Configuration file; ~/.config/ocho/ochod.toml or /etc/ocho/ochod.toml if not given and there, /dev/null for none
    #[arg(long, value_name = "FILE", env = "OCHOD_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Where the embedded cluster listens and what it runs.
#[derive(Debug, Args)]
pub struct ClusterPlaces {
    /// Address of the scheduler, Marathon's API
    #[arg(long, value_name = "ADDR:PORT", env = "OCHOD_MARATHON", default_value = "127.0.0.1:8080")]
    pub marathon: SocketAddr,
    /// Address of the registry, ZooKeeper's protocol
    #[arg(long, value_name = "ADDR:PORT", env = "OCHOD_ZOOKEEPER", default_value = "127.0.0.1:2181")]
    pub zookeeper: SocketAddr,
    /// Folder of local images: `<name>/entrypoint` is what an app with the image `<name>` runs
    #[arg(long, value_name = "DIR", env = "OCHOD_IMAGES")]
    pub images: Option<PathBuf>,
    /// Socket of a Docker engine, for apps whose image is not a local one
    #[arg(long, value_name = "SOCKET", env = "OCHOD_DOCKER", default_value = "/var/run/docker.sock")]
    pub docker: PathBuf,
    /// Name and password that every request to the scheduler has to show; better as $OCHOD_MARATHON_CREDENTIALS
    #[arg(long, value_name = "USER:PASSWORD", env = "OCHOD_MARATHON_CREDENTIALS", hide_env_values = true)]
    pub marathon_credentials: Option<String>,
    /// Show both trees of groups in the scheduler's events of deployments, as clients older than Marathon 1.7 need them
    #[arg(long, env = "OCHOD_HEAVY_EVENTS")]
    pub heavy_events: bool,
}

/// What callers of the host meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Face {
    /// `POST /shell` and `/v1`.
    Portal,
    /// `POST /run`.
    Servo,
}

/// Options of the host itself.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Address of the portal: `POST /shell` and `/v1`
    #[arg(long, value_name = "ADDR:PORT", env = "OCHOD_PORTAL", default_value = "127.0.0.1:9000")]
    pub portal: SocketAddr,
    /// Address of the servo
    #[arg(long, value_name = "ADDR:PORT", env = "OCHOD_SERVO", default_value = "127.0.0.1:5000")]
    pub servo: SocketAddr,
    /// Serve one face alone, such as the servo beside a portal elsewhere
    #[arg(long, value_name = "FACE", env = "OCHOD_ONLY")]
    pub only: Option<Face>,
    /// Secret that callers sign with; better as $OCHOD_TOKEN or in a file, where no process list shows it
    #[arg(long, value_name = "SECRET", env = "OCHOD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File that holds the secret
    #[arg(long, value_name = "FILE", env = "OCHOD_TOKEN_FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// Take only X-Signature-256, which covers the whole request and cannot be replayed; old clients are refused
    #[arg(long, env = "OCHOD_REQUIRE_SIGNATURE_256")]
    pub require_signature_256: bool,
    /// Address or name at which pods and other hosts reach this one; the one that leads to ZooKeeper if not given
    #[arg(long, value_name = "IP", env = "OCHOD_ADVERTISE", value_parser = seeds::address)]
    pub advertise: Option<IpAddr>,
    /// Show the token to everybody who asks the control port for /info, as servos of the original need it
    #[arg(long, env = "OCHOD_PUBLISH_TOKEN")]
    pub publish_token: bool,
    /// Serve without a token on an address that is not loopback
    #[arg(long, env = "OCHOD_OPEN")]
    pub open: bool,
    /// Port of the portal's pod, for /info and /log; any free one if not given
    #[arg(long, value_name = "PORT", env = "OCHOD_PORTAL_CONTROL", default_value_t = 0)]
    pub portal_control: u16,
    /// Port of the servo's pod; any free one if not given
    #[arg(long, value_name = "PORT", env = "OCHOD_SERVO_CONTROL", default_value_t = 0)]
    pub servo_control: u16,
    /// Secret that pods ask their callers for, their `ochopod_control_token`; better as $OCHOD_POD_TOKEN
    #[arg(long, value_name = "SECRET", env = "OCHOD_POD_TOKEN", hide_env_values = true)]
    pub pod_token: Option<String>,
    /// Folder of further tools, `<name>.wasm`; a new or changed file is picked up at once
    #[arg(long, value_name = "DIR", env = "OCHOD_TOOLS")]
    pub tools: Option<PathBuf>,
    /// Grants of a tool in --tools, instead of --default-grants; `ocho plugin grant` and `revoke` go before it; several with `;` between
    #[arg(long, value_name = "TOOL=INTERFACE,...", env = "OCHOD_GRANT", value_delimiter = ';', value_parser = tool_grants)]
    pub grant: Vec<(ToolName, Grants)>,
    /// Runs at once, for each depth of runs that start runs
    #[arg(long, value_name = "N", env = "OCHOD_RUNS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub runs: u32,
    /// CPU time of a run of a tool
    #[arg(long, value_name = "SECONDS", env = "OCHOD_CPU_LIMIT", default_value = "30", value_parser = seconds)]
    pub cpu_limit: std::time::Duration,
    /// Time of a run of a tool, waiting included; deploy, kill and others that wait for pods may take six times that
    #[arg(long, value_name = "SECONDS", env = "OCHOD_WALL_LIMIT", default_value = "600", value_parser = seconds)]
    pub wall_limit: std::time::Duration,
    /// Memory of a run
    #[arg(long, value_name = "MIB", env = "OCHOD_MEMORY_LIMIT", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub memory_limit: u32,
    /// Options of the tool store.
    #[command(flatten)]
    pub tool_args: ToolArgs,
    /// The servo's options.
    #[command(flatten)]
    pub servo_args: ServoArgs,
    /// Folder of compiled tools; ~/.cache/ocho if not given
    #[arg(long, value_name = "DIR", env = "OCHOD_CACHE")]
    pub cache: Option<PathBuf>,
    /// The configuration file.
    #[command(flatten)]
    pub file: FileArgs,
    /// What only the configuration file can say.
    #[arg(skip)]
    pub sections: Sections,
}

impl ServeArgs {
    /// How Marathon is reached. Of several ways to show who we are only the nearest was kept.
    #[must_use]
    pub fn marathon_config(&self) -> MarathonConfig {
        let basic = |text: &String| {
            let (user, password) = text.split_once(':').unwrap_or((text, ""));
            Credentials::Basic { user: user.to_owned(), password: password.to_owned() }
        };
        let tokens = self.marathon_token.clone().map(Credentials::Bearer);
        let tokens = tokens.or_else(|| self.marathon_dcos_token.clone().map(Credentials::Dcos));
        MarathonConfig {
            discovery: Some(self.mesos_dns.clone()),
            credentials: tokens.or_else(|| self.marathon_credentials.as_ref().map(basic)),
            ca_file: self.marathon_ca.clone(),
            ..MarathonConfig::new(self.marathon.clone())
        }
    }
}

impl HostArgs {
    /// Whether a face is served.
    #[must_use]
    pub fn serves(&self, face: Face) -> bool {
        self.only.is_none_or(|only| only == face)
    }

    /// What tools of the tools folder are granted: the file's sections, and the option after them, so that it wins.
    #[must_use]
    pub fn grants(&self) -> Vec<(ToolName, Grants)> {
        let of_file = self.sections.tool.iter().filter_map(|(tool, section)| Some((tool.clone(), section.grants.clone()?)));
        of_file.chain(self.grant.iter().cloned()).collect()
    }
}

impl Command {
    /// The host's options, of commands that run one.
    pub(super) fn host_mut(&mut self) -> Option<&mut HostArgs> {
        match self {
            Self::Up(args) => Some(&mut args.host),
            Self::Serve(args) => Some(&mut args.host),
            _ => None,
        }
    }
}

pub(crate) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is not a number of seconds above 0");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    std::time::Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(wrong)
}

fn tool_grants(text: &str) -> Result<(ToolName, Grants), String> {
    let (tool, interfaces) = text.split_once('=').ok_or_else(|| format!("`{text}` does not read as TOOL=INTERFACE,..."))?;
    let tool = tool.parse::<ToolName>().map_err(|error| error.to_string())?;
    let interfaces: Result<Vec<Interface>, _> = interfaces.split(',').filter(|one| !one.is_empty()).map(str::parse).collect();
    Ok((tool, interfaces.map_err(|error| error.to_string())?.into_iter().collect()))
}
