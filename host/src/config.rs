//! The daemon's command line, read completely before a port opens.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use ocho_core::ToolName;
use ocho_core::signature::Token;
use ocho_runtime::{Grants, Interface};

use crate::servo::config::ServoArgs;

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
    Up(UpArgs),
    /// Run the host for a cluster that has a Marathon and a ZooKeeper
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Run only the embedded cluster: a Marathon-compatible scheduler and a registry that speaks ZooKeeper's protocol
    Cluster(ClusterArgs),
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
    /// Marathon masters
    #[arg(long, value_name = "HOST:PORT,...", env = "OCHOD_MARATHON", required = true, value_delimiter = ',')]
    pub marathon: Vec<String>,
    /// ZooKeeper servers
    #[arg(long, value_name = "HOST:PORT,...", env = "OCHOD_ZOOKEEPER", required = true)]
    pub zookeeper: String,
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
    #[arg(long, value_name = "HOST:PORT,...", conflicts_with = "zookeeper")]
    pub external_zookeeper: Option<String>,
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

/// Options of the host itself.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// Address of the portal: `POST /shell` and `/v1`
    #[arg(long, value_name = "ADDR:PORT", env = "OCHOD_PORTAL", default_value = "127.0.0.1:9000")]
    pub portal: SocketAddr,
    /// Address of the servo
    #[arg(long, value_name = "ADDR:PORT", env = "OCHOD_SERVO", default_value = "127.0.0.1:5000")]
    pub servo: SocketAddr,
    /// Secret that callers sign with; better as $OCHOD_TOKEN or in a file, where no process list shows it
    #[arg(long, value_name = "SECRET", env = "OCHOD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File that holds the secret
    #[arg(long, value_name = "FILE", env = "OCHOD_TOKEN_FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
    /// Take only X-Signature-256, which covers the whole request and cannot be replayed; old clients are refused
    #[arg(long, env = "OCHOD_REQUIRE_SIGNATURE_256")]
    pub require_signature_256: bool,
    /// Address at which pods and other hosts reach this one; $HOST, or the one that leads to ZooKeeper, if not given
    #[arg(long, value_name = "IP", env = "OCHOD_ADVERTISE")]
    pub advertise: Option<IpAddr>,
    /// Show the token to everybody who asks the control port for /info, as servos of the original need it
    #[arg(long, env = "OCHOD_PUBLISH_TOKEN")]
    pub publish_token: bool,
    /// Serve without a token on an address that is not loopback
    #[arg(long)]
    pub open: bool,
    /// Folder of further tools, `<name>.wasm`; a new or changed file is picked up at once
    #[arg(long, value_name = "DIR", env = "OCHOD_TOOLS")]
    pub tools: Option<PathBuf>,
    /// Grants of a tool in --tools, instead of pods/registry and pods/observe
    #[arg(long, value_name = "TOOL=INTERFACE,...", value_parser = tool_grants)]
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
    /// The servo's options.
    #[command(flatten)]
    pub servo_args: ServoArgs,
    /// Folder of compiled tools; ~/.cache/ocho if not given
    #[arg(long, value_name = "DIR", env = "OCHOD_CACHE")]
    pub cache: Option<PathBuf>,
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

/// What is wrong with the configuration. Ends the program with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be used.
    #[error("cannot use `{}` for {option}: {cause}", path.display())]
    Path {
        /// The option.
        option: &'static str,
        /// What it names.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// The token's file holds none.
    #[error("the token file `{}` is empty", .0.display())]
    EmptyToken(PathBuf),
    /// Anybody could use the host.
    #[error(
        "{0} is not a loopback address and there is no token; set --token-file (or $OCHOD_TOKEN), or say --open to let everybody in"
    )]
    Open(SocketAddr),
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {address} for {option}: {cause}")]
    Listen {
        /// The option.
        option: &'static str,
        /// What it says.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
}

impl HostArgs {
    /// The token, from wherever it comes.
    ///
    /// # Errors
    /// Where its file cannot be read or is empty.
    pub fn read_token(&self) -> Result<Option<Token>, ConfigError> {
        let Some(path) = &self.token_file else { return Ok(self.token.as_deref().and_then(Token::new)) };
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Path {
            option: "--token-file",
            path: path.clone(),
            cause,
        })?;
        Token::new(text.trim()).map(Some).ok_or_else(|| ConfigError::EmptyToken(path.clone()))
    }

    /// Refuses what would let strangers in, and folders that cannot be read.
    ///
    /// # Errors
    /// With one sentence that says what to do.
    pub fn check(&self, token: Option<&Token>) -> Result<(), ConfigError> {
        if token.is_none() && !self.open {
            for address in [self.portal, self.servo] {
                if !is_loopback(address.ip()) {
                    return Err(ConfigError::Open(address));
                }
            }
        }
        check_folder("--tools", self.tools.as_deref())
    }
}

/// Refuses a folder that cannot be listed.
///
/// # Errors
/// With the option, the path and the reason.
pub fn check_folder(option: &'static str, folder: Option<&Path>) -> Result<(), ConfigError> {
    let Some(folder) = folder else { return Ok(()) };
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(cause) => Err(ConfigError::Path { option, path: folder.to_owned(), cause }),
    }
}

/// Whether only this machine reaches the address.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(address.is_loopback(), |address: Ipv4Addr| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(args: &[&str]) -> Result<UpArgs, String> {
        let words = ["ochod", "up"].iter().chain(args);
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Up(up) => Ok(up),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_loopback() {
        let up = up(&[]).unwrap();
        assert!(up.host.check(None).is_ok());
        assert_eq!((up.host.portal.port(), up.host.servo.port()), (9000, 5000));
        assert_eq!((up.cluster.marathon.port(), up.cluster.zookeeper.port()), (8080, 2181));
    }

    #[test]
    fn an_open_address_needs_a_token() {
        let args = up(&["--portal", "0.0.0.0:9000"]).unwrap();
        let text = args.host.check(None).unwrap_err().to_string();
        assert!(text.starts_with("0.0.0.0:9000 is not a loopback address"), "{text}");
        assert!(args.host.check(Token::new("x").as_ref()).is_ok());
        assert!(up(&["--portal", "0.0.0.0:9000", "--open"]).unwrap().host.check(None).is_ok());
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()) && !is_loopback("::ffff:10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn grants_are_read() {
        let args = up(&["--grant", "my-tool=pods/exec,marathon/inspect"]).unwrap();
        assert_eq!(args.host.grant[0].1.to_string(), "marathon/inspect, pods/exec");
        assert!(up(&["--grant", "my-tool=pods"]).unwrap_err().contains("`pods` is not an interface"));
        assert!(up(&["--grant", "x"]).is_err());
        for bad in ["0", "-1", "x", "1e400", "nan"] {
            assert!(up(&["--cpu-limit", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_file_is_read_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let token = |text: &str| {
            std::fs::write(path, text).unwrap();
            up(&["--token-file", path]).unwrap().host.read_token()
        };
        assert_eq!(token("s3cret\n").unwrap(), Token::new("s3cret"));
        assert!(matches!(token(" \n"), Err(ConfigError::EmptyToken(_))));
        let missing = up(&["--token-file", "/missing/file"]).unwrap().host.read_token();
        assert!(missing.unwrap_err().to_string().starts_with("cannot use `/missing/file` for --token-file: "));
    }
}
