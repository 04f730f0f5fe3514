//! Pods without a sub-process.

use ocho_tests::runtime::{Task, spawn};
use ocho_tests::wait::until_so;
use ochopod::{Member, Standing};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, SHORT_SESSION, SOON};

struct Running {
    stop: CancellationToken,
    standing: watch::Receiver<Standing>,
    ended: std::sync::mpsc::Receiver<()>,
    _task: Task,
}

impl Running {
    fn start(lab: &Lab) -> Self {
        let registration = json!({"ip": "127.0.0.1", "port": "9000", "ports": {"9000": 9000}, "cluster": "portal"});
        let registration: Map<String, Value> = registration.as_object().cloned().unwrap_or_default();
        let member = Member::new(lab.address().parse().unwrap(), lab.name("portal").parse().unwrap(), registration);
        let (stop, standing) = (CancellationToken::new(), member.standing());
        let (sender, ended) = std::sync::mpsc::channel();
        let running = member.run(stop.clone());
        let task = spawn(async move {
            running.await;
            let _ = sender.send(());
        });
        Self { stop, standing, ended, _task: task }
    }

    fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    fn stop(self) {
        self.stop.cancel();
        self.ended.recv_timeout(SOON).unwrap();
    }
}

#[test]
fn a_member_is_registered_and_published_and_leaves_nothing_behind() {
    let Some(lab) = Lab::open("a_member_is_registered_and_published_and_leaves_nothing_behind") else { return };
    let member = Running::start(&lab);
    until_so("a leader", SOON, || member.standing().leads);
    until_so("a pod in the snapshot", SOON, || lab.snapshot("portal").len() == 1);
    let seq = member.standing().seq.unwrap();
    let (_, pod) = lab.snapshot("portal").into_iter().next().unwrap();
    assert_eq!((&pod["seq"], &pod["port"]), (&json!(seq), &json!("9000")));
    let second = Running::start(&lab);
    until_so("two pods in the snapshot", SOON, || lab.snapshot("portal").len() == 2);
    until_so("word of the registration", SOON, || second.standing().registered);
    assert!(!second.standing().leads);
    member.stop();
    until_so("the other one leads", SOON, || second.standing().leads);
    until_so("one pod in the snapshot", SOON, || lab.snapshot("portal").len() == 1);
    second.stop();
    assert_eq!((lab.children("portal", "pods").len(), lab.node("portal", "snapshot")), (0, None));
}

#[test]
fn a_member_outlives_its_sessions() {
    let Some(mut lab) = Lab::alone("a_member_outlives_its_sessions", SHORT_SESSION) else { return };
    let member = Running::start(&lab);
    until_so("a leader", SOON, || member.standing().leads);
    let (seq, before) = (member.standing().seq, lab.children("portal", "pods"));
    lab.zookeeper().freeze(true);
    until_so("the end of the session", SOON, || !member.standing().registered);
    lab.zookeeper().freeze(false);
    until_so("another one", SOON, || member.standing().leads);
    let after = lab.children("portal", "pods");
    assert_eq!((after.len(), member.standing().seq), (1, seq));
    assert_ne!(before, after);
    assert_eq!(before[0].split_once('.').unwrap().0, after[0].split_once('.').unwrap().0);
    member.stop();
}

#[test]
fn a_member_that_finds_no_zookeeper_can_be_stopped() {
    let nobody = ocho_tests::server::nobody().to_string();
    let member = Member::new(nobody.parse().unwrap(), "a.b".parse().unwrap(), Map::new());
    let stop = CancellationToken::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let running = member.run(stop.clone());
    let _task = spawn(async move {
        running.await;
        let _ = sender.send(());
    });
    stop.cancel();
    receiver.recv_timeout(SOON).unwrap();
}
