//! The daemon's life: bind, load, say ready, serve, drain on a signal.

mod cluster;
mod host;
mod life;

use std::ffi::OsString;

use crate::config::{ClusterArgs, HostArgs, ServeArgs, UpArgs};
use crate::marathon::MarathonConfig;

use cluster::Cluster;
use host::{Faces, Host, Systems, cache_folder, hold_data, open_journal};
use life::Life;

/// `ochod up`: registry, scheduler and host in one process.
///
/// # Errors
/// A [`ConfigError`] where an option is wrong or a port is taken.
pub async fn up(args: UpArgs) -> anyhow::Result<()> {
    let token = args.host.read_token()?;
    args.host.check(token.as_ref())?;
    let faces = Faces::bind(&args.host).await?;
    let cluster = Cluster::bind(&args.cluster, args.data.as_deref(), None, &of_tasks(&args.host)?).await?;
    let (marathon, zookeeper) = (cluster.scheduler.local_addr(), cluster.zookeeper.clone());
    let _held = hold_data(args.data.as_deref())?;
    let journal = open_journal(args.data.as_deref())?;
    let master = master_address(marathon, args.cluster.marathon_credentials.as_deref());
    let config = MarathonConfig::new([master]);
    let systems = Systems { marathon: config, zookeeper: &zookeeper, journal, data: args.data.as_deref() };
    let host = Host::new(&args.host, token, faces, systems)?;
    let mut life = Life::new();
    let served = life.spawn_cluster(cluster);
    let ready = life.spawn_host(host, &[("marathon", &marathon.to_string()), ("zookeeper", &zookeeper)])?;
    life.last(ready.say(), served).await
}

/// Words for hosts that run as tasks: they find compiled tools where this one keeps them, and read no configuration file.
fn of_tasks(args: &HostArgs) -> anyhow::Result<Vec<OsString>> {
    let mut words: Vec<OsString> = vec!["--config".into(), "/dev/null".into()];
    if let Some(cache) = cache_folder(args.cache.as_deref()) {
        words.extend(["--cache".into(), std::path::absolute(cache)?.into_os_string()]);
    }
    Ok(words)
}

/// The scheduler's address with what it asks its callers for.
fn master_address(marathon: std::net::SocketAddr, credentials: Option<&str>) -> String {
    let quote = |part| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC);
    match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
        Some((user, password)) => format!("http://{}:{}@{marathon}", quote(user), quote(password)),
        None => marathon.to_string(),
    }
}

/// `ochod serve`: the host for a cluster elsewhere.
///
/// # Errors
/// A [`ConfigError`] where an option is wrong or a port is taken.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let token = args.host.read_token()?;
    args.host.check(token.as_ref())?;
    let _held = hold_data(args.data.as_deref())?;
    let journal = open_journal(args.data.as_deref())?;
    let faces = Faces::bind(&args.host).await?;
    let (config, zookeeper) = (args.marathon_config(), args.zookeeper.to_string());
    let marathon = config.shown();
    let systems = Systems { marathon: config, zookeeper: &zookeeper, journal, data: args.data.as_deref() };
    let host = Host::new(&args.host, token, faces, systems)?;
    let mut life = Life::new();
    let ready = life.spawn_host(host, &[("marathon", &marathon), ("zookeeper", &zookeeper)])?;
    life.last(ready.say(), tokio::task::JoinSet::new()).await
}

/// `ochod cluster`: the embedded cluster alone.
///
/// # Errors
/// A [`ConfigError`] where an option is wrong or a port is taken.
pub async fn cluster(args: ClusterArgs) -> anyhow::Result<()> {
    let external = args.external_zookeeper.map(|hosts| hosts.to_string());
    let cluster = Cluster::bind(&args.places, args.data.as_deref(), external, &[]).await?;
    let mut life = Life::new();
    let ready = format!("ready marathon={} zookeeper={}", cluster.scheduler.local_addr(), cluster.zookeeper);
    let served = life.spawn_cluster(cluster);
    life.last(async move { life::say_ready(&ready) }, served).await
}
