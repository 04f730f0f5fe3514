//! Changes of what runs: upgrades, dependencies, conflicts.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cluster::{Cluster, port, text, until, until_so};

/// A server that answers what is in a file. It opens its port once there is a file `go` in its folder.
fn server(id: &str, body: &str, rest: Value) -> Value {
    let waits = "while [ ! -e go ]; do sleep 0.05; done";
    let cmd = format!("{waits}; mkdir www; echo {body} > www/who; cd www; exec python3 -m http.server --bind 127.0.0.1 $PORT0");
    let mut app = json!({
        "id": id, "cmd": cmd, "portDefinitions": [{"port": 0, "name": "http"}],
        "healthChecks": [{"protocol": "HTTP", "path": "/who", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 60}],
    });
    for (name, value) in rest.as_object().cloned().unwrap_or_default() {
        app[name] = value;
    }
    app
}

/// Lets servers go, as far as they have a folder by now.
fn let_go<'a>(cluster: &Cluster, tasks: impl IntoIterator<Item = &'a Value>) {
    for task in tasks {
        let _ = std::fs::write(cluster.tasks_folder().join(text(&task["id"])).join("sandbox/go"), "");
    }
}

fn all(tasks: &Value) -> impl Iterator<Item = &Value> {
    tasks.as_array().into_iter().flatten()
}

