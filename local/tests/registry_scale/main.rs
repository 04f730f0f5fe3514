//! The registry with as many pods as it is meant for, and for as long as it is meant to run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[path = "../registry/raw.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod raw;
#[path = "../registry/server.rs"]
#[expect(dead_code, reason = "the other tests use more of it")]
mod server;

use raw::{CREATE, DELETE, Raw, create, delete, look};
use server::{Server, soon};

const GET_CHILDREN: i32 = 8;

/// Both tests look at the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// A number from `/proc/self/status`.
fn of_process(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Each connection has two ends here.
fn allow_open_files(wanted: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= wanted, "this machine allows {hard} open files, {wanted} are needed");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard).unwrap();
}

fn block_on(future: impl Future<Output = ()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(future);
}

#[test]
fn two_thousand_pods() {
    allow_open_files(5_000);
    block_on(async {
        // Nobody of them says anything while the others come, however long that takes.
        let server = Server::with(|config| config.limits.session_timeout_max = Duration::from_secs(3600)).await;
        let mut host = Raw::open(&server, 3_600_000).await;
        host.create("/pods", 0).await;
        let threads_before = of_process("Threads:");
        let mut pods = Vec::new();
        for nth in 0..2_000 {
            let mut pod = Raw::open(&server, 3_600_000).await;
            assert_eq!(pod.create(&format!("/pods/pod-{nth}"), 1).await, 0);
            pods.push(pod);
        }
        // Some may come and go with other tests; not one for each connection.
        assert!(of_process("Threads:") <= threads_before + 8);

        let reply = host.ask(1, GET_CHILDREN, &look("/pods", false)).await;
        assert_eq!(reply.body[..4], 2_000_i32.to_be_bytes());

        // All are gone as soon as they hang up for good.
        for pod in &mut pods {
            pod.request(2, raw::CLOSE, &[]).await;
        }
        soon("an empty list", async {
            while host.ask(1, GET_CHILDREN, &look("/pods", false)).await.body != 0_i32.to_be_bytes() {}
        })
        .await;
    });
}

/// Creates and deletes what a pod does, with its session and a watch on it.
async fn cycle(server: &Server, host: &mut Raw, nth: usize) {
    let path = format!("/pods/pod-{nth}");
    let mut pod = Raw::open(server, 40_000).await;
    assert_eq!(pod.create(&path, 1).await, 0);
    host.ask(1, raw::EXISTS, &look(&path, true)).await;
    pod.ask(2, raw::CLOSE, &[]).await;
    assert_eq!(host.receive().await.unwrap().xid, -1);
    let path = format!("/pods/kept-{nth}");
    assert_eq!(host.ask(2, CREATE, &create(&path, 0)).await.error, 0);
    assert_eq!(host.ask(3, DELETE, &delete(&path)).await.error, 0);
}

#[test]
fn memory_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let server = Server::on(folder.path()).await;
        let mut host = Raw::open(&server, 40_000).await;
        host.create("/pods", 0).await;
        for nth in 0..1_000 {
            cycle(&server, &mut host, nth).await;
        }
        let early_kib = of_process("VmRSS:");
        for nth in 1_000..10_000 {
            cycle(&server, &mut host, nth).await;
        }
        let late_kib = of_process("VmRSS:");
        assert!(late_kib * 10 <= early_kib * 11, "{early_kib} KiB after 1,000 cycles, {late_kib} KiB after 10,000");
    });
}
