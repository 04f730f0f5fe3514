//! The scheduler is killed and started again.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, PATIENCE, is_gone, processes_of, text, until, until_so, write_program};

fn ids(tasks: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = tasks.iter().map(|task| text(&task["id"])).collect();
    ids.sort_unstable();
    ids
}

/// The process of a task, from its shim's record.
fn pid_of(cluster: &Cluster, task: &Value) -> i32 {
    let file = cluster.tasks_folder().join(text(&task["id"])).join("state.json");
    let state: Value = serde_json::from_slice(&fs::read(file).expect("there")).expect("JSON");
    i32::try_from(state["pid"].as_i64().expect("started")).expect("a pid")
}

fn shim_of(cluster: &Cluster, task: &Value) -> i32 {
    let file = cluster.tasks_folder().join(text(&task["id"])).join("state.json");
    let state: Value = serde_json::from_slice(&fs::read(file).expect("there")).expect("JSON");
    i32::try_from(state["shim"].as_i64().expect("running")).expect("a pid")
}

#[tokio::test]
async fn tasks_that_run_are_adopted_and_those_that_ended_are_told() {
    let mut cluster = Cluster::start(&[]).await;
    let cmd = "n=0; while :; do echo \"beat $n\"; n=$((n+1)); sleep 0.05; done";
    cluster.deploy(json!({"id": "/steady", "cmd": cmd, "instances": 2, "labels": {"a": "b"}})).await;
    cluster.deploy(json!({"id": "/brittle", "cmd": "while [ ! -e go ]; do sleep 0.05; done; exit 5", "backoffSeconds": 0})).await;
    cluster.put("/steady", json!({"instances": 3})).await;
    cluster.settled().await;
    let steady = cluster.wait_running("/steady", 3).await;
    let brittle = cluster.wait_running("/brittle", 1).await.remove(0);
    let (app, versions) = (cluster.app("/steady").await, cluster.get("/v2/apps/steady/versions").await);
    let pids: Vec<i32> = steady.iter().map(|task| pid_of(&cluster, task)).collect();

    cluster.crash();
    let shim = shim_of(&cluster, &brittle);
    fs::write(cluster.tasks_folder().join(text(&brittle["id"])).join("sandbox/go"), "").expect("ours");
    until_so("the brittle task to end", async || is_gone(shim)).await;
    cluster.restart();

    let adopted = cluster.wait_running("/steady", 3).await;
    assert_eq!(ids(&adopted), ids(&steady));
    for (task, pid) in steady.iter().zip(&pids) {
        assert_eq!(pid_of(&cluster, task), *pid, "it is the same process");
    }
    let now = cluster.app("/steady").await;
    for member in ["version", "versionInfo", "labels", "instances", "portDefinitions"] {
        assert_eq!(now[member], app[member]);
    }
    assert_eq!(cluster.get("/v2/apps/steady/versions").await, versions);
    let failure = cluster.failure("/brittle").await;
    assert_eq!((text(&failure["taskId"]), text(&failure["message"])), (text(&brittle["id"]), "Command exited with status 5"));
    let next = cluster.wait_running("/brittle", 1).await.remove(0);
    assert_ne!(next["id"], brittle["id"]);

    // An adopted task is still ours to end.
    assert_eq!(cluster.send(Method::DELETE, "/v2/apps/steady", None).await.0, 200);
    cluster.settled().await;
    until_so("the processes to be gone", async || pids.iter().all(|pid| is_gone(*pid))).await;
}