#[tokio::test]
async fn an_upgrade_keeps_the_service_up() {
    let cluster = Cluster::start(&[]).await;
    let strategy = json!({"instances": 2, "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0}});
    cluster.create(server("/web", "one", strategy.clone())).await;
    let_go(&cluster, &cluster.wait_running("/web", 2).await);
    cluster.settled().await;
    assert_eq!(cluster.app("/web").await["tasksHealthy"], 2);
    let (status, _) = cluster.send(Method::PUT, "/v2/apps/web", Some(server("/web", "two", strategy))).await;
    assert_eq!(status, 200);
    let (mut least_well, mut most) = (usize::MAX, 0);
    until_so("the upgrade", async || {
        let app = cluster.app("/web").await;
        let well =
            all(&app["tasks"]).filter(|task| task["state"] == "TASK_RUNNING" && task["healthCheckResults"][0]["alive"] == true);
        least_well = least_well.min(well.count());
        let now = all(&app["tasks"]).count();
        most = most.max(now);
        // A new one becomes well once it was seen beside the old ones.
        if now > 2 {
            let_go(&cluster, all(&app["tasks"]));
        }
        app["deployments"] == json!([])
    })
    .await;
    assert_eq!((least_well, most), (2, 3), "never fewer than two well, one more than two at most");
    for task in cluster.running("/web").await {
        assert_eq!(cluster.fetch(&format!("http://127.0.0.1:{}/who", port(&task))).await.trim(), "two");
    }
}

#[tokio::test]
async fn a_new_task_that_is_not_ready_does_not_take_over() {
    let cluster = Cluster::start(&[]).await;
    let app = |body: &str| {
        server(
            "/gate",
            body,
            json!({
                "healthChecks": [],
                "readinessChecks": [{"portName": "http", "path": "/ready", "intervalSeconds": 2, "timeoutSeconds": 1,
                    "httpStatusCodesForReady": [200], "preserveLastResponse": true}],
            }),
        )
    };
    let open = async |task: &Value| {
        let_go(&cluster, [task]);
        let www = cluster.tasks_folder().join(text(&task["id"])).join("sandbox/www");
        until_so("the server's folder", async || www.is_dir()).await;
        std::fs::write(www.join("ready"), "yes").expect("ours");
    };
    cluster.create(app("one")).await;
    let first = cluster.wait_running("/gate", 1).await.remove(0);
    let_go(&cluster, [&first]);
    let result = until("an answer that says no", async || {
        let shown = cluster.get("/v2/deployments").await[0]["currentActions"][0]["readinessCheckResults"][0].clone();
        (shown["lastResponse"]["status"] == 404).then_some(shown)
    })
    .await;
    assert_eq!((&result["ready"], &result["taskId"], &result["name"]), (&json!(false), &first["id"], &json!("readinessCheck")));
    open(&first).await;
    cluster.settled().await;

    cluster.put("/gate", app("two")).await;
    let both = cluster.wait_running("/gate", 2).await;
    assert!(both.iter().any(|task| task["id"] == first["id"]), "the old one stays until the new one is ready");
    let second = both.iter().find(|task| task["id"] != first["id"]).expect("a new one");
    open(second).await;
    cluster.settled().await;
    assert_eq!(cluster.wait_running("/gate", 1).await[0]["id"], second["id"]);
}

#[tokio::test]
async fn dependencies_are_up_first() {
    let cluster = Cluster::start(&[]).await;
    let slow = json!([{"protocol": "COMMAND", "command": {"value": "test -e up"}, "intervalSeconds": 1, "delaySeconds": 0}]);
    let group = json!({"id": "/shop", "apps": [
        {"id": "web", "cmd": "exec sleep 3600", "dependencies": ["db"]},
        {"id": "db", "cmd": "while [ ! -e go ]; do sleep 0.05; done; touch up; exec sleep 3600", "healthChecks": slow},
    ]});
    let (status, _) = cluster.send(Method::POST, "/v2/groups", Some(group)).await;
    assert_eq!(status, 201);
    let db = cluster.wait_running("/shop/db", 1).await.remove(0);
    let shown = cluster.get("/v2/deployments").await;
    assert_eq!((&shown[0]["currentStep"], &shown[0]["totalSteps"]), (&json!(2), &json!(3)));
    assert_eq!(shown[0]["steps"][2]["actions"], json!([{"action": "ScaleApplication", "app": "/shop/web"}]));
    assert_eq!(cluster.get("/v2/apps/shop/web/tasks").await, json!({"tasks": []}));
    std::fs::write(cluster.tasks_folder().join(text(&db["id"])).join("sandbox/go"), "").expect("ours");
    cluster.settled().await;
    cluster.wait_running("/shop/web", 1).await;
}

#[tokio::test]
async fn an_ill_task_is_killed_and_told() {
    let cluster = Cluster::start(&[]).await;
    let app = |id: &str, failures_max: u32| {
        let check = json!([{"protocol": "TCP", "portIndex": 0, "intervalSeconds": 1, "gracePeriodSeconds": 0,
            "maxConsecutiveFailures": failures_max}]);
        json!({"id": id, "cmd": "exec sleep 3600", "healthChecks": check, "backoffSeconds": 60})
    };
    cluster.create(app("/ill", 1)).await;
    // This one is never killed, so it can be looked at.
    cluster.create(app("/sick", 0)).await;
    let sick = until("a bad result", async || {
        let app = cluster.app("/sick").await;
        (app["tasksUnhealthy"] == 1).then_some(app)
    })
    .await;
    let result = &sick["tasks"][0]["healthCheckResults"][0];
    assert_eq!(result["alive"], false);
    assert!(text(&result["lastFailureCause"]).contains("refused"), "{result}");
    let failure = cluster.failure("/ill").await;
    assert_eq!(failure["state"], "TASK_KILLED");
    assert!(text(&failure["message"]).starts_with("Task was killed since health check failed."), "{failure}");
    assert_eq!(cluster.get("/v2/deployments").await[0]["affectedApps"], json!(["/ill"]), "it goes on until it is well");
}

#[tokio::test]
async fn the_youngest_go_first_unless_told_otherwise() {
    let cluster = Cluster::start(&[]).await;
    for (id, selection, keeps) in [("/young", "YOUNGEST_FIRST", 0), ("/old", "OLDEST_FIRST", 1)] {
        cluster.deploy(json!({"id": id, "cmd": "exec sleep 3600", "killSelection": selection})).await;
        let first = cluster.wait_running(id, 1).await.remove(0);
        cluster.put(id, json!({"instances": 2})).await;
        cluster.settled().await;
        let both = cluster.wait_running(id, 2).await;
        let second = both.iter().find(|task| task["id"] != first["id"]).expect("two");
        cluster.put(id, json!({"instances": 1})).await;
        cluster.settled().await;
        let left = cluster.wait_running(id, 1).await.remove(0);
        assert_eq!(left["id"], [&first, second][keeps]["id"], "{selection}");
    }
}

#[tokio::test]
async fn a_running_deployment_locks_its_applications() {
    let cluster = Cluster::start(&[]).await;
    let stuck = |id: &str, cmd: &str| json!({"id": id, "cmd": cmd, "constraints": [["hostname", "LIKE", "elsewhere"]]});
    let first = cluster.create(stuck("/g/a", "sleep 1")).await;
    until_so("the step", async || cluster.get("/v2/deployments").await[0]["currentStep"] == 2).await;

    let (status, body) = cluster.send(Method::DELETE, "/v2/groups/g", None).await;
    assert_eq!((status, &body["deployments"]), (409, &json!([{"id": first}])));
    // Another application is free, and a change without effect never conflicts.
    cluster.deploy_beside("/g/b").await;
    let (status, same) = cluster.send(Method::PUT, "/v2/apps/g/a", Some(json!({"cmd": "sleep 1"}))).await;
    assert_eq!(status, 200, "{same}");

    let (status, forced) = cluster.send(Method::PUT, "/v2/apps/g/a?force=true", Some(json!({"cmd": "exec sleep 2"}))).await;
    assert_eq!(status, 200);
    let running = cluster.get("/v2/deployments").await;
    assert_eq!(all(&running).map(|d| &d["id"]).collect::<Vec<_>>(), [&forced["deploymentId"]]);

    // Undoing the change gives the old definition a new version.
    let id = text(&forced["deploymentId"]);
    let (status, undone) = cluster.send(Method::DELETE, &format!("/v2/deployments/{id}"), None).await;
    assert_eq!(status, 200);
    let app = cluster.app("/g/a").await;
    assert_eq!((&app["cmd"], &app["version"]), (&json!("sleep 1"), &undone["version"]));
    // It was created by a change before that, so it is still there.
    let (status, _) = cluster.send(Method::DELETE, "/v2/groups/g?force=true", None).await;
    assert_eq!(status, 200);
    cluster.settled().await;
    assert_eq!(cluster.get("/v2/groups").await["groups"], json!([]));
}

impl Cluster {
    async fn deploy_beside(&self, id: &str) {
        let deployment = self.create(json!({"id": id, "cmd": "exec sleep 3600"})).await;
        until_so("the deployment beside", async || {
            !all(&self.get("/v2/deployments").await).any(|running| running["id"] == deployment.as_str())
        })
        .await;
    }
}

#[tokio::test]
async fn a_forced_stop_leaves_things_as_they_are() {
    let cluster = Cluster::start(&[]).await;
    cluster.deploy(json!({"id": "/half", "cmd": "exec sleep 3600", "instances": 2})).await;
    let old: BTreeSet<String> = cluster.wait_running("/half", 2).await.iter().map(|task| text(&task["id"]).to_owned()).collect();
    let change = json!({"cmd": "exec sleep 3601", "constraints": [["hostname", "LIKE", "elsewhere"]]});
    let (_, body) = cluster.send(Method::PUT, "/v2/apps/half", Some(change)).await;
    let id = text(&body["deploymentId"]).to_owned();
    let (status, _) = cluster.send(Method::DELETE, &format!("/v2/deployments/{id}?force=true"), None).await;
    assert_eq!(status, 202);
    let app = cluster.app("/half").await;
    assert_eq!(app["cmd"], "exec sleep 3601");
    let left: BTreeSet<String> = cluster.wait_running("/half", 2).await.iter().map(|task| text(&task["id"]).to_owned()).collect();
    assert_eq!(left, old, "the old tasks run on");
}

#[tokio::test]
async fn groups_go_back_to_a_version() {
    let cluster = Cluster::start(&[]).await;
    let group = json!({"id": "/g", "apps": [{"id": "a", "cmd": "sleep 1", "instances": 0}], "groups": [{"id": "sub", "apps": [{"id": "b", "cmd": "sleep 2", "instances": 0}]}]});
    assert_eq!(cluster.send(Method::POST, "/v2/groups", Some(group)).await.0, 201);
    cluster.settled().await;
    let version = cluster.get("/v2/groups/g/versions").await[0].clone();
    let change = json!({"apps": [{"id": "c", "cmd": "sleep 3", "instances": 0}], "groups": []});
    assert_eq!(cluster.send(Method::PUT, "/v2/groups/g", Some(change)).await.0, 200);
    cluster.settled().await;
    assert_eq!(cluster.get("/v2/groups/g/apps").await.as_array().map(Vec::len), Some(1));
    let before = cluster.get(&format!("/v2/groups/g/versions/{}", text(&version))).await;
    assert_eq!(before["groups"][0]["apps"][0]["id"], "/g/sub/b");
    assert_eq!(cluster.send(Method::PUT, "/v2/groups/g", Some(json!({"version": version}))).await.0, 200);
    cluster.settled().await;
    let ids: Vec<Value> = all(&cluster.get("/v2/groups/g/apps").await).map(|app| app["id"].clone()).collect();
    assert_eq!(ids, [json!("/g/a"), json!("/g/sub/b")]);
    let (status, body) = cluster.send(Method::PUT, "/v2/groups/g", Some(json!({"version": "2001-01-01T00:00:00.000Z"}))).await;
    assert_eq!((status, text(&body["message"])), (422, "Group /g not available in version 2001-01-01T00:00:00.000Z"));
}
