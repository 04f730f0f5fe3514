//! Watches of the client: once, persistent, recursive, over a reconnect, and removed.

use zk::EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
use zookeeper_client as zk;

use crate::raw::{CREATE, DELETE, EXISTS, Raw, buffer, create, delete, look};
use crate::server::{Server, persistent, soon};

const CHECK_WATCHES: i32 = 17;
const REMOVE_WATCHES: i32 = 18;
const ADD_WATCH: i32 = 106;
const CHILDREN: i32 = 1;
const DATA: i32 = 2;
const ANY: i32 = 3;
const PERSISTENT: i32 = 4;
const RECURSIVE: i32 = 5;

#[tokio::test]
async fn events_carry_their_transaction() {
    let server = Server::start().await;
    let client = server.client().await;
    let (stat, created) = client.check_and_watch_stat("/a").await.unwrap();
    assert_eq!(stat, None);
    let (stat, _) = client.create("/a", b"", &persistent()).await.unwrap();
    let event = soon("the event", created.changed()).await;
    assert_eq!((event.event_type, event.path.as_str(), event.zxid), (NodeCreated, "/a", stat.czxid));
}

#[tokio::test]
async fn persistent_and_recursive() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create("/a", b"", &persistent()).await.unwrap();
    let mut node = client.watch("/a", zk::AddWatchMode::Persistent).await.unwrap();
    let mut below = client.watch("/a", zk::AddWatchMode::PersistentRecursive).await.unwrap();
    client.create("/a/x", b"", &persistent()).await.unwrap();
    client.set_data("/a/x", b"1", None).await.unwrap();
    client.set_data("/a", b"1", None).await.unwrap();
    client.delete("/a/x", None).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let event = soon("an event", below.changed()).await;
        seen.push((event.event_type, event.path));
    }
    let expected = [(NodeCreated, "/a/x"), (NodeDataChanged, "/a/x"), (NodeDataChanged, "/a"), (NodeDeleted, "/a/x")];
    assert_eq!(seen, expected.map(|(kind, path)| (kind, path.to_owned())));
    for expected in [NodeChildrenChanged, NodeDataChanged, NodeChildrenChanged] {
        assert_eq!(soon("an event", node.changed()).await.event_type, expected);
    }
}

#[tokio::test]
async fn watches_are_looked_for_and_removed() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 40_000).await;
    let which = |kind: i32| [buffer(b"/a"), kind.to_be_bytes().to_vec()].concat();
    raw.ask(1, EXISTS, &look("/a", true)).await;
    assert_eq!(raw.ask(2, ADD_WATCH, &which(0)).await.error, 0);
    for (kind, found) in [(CHILDREN, -121), (DATA, 0), (ANY, 0), (PERSISTENT, 0), (RECURSIVE, -121), (9, -5)] {
        assert_eq!(raw.ask(3, CHECK_WATCHES, &which(kind)).await.error, found, "kind {kind}");
    }
    for error in [0, -121] {
        assert_eq!(raw.ask(4, REMOVE_WATCHES, &which(DATA)).await.error, error);
    }
    assert_eq!(raw.ask(5, REMOVE_WATCHES, &which(ANY)).await.error, 0);
    // Nobody is told: the next thing that comes is the reply.
    assert_eq!(raw.ask(6, CREATE, &create("/a", 0)).await.xid, 6);
}

#[tokio::test]
async fn an_event_comes_before_the_reply_that_it_explains() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 40_000).await;
    assert_eq!(raw.ask(1, EXISTS, &look("/a", true)).await.error, -101);
    // Both at once: the answer to neither may overtake the event.
    raw.request(2, CREATE, &create("/a", 0)).await;
    raw.request(3, DELETE, &delete("/a")).await;
    let order = [raw.receive().await.unwrap().xid, raw.receive().await.unwrap().xid, raw.receive().await.unwrap().xid];
    assert_eq!(order, [-1, 2, 3]);
}

#[tokio::test]
async fn watches_are_set_again_after_a_reconnect() {
    let server = Server::start().await;
    let mut other = Raw::open(&server, 40_000).await;
    other.create("/seen", 0).await;
    other.create("/missed", 0).await;
    let mut raw = Raw::open(&server, 40_000).await;
    assert!(raw.is_alive().await);
    let since = raw.pass.seen;
    other.ask(2, DELETE, &delete("/missed")).await;

    let list = |paths: &[&str]| {
        let mut bytes = i32::try_from(paths.len()).unwrap().to_be_bytes().to_vec();
        paths.iter().for_each(|path| bytes.extend(buffer(path.as_bytes())));
        bytes
    };
    let mut raw = Raw::connect(server.address, 40_000, &raw.pass).await.unwrap();
    let body = [since.to_be_bytes().to_vec(), list(&["/seen", "/missed"]), list(&["/new"]), list(&[])].concat();
    raw.request(-8, 101, &body).await;
    let missed = raw.receive().await.unwrap();
    assert_eq!((missed.xid, &missed.body[..4], &missed.body[12..]), (-1, &[0, 0, 0, 2][..], &b"/missed"[..]));
    assert_eq!(raw.receive().await.unwrap().xid, -8);
    other.ask(3, DELETE, &delete("/seen")).await;
    other.create("/new", 0).await;
    assert_eq!(&raw.receive().await.unwrap().body[12..], b"/seen");
    assert_eq!(&raw.receive().await.unwrap().body[12..], b"/new");
}
