//! Applications come and go; memory does not.

use reqwest::Method;
use serde_json::json;

use crate::cluster::Cluster;

/// One in so many has a task, which costs a hundred times as much as the rest.
const WITH_TASK: usize = 100;

async fn cycle(cluster: &Cluster, nth: usize) {
    let with_task = nth.is_multiple_of(WITH_TASK);
    let id = format!("/cycle/a{nth}");
    let app = json!({"id": id, "cmd": "exec sleep 3600", "instances": usize::from(with_task), "mem": 32});
    if with_task {
        cluster.deploy(app).await;
    } else {
        cluster.create(app).await;
    }
    let (status, body) = cluster.send(Method::DELETE, &format!("/v2/apps{id}"), None).await;
    assert_eq!(status, 200, "{body}");
    if with_task {
        cluster.settled().await;
    }
}

#[tokio::test]
async fn memory_does_not_grow() {
    let cluster = Cluster::start(&[]).await;
    for nth in 0..1_000 {
        cycle(&cluster, nth).await;
    }
    let early_kib = cluster.resident_kib();
    for nth in 1_000..10_000 {
        cycle(&cluster, nth).await;
    }
    let late_kib = cluster.resident_kib();
    assert!(late_kib * 10 <= early_kib * 11, "{early_kib} KiB after 1,000 cycles, {late_kib} KiB after 10,000");
}
