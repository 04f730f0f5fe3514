//! 200 pods of one cluster on this machine: how long until they are configured, on the embedded registry and on a real ZooKeeper; and what
//! a pod costs while nothing happens.
//!
//! Budget: 20 s; below 0.2 % of a processor and 12 MiB a pod.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ocho_tests::programs::program;
use ocho_tests::runtime::block_on;
use ocho_tests::server::nobody;
use ocho_tests::wait::until;
use ocho_tests::{RealZooKeeper, TestHost};
use serde_json::Value;
use tempfile::TempDir;
use zookeeper_client::Client;

use crate::usage::cpu;

const PODS: usize = 200;
/// Longer than the budget, so that a slow machine shows by how much.
const PATIENCE: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_secs(20);
/// Pods that come within a moment of each other are configured together.
const DESCRIPTION: &str = "[process]\ncommand = \"sleep 100000\"\n[cluster]\ndamper = \"1s\"\ndamper_at_most = \"10s\"\n";
const SNAPSHOT: &str = "/ochopod/clusters/bench.pods/snapshot";

pub(crate) fn run() {
    println!("  {:<24} {:>8} {:>9} {:>12} {:>12} {:>12}", "", "formed s", "runs", "idle CPU %", "PSS MiB", "RSS MiB");
    let host = TestHost::up().start();
    measure("the embedded registry", &host.address("zookeeper"));
    drop(host);
    if RealZooKeeper::is_installed() {
        let zookeeper = RealZooKeeper::start();
        measure("a real ZooKeeper", &zookeeper.address());
    } else {
        println!("  no ZooKeeper is installed: it is left out");
    }
}

fn measure(name: &str, zookeeper: &str) {
    let folder = TempDir::with_prefix("ochopod-bench-").expect("a temporary folder can be made");
    let description = folder.path().join("pod.toml");
    fs::write(&description, DESCRIPTION).expect("the folder is ours");
    let started = Instant::now();
    let pods: Vec<Process> = (0..PODS).map(|nth| Process::start(folder.path(), nth, zookeeper)).collect();
    until("all pods in the snapshot", PATIENCE, || (published(zookeeper) == PODS).then_some(()));
    let formed = started.elapsed();
    let before: Duration = pods.iter().map(Process::cpu).sum();
    let idle = Instant::now();
    sleep(IDLE);
    let used = pods.iter().map(Process::cpu).sum::<Duration>().saturating_sub(before).as_secs_f64();
    let share = used / idle.elapsed().as_secs_f64() / PODS as f64 * 100.0;
    let of = |name: &str| pods.iter().map(|pod| pod.memory_kib(name)).sum::<u64>() as f64 / 1024.0 / PODS as f64;
    println!(
        "  {name:<24} {:>8.1} {:>9} {share:>12.3} {:>12.1} {:>12.1}",
        formed.as_secs_f64(),
        configurations(folder.path()),
        of("Pss"),
        of("Rss")
    );
    // All at once: one after the other each would lead the rest for a moment.
    pods.iter().for_each(Process::stop);
}

/// How many pods dependants of the cluster would see.
fn published(zookeeper: &str) -> usize {
    block_on(async {
        let client = Client::connect(zookeeper).await.ok()?;
        let (content, _) = client.get_data(SNAPSHOT).await.ok()?;
        serde_json::from_slice::<BTreeMap<String, Value>>(&content).ok()
    })
    .map_or(0, |pods| pods.len())
}

/// How often a leader configured the cluster.
fn configurations(folder: &Path) -> usize {
    let logs = (0..PODS).filter_map(|nth| fs::read_to_string(folder.join(format!("{nth}.log"))).ok());
    logs.map(|log| log.matches("the cluster is configured").count()).sum()
}

/// A pod as a program. Dropping it ends it.
struct Process(Child);

impl Process {
    fn start(folder: &Path, nth: usize, zookeeper: &str) -> Self {
        let port = nobody().port();
        // Not a pipe: nobody would read 400 of them.
        let log = fs::File::create(folder.join(format!("{nth}.log"))).expect("the folder is ours");
        let mut pod = Command::new(program("ochopod"));
        pod.args(["run", "pod.toml"]).current_dir(folder).stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        for (name, value) in [
            ("ochopod_cluster", "pods"),
            ("ochopod_namespace", "bench"),
            ("ochopod_zk", zookeeper),
            ("ochopod_debug", "false"),
            ("MARATHON_APP_ID", "/bench"),
            ("MESOS_TASK_ID", &format!("bench.{nth}")),
            ("HOST", "127.0.0.1"),
            ("PORT_8080", &port.to_string()),
        ] {
            pod.env(name, value);
        }
        Self(pod.spawn().expect("ochopod starts"))
    }

    fn cpu(&self) -> Duration {
        cpu(self.0.id())
    }

    /// A line of the kernel's sum over all that the process has mapped. `Pss` counts what several share in parts.
    fn memory_kib(&self, name: &str) -> u64 {
        let sums = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id())).unwrap_or_default();
        let line = sums.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or_default()
    }
}

impl Process {
    /// Tells it to stop; its process ends with it.
    fn stop(&self) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("process ids are small"));
        let _ = kill(pid, Signal::SIGTERM);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        let _ = self.0.wait();
    }
}