#[tokio::test]
async fn a_deployment_goes_on_where_it_was() {
    let mut cluster = Cluster::start(&[]).await;
    let script = |version: u32| {
        json!({
            "id": "/roll", "instances": 3, "cmd": format!("echo v{version}; while [ ! -e go ]; do sleep 0.05; done; touch up; exec sleep 3600"),
            "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.34},
            "healthChecks": [{"protocol": "COMMAND", "command": {"value": "test -e up"}, "intervalSeconds": 1, "delaySeconds": 0}],
        })
    };
    // A task that does not get its sign is never well.
    let give_sign = async |cluster: &Cluster, tasks: &[Value]| {
        for task in tasks {
            let sandbox = cluster.tasks_folder().join(text(&task["id"])).join("sandbox");
            until_so("the folder of a task", async || sandbox.is_dir()).await;
            fs::write(sandbox.join("go"), "").expect("ours");
        }
    };
    cluster.create(script(1)).await;
    let old = cluster.wait_running("/roll", 3).await;
    give_sign(&cluster, &old).await;
    cluster.settled().await;
    let (status, body) = cluster.send(Method::PUT, "/v2/apps/roll", Some(script(2))).await;
    assert_eq!(status, 200);
    let new = until("one new task", async || {
        let tasks = cluster.running("/roll").await;
        let fresh: Vec<Value> = tasks.into_iter().filter(|task| !old.iter().any(|old| old["id"] == task["id"])).collect();
        Some(fresh).filter(|fresh| fresh.len() == 1)
    })
    .await;

    cluster.crash();
    cluster.restart();
    let running = cluster.get("/v2/deployments").await;
    assert_eq!(running[0]["id"], body["deploymentId"]);
    assert_eq!(running[0]["currentActions"][0]["action"], "RestartApplication");
    let mut tasks = cluster.wait_running("/roll", 4).await;
    assert!(tasks.iter().any(|task| task["id"] == new[0]["id"]), "the new task was adopted, not started twice");
    until("the deployment to finish", async || {
        tasks = cluster.running("/roll").await;
        give_sign(&cluster, &tasks).await;
        (cluster.get("/v2/deployments").await == json!([])).then_some(())
    })
    .await;
    let tasks = cluster.wait_running("/roll", 3).await;
    for task in &tasks {
        assert!(!old.iter().any(|old| old["id"] == task["id"]));
        assert!(cluster.output(task, "stdout", "v").await.contains("v2"));
    }
}

#[tokio::test]
async fn nothing_runs_twice() {
    let mut cluster = Cluster::start(&[]).await;
    cluster.create(json!({"id": "/many", "cmd": "exec sleep 9001", "instances": 12})).await;
    // In the middle of the launches, several times.
    for _ in 0..3 {
        let begun = || cluster.processes().iter().any(|(_, command)| command.contains("task-shim"));
        until_so("some task", async || begun()).await;
        cluster.crash();
        cluster.restart();
    }
    cluster.wait_running("/many", 12).await;
    cluster.settled().await;
    let count = || cluster.processes().iter().filter(|(_, command)| command.starts_with("sleep 9001")).count();
    until_so("12 processes", async || count() == 12).await;
    // One that came too late may still be on its way out.
    let shims = || cluster.processes().iter().filter(|(_, command)| command.contains("task-shim")).count();
    until_so("12 shims", async || shims() == 12).await;
    assert_eq!(count(), 12);
}

#[tokio::test]
async fn a_shim_that_comes_after_the_restart_starts_nothing() {
    let home = tempfile::TempDir::with_prefix("scheduler-").expect("a folder");
    let shim = home.path().join("slow-shim");
    // The first shim waits for a sign, as on a machine with too much to do; the ones after it do not.
    let script = format!(
        "#!/bin/sh\ncd {home}\nif mkdir first; then while [ ! -e go ]; do sleep 0.02; done\n  {program} task-shim \"$1\"; touch late\nelse exec {program} task-shim \"$1\"; fi\n",
        home = home.path().display(),
        program = crate::cluster::program().display(),
    );
    write_program(&shim, &script);
    let mut cluster = Cluster::start_in(home, &["--shim", shim.to_str().expect("UTF-8")]).await;
    cluster.create(json!({"id": "/late", "cmd": "exec sleep 9005", "backoffSeconds": 0})).await;
    until_so("the first shim", async || cluster.home().join("first").is_dir()).await;

    cluster.crash();
    cluster.restart();
    let task = cluster.wait_running("/late", 1).await.remove(0);
    fs::write(cluster.home().join("go"), "").expect("ours");
    until_so("the end of the late shim", async || cluster.home().join("late").exists()).await;
    let sleeping = cluster.processes().iter().filter(|(_, command)| command.starts_with("sleep 9005")).count();
    assert_eq!(sleeping, 1);
    assert_eq!(ids(&cluster.running("/late").await), [text(&task["id"])]);
}

