//! Tasks as processes: what they get, how they end, what they may not do.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, is_gone, port, processes_of, quiet_port, skip, text, until, until_so};

/// Processes whose command line begins so. A shell that is about to start them has their names in its own, further on.
fn running(cluster: &Cluster, command: &str) -> Vec<i32> {
    cluster.processes().into_iter().filter(|(_, own)| own.starts_with(command)).map(|(pid, _)| pid).collect()
}

#[tokio::test]
async fn a_bridge_app_binds_the_port_that_it_is_told() {
    let cluster = Cluster::start(&[]).await;
    cluster.image(
        "web",
        "#!/bin/sh\necho \"args $* port $PORT_8080 first $PORT0 zk $ochopod_zk image $OCHO_IMAGE\"\nexec sleep 3600\n",
    );
    cluster
        .deploy(json!({
            "id": "ochopod.marathon.web-1", "instances": 2, "env": {"pod": "{}"}, "args": ["-x", "two words"],
            "container": {"type": "DOCKER", "docker": {"forcePullImage": true, "image": "team/web:1.2", "network": "BRIDGE",
                "portMappings": [{"containerPort": 8080, "protocol": "tcp"}, {"containerPort": 9000}]}},
        }))
        .await;
    let tasks = cluster.wait_running("/ochopod.marathon.web-1", 2).await;
    let mut ports: Vec<u64> =
        tasks.iter().flat_map(|task| task["ports"].as_array().expect("ports")).filter_map(Value::as_u64).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4, "every mapping has a port of its own");
    for task in &tasks {
        let (port, image) = (port(task), cluster.home().join("images/web"));
        let said = cluster.output(task, "stdout", &format!("image {}\n", image.display())).await;
        let want = format!("args -x two words port {port} first {port} zk zk://127.0.0.1:");
        assert!(said.starts_with(&want), "{said}");
        assert!(said.trim_end().ends_with(&format!("image {}", image.display())), "{said}");
    }
}

#[tokio::test]
async fn a_missing_image_says_both_ways() {
    let cluster = Cluster::start(&[]).await;
    let app = json!({"id": "/x", "container": {"type": "DOCKER", "docker": {"image": "team/nowhere:1"}}, "backoffSeconds": 60});
    cluster.create(app).await;
    let failure = cluster.failure("/x").await;
    assert_eq!(failure["state"], "TASK_FAILED");
    let message = text(&failure["message"]);
    let entrypoint = cluster.home().join("images/nowhere/entrypoint");
    assert!(message.contains(entrypoint.to_str().expect("UTF-8")), "{message}");
    assert!(message.contains("start Docker"), "{message}");
}

#[tokio::test]
async fn a_fixed_port_in_use_is_told() {
    let cluster = Cluster::start(&[]).await;
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = busy.local_addr().expect("bound").port();
    let app = |id: &str, port: u16| json!({"id": id, "cmd": "exec sleep 3600", "requirePorts": true, "portDefinitions": [{"port": port}], "backoffSeconds": 60});
    cluster.create(app("/taken", taken)).await;
    let failure = cluster.failure("/taken").await;
    assert_eq!(failure["state"], "TASK_FAILED");
    assert_eq!(failure["message"], format!("host port {taken} is in use by another program of this machine"));

    let free = quiet_port();
    // The deployment of the first one goes on, so only its tasks can be waited for.
    cluster.create(app("/first", free)).await;
    cluster.wait_running("/first", 1).await;
    cluster.create(app("/second", free)).await;
    let message = cluster.failure("/second").await["message"].clone();
    assert!(text(&message).starts_with(&format!("host port {free} is in use by task `first.")), "{message}");

    // When the holder is being replaced, the next one waits for the port instead of failing.
    let (status, _) = cluster.send(Method::DELETE, "/v2/apps/first/tasks", None).await;
    assert_eq!(status, 200);
    let task = until("the next task", async || {
        cluster.running("/first").await.into_iter().find(|task| text(&task["id"]).ends_with("_app.2"))
    })
    .await;
    assert_eq!(port(&task), u64::from(free));
    assert_eq!(cluster.app("/first").await["lastTaskFailure"], Value::Null);
}

