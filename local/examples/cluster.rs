//! The embedded cluster on its own: registry and scheduler, for tests and for trying things out.
//!
//! `cluster [cluster] [--data DIR] [--marathon ADDR:PORT] [--zookeeper ADDR:PORT] [--images DIR] [--heavy-events]
//! [--marathon-credentials USER:PASSWORD] [--docker SOCKET] [--kill-grace-ms N] [--output-bytes N] [--fetch-bytes N] [--fetch-within-ms N]
//! [--shim PROGRAM] [--task-ports FIRST-LAST]` takes the options of `ochod cluster` and prints one line when it is ready; `cluster task-shim FOLDER` is the parent of a task.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use ocho_local::registry::{Registry, RegistryConfig};
use ocho_local::scheduler::{Scheduler, SchedulerConfig, task_shim_main};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|first| first == "task-shim") {
        return task_shim_main(args[1..].to_vec());
    }
    match tokio::runtime::Runtime::new().context("cannot start").and_then(|runtime| runtime.block_on(run(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: Vec<OsString>) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let mut config = SchedulerConfig::new(
        "127.0.0.1:0".parse()?,
        std::env::temp_dir().join("ocho-cluster"),
        vec![program.into_os_string(), "task-shim".into()],
    );
    let mut zookeeper = "127.0.0.1:0".to_owned();
    let mut args = args.into_iter().skip_while(|first| first == "cluster");
    while let Some(name) = args.next() {
        let name = name.to_str().context("an option is not UTF-8")?.to_owned();
        if name == "--heavy-events" {
            config.heavy_events = true;
            continue;
        }
        let value = args.next().with_context(|| format!("`{name}` needs a value"))?;
        let text = value.to_str().with_context(|| format!("the value of `{name}` is not UTF-8"))?;
        match name.as_str() {
            "--data" => config.data = PathBuf::from(&value),
            "--images" => config.images = Some(PathBuf::from(&value)),
            "--docker" => config.docker_socket = Some(PathBuf::from(&value)),
            "--marathon" => config.listen = text.parse()?,
            "--zookeeper" => zookeeper = text.to_owned(),
            "--marathon-credentials" => config.http_credentials = Some(text.to_owned()),
            "--output-bytes" => config.output_bytes = text.parse()?,
            "--fetch-bytes" => config.fetch_bytes = text.parse()?,
            "--fetch-within-ms" => config.fetch_within = Duration::from_millis(text.parse()?),
            "--shim" => config.shim = vec![value.clone()],
            "--task-ports" => {
                let (first, last) = text.split_once('-').context("`--task-ports` takes FIRST-LAST")?;
                config.task_ports = first.parse()?..=last.parse()?;
            }
            "--kill-grace-ms" => config.kill_grace = Duration::from_millis(text.parse()?),
            _ => bail!("`{name}` is not an option"),
        }
    }
    serve(config, zookeeper).await
}

async fn serve(mut config: SchedulerConfig, zookeeper: String) -> anyhow::Result<()> {
    let registry = Registry::bind(RegistryConfig::new(zookeeper.parse()?)).await?;
    config.zookeeper = registry.local_addr().to_string();
    let scheduler = Scheduler::bind(config).await?;
    println!("ready marathon={} zookeeper={}", scheduler.local_addr(), registry.local_addr());
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = end.recv() => {} _ = interrupt.recv() => {} }
        stopped.cancel();
    });
    let registry_stop = CancellationToken::new();
    let registry = tokio::spawn(registry.serve(registry_stop.clone()));
    scheduler.serve(stop).await;
    registry_stop.cancel();
    registry.await?;
    Ok(())
}