#[tokio::test]
async fn a_task_that_the_database_does_not_know_is_ended() {
    let mut cluster = Cluster::start(&[]).await;
    cluster.deploy(json!({"id": "/lost", "cmd": "exec sleep 9002"})).await;
    let task = cluster.wait_running("/lost", 1).await.remove(0);
    let pid = pid_of(&cluster, &task);
    cluster.crash();
    for file in ["scheduler.sqlite", "scheduler.sqlite-wal", "scheduler.sqlite-shm"] {
        let _ = fs::remove_file(cluster.home().join("data").join(file));
    }
    cluster.restart();
    until_so("the stranger to be ended", async || is_gone(pid)).await;
    assert_eq!(cluster.get("/v2/tasks").await, json!({"tasks": []}));
}

#[tokio::test]
async fn a_killed_shim_takes_its_task_along_and_is_told() {
    let cluster = Cluster::start(&[]).await;
    let cmd = "setsid sleep 9003 & exec sleep 9004";
    cluster.deploy(json!({"id": "/orphan", "cmd": cmd, "backoffSeconds": 60})).await;
    let task = cluster.wait_running("/orphan", 1).await.remove(0);
    let sleeping = || cluster.processes().iter().filter(|(_, command)| command.starts_with("sleep 900")).count();
    until_so("both processes", async || sleeping() == 2).await;
    kill(Pid::from_raw(shim_of(&cluster, &task)), Signal::SIGKILL).expect("it runs");
    let failure = cluster.failure("/orphan").await;
    assert_eq!(failure["message"], "the task's shim was killed, and the task with it");
    until_so("both processes to be gone", async || sleeping() == 0).await;
}

#[tokio::test]
async fn what_shims_left_that_died_with_the_scheduler_is_ended() {
    let mut cluster = Cluster::start(&[]).await;
    let cmd = "setsid sleep 9006 & exec sleep 9007";
    cluster.deploy(json!({"id": "/left", "cmd": cmd, "instances": 3, "backoffSeconds": 0})).await;
    let tasks = cluster.wait_running("/left", 3).await;
    let strays = |cluster: &Cluster| {
        let found = cluster.processes().into_iter().filter(|(_, command)| command.starts_with("sleep 9006"));
        found.map(|(pid, _)| pid).collect::<Vec<_>>()
    };
    until_so("three strays", async || strays(&cluster).len() == 3).await;
    let old = strays(&cluster);

    cluster.crash();
    for task in &tasks {
        kill(Pid::from_raw(shim_of(&cluster, task)), Signal::SIGKILL).expect("it runs");
    }
    cluster.restart();
    until_so("the old strays to be gone", async || !strays(&cluster).iter().any(|pid| old.contains(pid))).await;
    until_so("three other tasks", async || {
        let now = cluster.running("/left").await;
        now.len() == 3 && !now.iter().any(|task| tasks.iter().any(|old| old["id"] == task["id"]))
    })
    .await;
    assert_eq!(cluster.failure("/left").await["message"], "the task's shim was killed, and the task with it");
}

#[tokio::test]
async fn a_folder_that_is_let_go_in_a_moment_is_waited_for() {
    let home = tempfile::TempDir::with_prefix("scheduler-").expect("a folder");
    let file = home.path().join("data/scheduler.lock");
    fs::create_dir(home.path().join("data")).expect("ours");
    let lock = fs::File::create(&file).expect("ours");
    lock.lock().expect("free");
    let path = home.path().to_owned();
    // As one that was killed: it lets go once the next one stands at the door.
    let has_it_open = move || {
        let pids = processes_of(&path).into_iter().map(|(pid, _)| pid);
        let mut files = pids.filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok()).flatten().flatten();
        files.any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
    };
    let letting_go = std::thread::spawn(move || {
        let end = std::time::Instant::now() + PATIENCE;
        while !has_it_open() && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        drop(lock);
    });
    let cluster = Cluster::start_in(home, &[]).await;
    letting_go.join().expect("no panic");
    assert_eq!(cluster.get("/v2/apps").await, json!({"apps": []}));
}

#[tokio::test]
async fn one_scheduler_for_one_folder() {
    let cluster = Cluster::start(&[]).await;
    let second = std::process::Command::new(crate::cluster::program())
        .args(["--marathon", "127.0.0.1:0", "--zookeeper", "127.0.0.1:0", "--data"])
        .arg(cluster.home().join("data"))
        .output()
        .expect("it starts");
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.starts_with("another scheduler works in"), "{said}");
}
