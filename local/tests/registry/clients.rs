//! The client of the host and the pods: create, read, list, change, delete, in one piece or in transactions.

use zk::EventType::{NodeChildrenChanged, NodeDeleted};
use zookeeper_client as zk;

use crate::server::{Server, ephemeral, persistent, soon};

#[tokio::test]
async fn a_pod_registers_is_seen_and_goes() {
    let server = Server::start().await;
    let host = server.client().await;
    host.mkdir("/ochopod/clusters/marathon.web", &persistent()).await.unwrap();
    let (names, _, list) = host.get_and_watch_children("/ochopod/clusters/marathon.web").await.unwrap();
    assert!(names.is_empty());

    let pod = server.client().await;
    let path = "/ochopod/clusters/marathon.web/pod-1";
    pod.create(path, br#"{"seq": 0}"#, &ephemeral()).await.unwrap();
    assert_eq!(soon("the list", list.changed()).await.event_type, NodeChildrenChanged);
    let (data, stat, gone) = host.get_and_watch_data(path).await.unwrap();
    assert_eq!(data, br#"{"seq": 0}"#);
    assert_eq!(stat.ephemeral_owner, pod.session_id().0);
    assert_eq!(pod.list_ephemerals("/ochopod").await.unwrap(), [path]);

    drop(pod);
    assert_eq!(soon("the end", gone.changed()).await.event_type, NodeDeleted);
    assert!(host.list_children("/ochopod/clusters/marathon.web").await.unwrap().is_empty());
}

#[tokio::test]
async fn sequential_nodes_count_on() {
    let server = Server::start().await;
    let client = server.client().await;
    let options = zk::CreateMode::EphemeralSequential.with_acls(zk::Acls::anyone_all());
    client.create("/queue", b"", &persistent()).await.unwrap();
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let (_, number) = client.create("/queue/n-", b"", &options).await.unwrap();
        client.delete(&format!("/queue/n-{number}"), None).await.unwrap();
        numbers.push(number.into_i64());
    }
    assert_eq!(numbers, [0, 1, 2]);
}

#[tokio::test]
async fn versions_and_errors() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create("/a", b"1", &persistent()).await.unwrap();
    assert_eq!(client.set_data("/a", b"2", Some(0)).await.unwrap().version, 1);
    assert_eq!(client.set_data("/a", b"3", Some(0)).await, Err(zk::Error::BadVersion));
    assert_eq!(client.create("/a", b"", &persistent()).await.unwrap_err(), zk::Error::NodeExists);
    assert_eq!(client.create("/no/x", b"", &persistent()).await.unwrap_err(), zk::Error::NoNode);
    assert_eq!(client.delete("/a", Some(0)).await, Err(zk::Error::BadVersion));
    client.create("/a/x", b"", &persistent()).await.unwrap();
    assert_eq!(client.delete("/a", None).await, Err(zk::Error::NotEmpty));
    assert_eq!(client.check_stat("/no").await.unwrap(), None);
    assert_eq!(client.get_data("/no").await.unwrap_err(), zk::Error::NoNode);
    assert_eq!(client.count_descendants_number("/a").await.unwrap(), 1);
    client.sync("/a").await.unwrap();
    let ttl = persistent().with_ttl(std::time::Duration::from_secs(1));
    assert_eq!(client.create("/ttl", b"", &ttl).await.unwrap_err(), zk::Error::Unimplemented);
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create("/a", b"1", &persistent()).await.unwrap();
    let before = client.check_stat("/").await.unwrap().unwrap();

    let mut writer = client.new_multi_writer();
    writer.add_create("/b", b"", &persistent()).unwrap();
    writer.add_delete("/a", None).unwrap();
    writer.add_check_version("/b", 3).unwrap();
    let failure = writer.commit().await.unwrap_err();
    assert_eq!(failure.to_string(), zk::MultiWriteError::OperationFailed { index: 2, source: zk::Error::BadVersion }.to_string());
    assert_eq!(client.check_stat("/").await.unwrap().unwrap(), before);

    let mut writer = client.new_multi_writer();
    writer.add_check_version("/a", 0).unwrap();
    writer.add_create("/b", b"", &persistent()).unwrap();
    writer.add_set_data("/a", b"2", Some(0)).unwrap();
    let results = writer.commit().await.unwrap();
    let stat = client.check_stat("/b").await.unwrap().unwrap();
    assert!(matches!(&results[1], zk::MultiWriteResult::Create { path, stat: told } if path == "/b" && *told == stat));
    // One transaction, one number.
    assert_eq!(client.get_data("/a").await.unwrap().1.mzxid, stat.czxid);

    let mut reader = client.new_multi_reader();
    reader.add_get_data("/a").unwrap();
    reader.add_get_children("/no").unwrap();
    reader.add_get_children("/").unwrap();
    let results = reader.commit().await.unwrap();
    assert!(matches!(&results[0], zk::MultiReadResult::Data { data, .. } if data == b"2"));
    assert!(matches!(&results[1], zk::MultiReadResult::Error { err: zk::Error::NoNode }));
    assert!(matches!(&results[2], zk::MultiReadResult::Children { children } if children == &["a", "b", "zookeeper"]));
}

#[tokio::test]
async fn containers_go_when_they_are_empty_again() {
    let server = Server::with(|config| config.limits.container_check = std::time::Duration::from_millis(20)).await;
    let client = server.client().await;
    let container = zk::CreateMode::Container.with_acls(zk::Acls::anyone_all());
    client.create("/box", b"", &container).await.unwrap();
    client.create("/box/x", b"", &persistent()).await.unwrap();
    let (_, gone) = client.check_and_watch_stat("/box").await.unwrap();
    client.delete("/box/x", None).await.unwrap();
    assert_eq!(soon("the end of the box", gone.changed()).await.event_type, NodeDeleted);
}

#[tokio::test]
async fn access_lists() {
    let server = Server::start().await;
    let ann = server.client().await;
    ann.auth("digest", b"ann:secret").await.unwrap();
    ann.create("/hers", b"x", &zk::CreateMode::Persistent.with_acls(zk::Acls::creator_all())).await.unwrap();
    let other = server.client().await;
    assert_eq!(other.get_data("/hers").await.unwrap_err(), zk::Error::NoAuth);
    let list = [zk::Acl::new(zk::Permission::READ, zk::AuthId::anyone())];
    ann.set_acl("/hers", &list, None).await.unwrap();
    assert_eq!(other.get_data("/hers").await.unwrap().0, b"x");
    assert_eq!(other.set_data("/hers", b"y", None).await, Err(zk::Error::NoAuth));
    assert_eq!(other.get_acl("/hers").await.unwrap().0, list);
    let users = ann.list_auth_users().await.unwrap();
    assert_eq!(users.iter().map(|user| user.user()).collect::<Vec<_>>(), ["127.0.0.1", "ann"]);
}

#[tokio::test]
async fn a_lock_passes_from_one_to_the_next() {
    let server = Server::start().await;
    let (one, two) = (server.client().await, server.client().await);
    one.create("/locks", b"", &persistent()).await.unwrap();
    let prefix = || zk::LockPrefix::new_curator("/locks", "n-").unwrap();
    let held = one.lock(prefix(), b"one", zk::Acls::anyone_all()).await.unwrap();
    let waiting = two.lock(prefix(), b"two", zk::Acls::anyone_all());
    tokio::pin!(waiting);
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(held);
    let held = soon("the lock", waiting).await.unwrap();
    assert_eq!(two.get_data(held.lock_path()).await.unwrap().0, b"two");
}