#[tokio::test]
async fn a_killed_task_takes_its_children_along_and_comes_back() {
    let cluster = Cluster::start(&[]).await;
    // One child in the group, one in a session of its own, one whose parent is gone.
    let cmd = "sleep 7001 & setsid sleep 7002 & (sleep 7003 &) ; exec sleep 7000";
    cluster.deploy(json!({"id": "/family", "cmd": cmd, "backoffSeconds": 0})).await;
    let first = cluster.wait_running("/family", 1).await.remove(0);
    let family = until("the family", async || Some(running(&cluster, "sleep 700")).filter(|pids| pids.len() == 4)).await;
    let leader = running(&cluster, "sleep 7000")[0];
    kill(Pid::from_raw(leader), Signal::SIGKILL).expect("it runs");
    until_so("the family to be gone", async || family.iter().all(|pid| is_gone(*pid))).await;

    let failure = cluster.failure("/family").await;
    assert_eq!(failure["taskId"], first["id"]);
    assert_eq!(failure["message"], "Command terminated with signal SIGKILL");
    let next =
        until("the next task", async || cluster.running("/family").await.into_iter().find(|task| task["id"] != first["id"]))
            .await;
    assert_eq!(text(&next["id"]).replace("_app.2", "_app.1"), text(&first["id"]), "the next incarnation of the instance");
}

#[tokio::test]
async fn a_task_that_ignores_sigterm_is_killed_after_its_grace_period() {
    let cluster = Cluster::start(&[]).await;
    let cmd = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
    cluster.deploy(json!({"id": "/deaf", "cmd": cmd, "taskKillGracePeriodSeconds": 1})).await;
    let task = cluster.wait_running("/deaf", 1).await.remove(0);
    cluster.output(&task, "stdout", "deaf").await;
    let begun = std::time::Instant::now();
    assert_eq!(cluster.send(Method::DELETE, "/v2/apps/deaf", None).await.0, 200);
    cluster.settled().await;
    let took = begun.elapsed();
    assert!(took.as_millis() >= 900, "it had its grace period: {took:?}");
    assert_eq!(running(&cluster, "/bin/sh -c trap"), [0; 0]);
}

#[tokio::test]
async fn a_task_that_ends_well_within_its_grace_period_may_finish() {
    let cluster = Cluster::start(&[]).await;
    let cmd = "trap 'echo bye > last; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    cluster.deploy(json!({"id": "/polite", "cmd": cmd, "taskKillGracePeriodSeconds": 30})).await;
    let task = cluster.wait_running("/polite", 1).await.remove(0);
    cluster.output(&task, "stdout", "up").await;
    cluster.send(Method::DELETE, "/v2/apps/polite/tasks?scale=true", None).await;
    cluster.output(&task, "last", "bye").await;
    cluster.settled().await;
    assert_eq!(cluster.app("/polite").await["lastTaskFailure"], Value::Null, "being killed is no failure");
}

#[tokio::test]
async fn stopping_the_scheduler_leaves_no_process_behind() {
    let mut cluster = Cluster::start(&["--kill-grace-ms", "300"]).await;
    let cmd = "trap '' TERM; setsid sleep 8001 & (sleep 8002 &) ; while :; do sleep 0.1; done";
    cluster.deploy(json!({"id": "/deaf", "cmd": cmd, "instances": 3})).await;
    cluster.deploy(json!({"id": "/plain", "cmd": "sleep 8003", "instances": 2})).await;
    let home = cluster.home().to_owned();
    assert!(cluster.stop().await.success());
    assert_eq!(processes_of(&home), []);

    // Applications stay recorded, and run again.
    cluster.restart();
    cluster.wait_running("/deaf", 3).await;
    cluster.wait_running("/plain", 2).await;
}

