use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use ocho_core::{ClusterGlob, PodId};
use ocho_runtime::host::{Caller, Clock as _, Marathon as _, MarathonError, PodOutcome, Pods as _, Registry as _, Verb};
use ocho_runtime::host::{RegistryError, ShellError};
use serde_json::Value;

use super::*;
use crate::plugin::scene::idle::Stage;

/// Plays with the cluster of a scene on the virtual clock; gives how long that took there.
fn play(scene: &str, act: impl AsyncFnOnce(Cluster)) -> Duration {
    let scene: SceneFile = toml::from_str(scene).unwrap();
    let clock = Arc::new(VirtualClock::new(Duration::from_secs(1_767_225_600)));
    let cluster = Cluster::new(&scene, clock.clone());
    Stage::new(clock.clone()).unwrap().play(act(cluster));
    clock.now()
}

fn all() -> ClusterGlob {
    ClusterGlob::new("*")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn ask(cluster: &Cluster, pods: &[&str], verb: Verb, timeout: u64) -> Vec<(PodOutcome, Duration)> {
    let pods: Vec<PodId> = pods.iter().map(|pod| pod.parse().unwrap()).collect();
    let answers = cluster.ask(pods, verb, Duration::from_secs(timeout)).await;
    answers.into_iter().map(|answer| (answer.outcome, answer.elapsed)).collect()
}

const WEB: &str = "[[pod]]\ncluster = 'test.web'\nseqs = [1, 2]\n";

#[test]
fn pods_answer_as_the_scene_says() {
    let scene = "[[pod]]\ncluster = 'a.b'\nseq = 0\nanswers.info = ['silent', { status = 200, body = 'x', after = '3s' }]
        [[pod]]\ncluster = 'a.b'\nseq = 1\nis = 'gone'
        [[pod]]\ncluster = 'a.b'\nseq = 2\nis = { is = 'refused', after = '1s' }
        [[pod]]\ncluster = 'a.b'\nseq = 3\nregisters = '20s'";
    let took = play(scene, async |cluster| {
        let pods = ["a.b #0", "a.b #1", "a.b #2", "a.b #3", "a.b #9"];
        let seconds = Duration::from_secs;
        let answers = ask(&cluster, &pods, Verb::Info, 5).await;
        assert_eq!(answers[0], (PodOutcome::TimedOut, seconds(5)));
        assert_eq!(answers[1], (PodOutcome::Replied { status: 410, body: "{}".to_owned() }, seconds(0)));
        assert!(matches!(&answers[2], (PodOutcome::Unreachable(_), after) if *after == seconds(1)));
        assert_eq!((&answers[3].0, &answers[4].0), (&PodOutcome::NotRegistered, &PodOutcome::NotRegistered));
        let later = ask(&cluster, &pods[..1], Verb::Info, 5).await;
        assert_eq!(later[0], (PodOutcome::Replied { status: 200, body: "x".to_owned() }, seconds(3)));
        assert_eq!(ask(&cluster, &pods[..1], Verb::Info, 3).await[0].0, PodOutcome::TimedOut, "the last one stays");
    });
    assert_eq!(took, Duration::from_secs(11));
}

#[test]
fn a_pod_that_was_killed_is_gone() {
    play(WEB, async |cluster| {
        let status = async |verb| match &ask(&cluster, &["test.web #1"], verb, 5).await[0].0 {
            PodOutcome::Replied { status, .. } => *status,
            other => panic!("{other:?}"),
        };
        assert_eq!([status(Verb::Off).await, status(Verb::Kill).await, status(Verb::Kill).await], [200, 200, 410]);
        let orders: Vec<String> = cluster.heard().into_iter().map(|heard| heard.text).collect();
        assert_eq!(orders, ["off test.web #1", "kill test.web #1", "kill test.web #1"]);
    });
}

#[test]
fn changes_follow_what_comes_and_goes() {
    let scene = "[[pod]]\ncluster = 'a.b'\nseq = 0\nleaves = '9s'\n[[pod]]\ncluster = 'a.b'\nseq = 1\nregisters = '4s'";
    let took = play(scene, async |cluster| {
        let mut changes = cluster.changes(all());
        let mut seen = Vec::new();
        for _ in 0..3 {
            let pods = changes.next().await.unwrap().unwrap();
            seen.push(pods.iter().map(|pod| pod.id.seq.0).collect::<Vec<_>>());
        }
        assert_eq!(seen, [vec![0], vec![0, 1], vec![1]]);
    });
    assert_eq!(took, Duration::from_secs(9));
    play("[registry]\nfails = 'gone'", async |cluster| {
        let unreachable = RegistryError::Unreachable("gone".to_owned());
        assert_eq!(cluster.find(all()).await, Err(unreachable.clone()));
        assert_eq!(cluster.changes(all()).next().await, Some(Err(unreachable)));
    });
}

#[test]
fn a_deployment_holds_its_app_for_a_while() {
    let scene = format!("{WEB}[marathon]\ndeploys-in = '5s'\nboots-in = '3s'");
    play(&scene, async |cluster| {
        let id = || "/app.test.web".to_owned();
        let scale = |to: u32, force| cluster.update_app(id(), format!("{{\"instances\": {to}}}"), force);
        assert_eq!(scale(3, false).await.unwrap().id, "deployment-1");
        assert_eq!(scale(4, false).await, Err(MarathonError::Locked(vec!["deployment-1".to_owned()])));
        assert_eq!(json(&cluster.deployments().await.unwrap())[0]["affectedApps"][0], "/app.test.web");
        assert_eq!(json(&cluster.app(id()).await.unwrap())["app"]["tasksStaged"], 1);
        let kinds = vec!["deployment_success".to_owned()];
        let event = cluster.events(kinds).next().await.unwrap().unwrap();
        assert_eq!((cluster.now(), event.data.contains("deployment-1")), (Duration::from_secs(5), true));
        assert_eq!(cluster.find(all()).await.unwrap().len(), 3);
        scale(5, false).await.unwrap();
        scale(1, true).await.unwrap();
        assert_eq!(cluster.find(all()).await.unwrap().len(), 1);
        assert_eq!(cluster.versions(id()).await.unwrap().len(), 4);
        cluster.cancel_deployment("deployment-3".to_owned(), true).await.unwrap();
        assert!(matches!(cluster.cancel_deployment("deployment-3".to_owned(), true).await, Err(MarathonError::NotFound(_))));
        cluster.delete_app(id(), false).await.unwrap();
        assert!(matches!(cluster.tasks(Some(id())).await, Err(MarathonError::NotFound(_))));
    });
}

#[test]
fn refusals_are_told_apart() {
    let scene = format!(
        "{WEB}[[marathon.refuse]]\nrequest = 'PUT'\nstatus = 422\nbody = {{ message = 'bad' }}\ntimes = 1
        [[marathon.refuse]]\nrequest = 'PUT'\nfails = 'timeout'
        [[marathon.refuse]]\nrequest = 'DELETE'\nstatus = 403
        [[marathon.refuse]]\nrequest = 'GET /v2/events'\nfails = 'unreachable'"
    );
    let took = play(&scene, async |cluster| {
        let change = || cluster.update_app("app.test.web".to_owned(), "{}".to_owned(), false);
        assert!(matches!(change().await, Err(MarathonError::Invalid(refusal)) if refusal.message == "bad"));
        assert!(matches!(change().await, Err(MarathonError::TimedOut(_))));
        let denied = cluster.delete_app("app.test.web".to_owned(), false).await;
        assert!(matches!(denied, Err(MarathonError::Denied(refusal)) if refusal.message == "Marathon answered 403"));
        assert!(matches!(cluster.events(Vec::new()).next().await, Some(Err(MarathonError::Unreachable(_)))));
        for garbage in ["", "[]", "{\"id\": 7}", "{\"id\": \"/\"}"] {
            assert!(matches!(cluster.create_app(garbage.to_owned()).await, Err(MarathonError::Invalid(_))), "{garbage}");
        }
        let again = cluster.create_app("{\"id\": \"/app.test.web\"}".to_owned()).await;
        assert!(matches!(again, Err(MarathonError::Refused(refusal)) if refusal.status == 409));
    });
    assert_eq!(took, Duration::from_secs(30));
}

#[test]
fn other_tools_answer() {
    let scene = "[[shell]]\nline = 'ls'\nout = 'all'\n[[shell]]\nline = 'ls web'\nexit = 1\nafter = '2s'\n[[shell]]\nline = 'x'\nfails = 'busy'";
    let took = play(scene, async |cluster| {
        let run = async |line: &str| {
            let caller = Caller { run: String::new(), tool: "t".parse().unwrap(), depth: 0 };
            let argv = line.split(' ').map(str::to_owned).collect();
            ocho_runtime::host::Shell::run(&cluster, caller, argv, Vec::new()).await
        };
        assert_eq!(run("ls -j").await.unwrap().out, "all");
        assert_eq!(run("ls web -j").await.unwrap().exit_code, 1);
        assert_eq!(run("x").await, Err(ShellError::Busy));
        assert_eq!(run("y z").await, Err(ShellError::NoSuchTool("y".to_owned())));
    });
    assert_eq!(took, Duration::from_secs(2));
}

#[test]
fn an_app_is_shown_with_its_tasks_and_a_list_without() {
    let scene = format!("{WEB}[marathon]\nboots-in = '5s'");
    play(&scene, async |cluster| {
        cluster.update_app("app.test.web".to_owned(), r#"{"instances": 3}"#.to_owned(), false).await.unwrap();
        let shown = json(&cluster.app("/app.test.web".to_owned()).await.unwrap());
        let tasks = shown["app"]["tasks"].as_array().unwrap();
        let of = |nth: usize, member: &str| tasks[nth][member].as_str();
        assert_eq!((of(0, "id"), of(0, "startedAt")), (Some("task.test.web.1"), Some("2026-01-01T00:00:00.000Z")));
        assert_eq!((tasks.len(), of(2, "state"), of(2, "startedAt")), (3, Some("TASK_STAGING"), None));
        let listed = json(&cluster.apps(Vec::new()).await.unwrap());
        assert_eq!((&listed["apps"][0]["id"], listed["apps"][0].get("tasks")), (&"/app.test.web".into(), None));
    });
}
