//! `ochod cluster` killed with -9 in the middle of a deployment: whoever asks afterwards finds what was there before.

use std::fs;
use std::time::{Duration, Instant};

use ocho_tests::cases::Engine;
use ocho_tests::runtime::block_on;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(180);

async fn get(engine: &Engine, path: &str) -> Value {
    let reply = Client::new().get(format!("{}{path}", engine.url)).send().await.expect("it answers");
    serde_json::from_str(&reply.text().await.expect("a body")).expect("JSON")
}

async fn put(engine: &Engine, path: &str, body: &Value) -> Value {
    let reply = Client::new().put(format!("{}{path}", engine.url)).json(body).send().await.expect("it answers");
    serde_json::from_str(&reply.text().await.expect("a body")).expect("JSON")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn ids(tasks: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        tasks.as_array().into_iter().flatten().filter_map(|task| task["id"].as_str()).map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn a_deployment_survives_kill_9() {
    let mut engine = Engine::start(&[]);
    let (begun, go) = (engine.home().join("begun"), engine.home().join("go"));
    let app = |version: u32| {
        let cmd = format!("echo $MESOS_TASK_ID >> {}; exec sleep 3600", begun.display());
        // The second version is well once the test says so: until then its deployment goes on.
        let check = if version == 1 { "true".to_owned() } else { format!("test -e {}", go.display()) };
        json!({
            "cmd": cmd, "instances": 3, "mem": 32, "cpus": 0.1, "env": { "VERSION": version.to_string() },
            "healthChecks": [{ "protocol": "COMMAND", "command": { "value": check }, "intervalSeconds": 1, "delaySeconds": 0 }],
        })
    };
    block_on(async {
        put(&engine, "/v2/apps/web", &app(1)).await;
        until("the first version", async || {
            get(&engine, "/v2/apps/web").await["app"]["tasksHealthy"] == 3 && get(&engine, "/v2/deployments").await == json!([])
        })
        .await;
        let deployment = put(&engine, "/v2/apps/web", &app(2)).await["deploymentId"].clone();
        until("both versions", async || get(&engine, "/v2/apps/web").await["app"]["tasksRunning"] == 6).await;
        // A task runs before its shell has had its turn.
        until("six beginnings", async || fs::read_to_string(&begun).is_ok_and(|told| told.lines().count() == 6)).await;
        let before = ids(&get(&engine, "/v2/apps/web/tasks").await["tasks"]);

        engine.crash();

        let after = get(&engine, "/v2/apps/web/tasks").await["tasks"].clone();
        assert_eq!(ids(&after), before, "tasks that run are adopted, and none is launched beside them");
        assert_eq!(get(&engine, "/v2/deployments").await[0]["id"], deployment, "the deployment goes on");
        assert_eq!(get(&engine, "/v2/apps/web/versions").await["versions"].as_array().map(Vec::len), Some(2));
        fs::write(&go, "").expect("ours");
        until("the second version", async || {
            get(&engine, "/v2/deployments").await == json!([]) && get(&engine, "/v2/apps/web").await["app"]["tasksRunning"] == 3
        })
        .await;
        let left = ids(&get(&engine, "/v2/apps/web/tasks").await["tasks"]);
        assert!(left.iter().all(|id| before.contains(id)), "{left:?} of {before:?}");
    });
    let told = fs::read_to_string(&begun).expect("ours");
    assert_eq!(told.lines().count(), 6, "each task was started once:\n{told}");
}