#[tokio::test]
async fn output_is_bounded_and_put_aside() {
    let cluster = Cluster::start(&["--output-bytes", "10000"]).await;
    let cmd = "i=0; while [ $i -lt 5000 ]; do echo \"line $i\"; i=$((i+1)); done; echo oops >&2; echo end; exec sleep 3600";
    cluster.deploy(json!({"id": "/loud", "cmd": cmd})).await;
    let task = cluster.wait_running("/loud", 1).await.remove(0);
    let newest = cluster.output(&task, "stdout", "end\n").await;
    let older = cluster.output(&task, "stdout.1", "line").await;
    assert_eq!(cluster.output(&task, "stderr", "oops").await, "oops\n");
    assert!(newest.len() <= 10_000 && older.len() == 10_000, "{} {}", newest.len(), older.len());
    let text = older + &newest;
    assert!(text.ends_with("line 4998\nline 4999\nend\n"), "the end of the output is there");
    let files = std::fs::read_dir(cluster.tasks_folder().join(crate::cluster::text(&task["id"])).join("sandbox")).expect("there");
    assert_eq!(files.count(), 3);
}

#[tokio::test]
async fn a_full_disk_stops_neither_the_task_nor_the_scheduler() {
    const NAME: &str = "a_full_disk_stops_neither_the_task_nor_the_scheduler";
    let home = tempfile::TempDir::with_prefix("scheduler-").expect("a folder");
    let tasks = home.path().join("data/tasks");
    std::fs::create_dir_all(&tasks).expect("ours");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(&tasks).output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        return skip(NAME, "a tmpfs cannot be mounted here");
    }
    let mount = Mount(tasks.clone());
    let cluster = Cluster::start_in(home, &[]).await;
    // Goes before the cluster, whose folder can be removed then.
    let _mount = mount;
    let cmd = "head -c 2000000 /dev/zero; echo done > /dev/null; while [ ! -e go ]; do sleep 0.05; done; exit 7";
    cluster.deploy(json!({"id": "/big", "cmd": cmd, "backoffSeconds": 60})).await;
    let task = cluster.wait_running("/big", 1).await.remove(0);
    let sandbox = tasks.join(text(&task["id"])).join("sandbox");
    until_so("the disk to be full", async || std::fs::metadata(sandbox.join("stdout")).is_ok_and(|file| file.len() > 100_000))
        .await;
    let writes = || cluster.processes().iter().any(|(_, command)| command.starts_with("head -c"));
    until_so("all to be written", async || !writes()).await;
    assert_eq!(cluster.get("/v2/apps/big").await["app"]["tasksRunning"], 1);
    // The note that lets it go on needs room, the record of its exit code must not.
    std::fs::File::create(sandbox.join("go")).expect("an empty file needs no room");
    let failure = cluster.failure("/big").await;
    assert_eq!(failure["message"], "Command exited with status 7");
    cluster.deploy(json!({"id": "/none", "cmd": "true", "instances": 0})).await;
}

