//! Sessions: how long they last, how they move, and what goes with them.

use zookeeper_client::AddWatchMode;
use zookeeper_client::EventType::NodeDeleted;

use crate::raw::{CLOSE, CREATE, Pass, Raw, create};
use crate::server::{SESSION, Server, soon};

#[tokio::test]
async fn a_silent_session_expires_with_all_its_nodes_at_once() {
    let server = Server::start().await;
    let watcher = server.client().await;
    let mut below = watcher.watch("/", AddWatchMode::PersistentRecursive).await.unwrap();
    let mut silent = Raw::open(&server, 1).await;
    assert_eq!(i64::from(silent.timeout_ms), i64::try_from(SESSION.as_millis()).unwrap());
    silent.create("/one", 1).await;
    silent.create("/two", 1).await;
    let mut end = async || {
        loop {
            let event = soon("the end", below.changed()).await;
            if event.event_type == NodeDeleted {
                return event;
            }
        }
    };
    let (one, two) = (end().await, end().await);
    assert_eq!((one.path.as_str(), two.path.as_str()), ("/one", "/two"));
    assert_eq!(one.zxid, two.zxid, "one transaction");
    assert!(!silent.is_alive().await, "its connection ends too");
    assert!(Raw::connect(server.address, 1, &silent.pass).await.is_none());
}

#[tokio::test]
async fn a_session_that_pings_lives_on() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 1).await;
    raw.create("/mine", 1).await;
    let until = tokio::time::Instant::now() + 2 * SESSION;
    while tokio::time::Instant::now() < until {
        assert!(raw.is_alive().await);
        tokio::time::sleep(SESSION / 10).await;
    }
    assert_eq!(raw.create("/mine", 1).await, -110);
}

#[tokio::test]
async fn a_client_comes_back_to_its_session() {
    let server = Server::start().await;
    let mut first = Raw::open(&server, 40_000).await;
    first.create("/mine", 1).await;
    let mut second = Raw::connect(server.address, 40_000, &first.pass).await.unwrap();
    assert_eq!(second.pass.session, first.pass.session);
    assert!(!first.is_alive().await, "a session has one connection");
    assert!(second.is_alive().await);
    assert_eq!(second.create("/mine", 1).await, -110);

    let wrong = Pass { password: vec![1; 16], ..second.pass.clone() };
    assert!(Raw::connect(server.address, 40_000, &wrong).await.is_none());
    let unknown = Pass { session: 4711, ..second.pass.clone() };
    assert!(Raw::connect(server.address, 40_000, &unknown).await.is_none());
    assert!(second.is_alive().await, "a stranger does not take it away");
}

#[tokio::test]
async fn a_session_that_is_closed_is_over_at_once() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 40_000).await;
    raw.create("/mine", 1).await;
    raw.request(5, CLOSE, &[]).await;
    raw.request(6, CREATE, &create("/late", 0)).await;
    assert_eq!(raw.receive().await.map(|frame| (frame.xid, frame.error)), Some((5, 0)));
    assert_eq!(raw.receive().await, None);
    let client = server.client().await;
    assert_eq!(client.list_children("/").await.unwrap(), ["zookeeper"]);
    assert!(Raw::connect(server.address, 40_000, &raw.pass).await.is_none());
}