struct Mount(std::path::PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_task_over_its_memory_is_ended() {
    const NAME: &str = "a_task_over_its_memory_is_ended";
    if Command::new("python3").arg("--version").output().is_err() {
        return skip(NAME, "there is no python3");
    }
    let cluster = Cluster::start(&[]).await;
    let hog = "exec python3 -c 'import time; x = bytearray(200 << 20); time.sleep(3600)'";
    let child = "python3 -c 'import time; x = bytearray(200 << 20); time.sleep(3600)'; sleep 3600";
    cluster.create(json!({"id": "/hog", "cmd": hog, "mem": 64, "backoffSeconds": 60})).await;
    cluster.create(json!({"id": "/child", "cmd": child, "mem": 64, "backoffSeconds": 60})).await;
    cluster.deploy(json!({"id": "/rich", "cmd": hog, "mem": 64, "resourceLimits": {"mem": "unlimited"}})).await;
    for id in ["/hog", "/child"] {
        let failure = cluster.failure(id).await;
        assert_eq!(failure["state"], "TASK_FAILED");
        assert!(text(&failure["message"]).starts_with("Memory limit exceeded"), "{failure}");
    }
    assert_eq!(cluster.wait_running("/rich", 1).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_start_fails_with_a_reason() {
    let cluster = Cluster::start(&[]).await;
    for (id, app, want) in [
        ("/a", json!({"args": ["/nonexistent/program"]}), "cannot start `/nonexistent/program`: No such file"),
        ("/b", json!({"cmd": "true", "user": "nobody-of-that-name"}), "there is no user `nobody-of-that-name`"),
        ("/c", json!({"cmd": "exit 3"}), "Command exited with status 3"),
        ("/d", json!({"container": {"type": "MESOS"}}), "there is no command to run"),
    ] {
        let mut app = app;
        app["id"] = json!(id);
        app["backoffSeconds"] = json!(60);
        cluster.create(app).await;
        let failure = cluster.failure(id).await;
        assert!(text(&failure["message"]).starts_with(want), "{failure}");
        assert_eq!(failure["appId"], id);
    }
}

#[tokio::test]
async fn the_schedulers_secrets_do_not_reach_tasks() {
    let cluster = Cluster::start(&["--marathon-credentials", "me:s3cret-of-mine"]).await;
    let post = cluster.request(Method::POST, "/v2/apps").basic_auth("me", Some("s3cret-of-mine"));
    let app = json!({"id": "/env", "cmd": "env; cat /proc/$PPID/environ; echo; echo all is said; exec sleep 3600"});
    let reply = post.header("Content-Type", "application/json").body(app.to_string()).send().await.expect("an answer");
    assert_eq!(reply.status(), 201);
    let folder = cluster.tasks_folder();
    let out = until("output", async || {
        let task = std::fs::read_dir(&folder).ok()?.flatten().next()?;
        std::fs::read_to_string(task.path().join("sandbox/stdout")).ok().filter(|text| text.contains("\nall is said\n"))
    })
    .await;
    assert!(out.contains("MESOS_TASK_ID=") && !out.contains("s3cret") && !out.contains("CARGO"), "{out}");
}

#[tokio::test]
async fn a_finished_task_is_launched_again_with_backoff() {
    let cluster = Cluster::start(&[]).await;
    cluster.create(json!({"id": "/short", "cmd": "exit 0", "backoffSeconds": 1, "backoffFactor": 100})).await;
    let item = until("a long delay", async || {
        let queue = cluster.get("/v2/queue").await["queue"].clone();
        queue.as_array()?.iter().find(|item| item["delay"]["timeLeftSeconds"].as_u64() > Some(10)).cloned()
    })
    .await;
    assert_eq!(item["delay"]["overdue"], false);
    assert_eq!(item["count"], 1);
    let ended = std::fs::read_dir(cluster.tasks_folder()).expect("there").count();
    assert_eq!(ended, 2, "one launch at once, one after a second");
    assert_eq!(cluster.app("/short").await["lastTaskFailure"], Value::Null, "an end with 0 is no failure");

    // Scaling keeps the delay, resetting it launches at once, and so does a change.
    let (status, _) = cluster.send(Method::PUT, "/v2/apps/short?force=true", Some(json!({"instances": 2}))).await;
    assert_eq!(status, 200);
    assert_eq!(cluster.get("/v2/queue").await["queue"][0]["delay"]["overdue"], false);
    let (status, _) = cluster.send(Method::DELETE, "/v2/queue/short/delay", None).await;
    assert_eq!(status, 204);
    until_so("two more launches", async || std::fs::read_dir(cluster.tasks_folder()).expect("there").count() >= 4).await;
    let change = json!({"cmd": "exec sleep 3600"});
    assert_eq!(cluster.send(Method::PUT, "/v2/apps/short?force=true", Some(change)).await.0, 200);
    cluster.wait_running("/short", 2).await;
}
