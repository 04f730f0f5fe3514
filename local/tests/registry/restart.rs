//! What is there after a restart.

use ocho_local::registry::{Registry, RegistryConfig, RegistryError};
use tempfile::tempdir;
use zookeeper_client as zk;

use crate::raw::{CLOSE, DELETE, EXISTS, Raw, delete, look};
use crate::server::{Server, ephemeral, persistent, quiet_address, soon};

#[tokio::test]
async fn nodes_survive_with_all_that_is_known_of_them() {
    let folder = tempdir().unwrap();
    let server = Server::on(folder.path()).await;
    let client = server.client().await;
    client.auth("digest", b"ann:secret").await.unwrap();
    client.create("/a", b"1", &persistent()).await.unwrap();
    client.create("/a/b", b"", &persistent()).await.unwrap();
    client.create("/a/gone", b"", &persistent()).await.unwrap();
    client.delete("/a/gone", None).await.unwrap();
    client.set_data("/a", b"2", None).await.unwrap();
    client.create("/hers", b"x", &zk::CreateMode::Persistent.with_acls(zk::Acls::creator_all())).await.unwrap();
    let before = (client.get_data("/a").await.unwrap(), client.get_acl("/hers").await.unwrap());
    let zxid = before.1.1.czxid;
    drop(client);
    server.stop().await;

    let server = Server::on(folder.path()).await;
    let client = server.client().await;
    client.auth("digest", b"ann:secret").await.unwrap();
    assert_eq!((client.get_data("/a").await.unwrap(), client.get_acl("/hers").await.unwrap()), before);
    assert_eq!(client.list_children("/").await.unwrap(), ["a", "hers", "zookeeper"]);
    assert_eq!(client.list_children("/a").await.unwrap(), ["b"]);
    let sequential = zk::CreateMode::PersistentSequential.with_acls(zk::Acls::anyone_all());
    let (stat, number) = client.create("/a/n-", b"", &sequential).await.unwrap();
    assert_eq!(number.into_i64(), 2, "counted on");
    assert!(stat.czxid > zxid);
}

#[tokio::test]
async fn a_session_survives_if_its_client_comes_back_in_time() {
    let folder = tempdir().unwrap();
    let server = Server::on(folder.path()).await;
    let mut back = Raw::open(&server, 40_000).await;
    back.create("/back", 1).await;
    let mut lost = Raw::open(&server, 1).await;
    lost.create("/lost", 1).await;
    let mut closed = Raw::open(&server, 40_000).await;
    closed.create("/closed", 1).await;
    closed.ask(1, CLOSE, &[]).await;
    assert!(back.is_alive().await);
    server.stop().await;
    assert_eq!(back.receive().await, None);

    let server = Server::on(folder.path()).await;
    let mut back = Raw::connect(server.address, 40_000, &back.pass).await.expect("the session goes on");
    assert_eq!(back.ask(1, EXISTS, &look("/back", false)).await.error, 0);
    assert_eq!(back.ask(1, EXISTS, &look("/closed", false)).await.error, -101);
    if back.ask(1, EXISTS, &look("/lost", true)).await.error == 0 {
        let event = back.receive().await.unwrap();
        assert_eq!((event.xid, &event.body[12..]), (-1, &b"/lost"[..]));
    }
    assert!(Raw::connect(server.address, 1, &lost.pass).await.is_none());
}

#[tokio::test]
async fn the_client_comes_back_by_itself() {
    let folder = tempdir().unwrap();
    let address = quiet_address();
    let start = || {
        Server::with(|config| {
            config.data = Some(folder.path().to_owned());
            config.listen = address;
        })
    };
    let server = start().await;
    let client = server.client().await;
    client.create("/mine", b"", &ephemeral()).await.unwrap();
    let (_, watched) = client.get_and_watch_data("/mine").await.map(|(_, stat, watch)| (stat, watch)).unwrap();
    let mut state = client.state_watcher();
    server.stop().await;
    assert_eq!(soon("the loss", state.changed()).await, zk::SessionState::Disconnected);

    let server = start().await;
    assert_eq!(soon("the way back", state.changed()).await, zk::SessionState::SyncConnected);
    // The watch was set again, in a life that counts from another number on.
    server.client().await.set_data("/mine", b"new", None).await.unwrap();
    assert_eq!(soon("the event", watched.changed()).await.event_type, zk::EventType::NodeDataChanged);
}

#[tokio::test]
async fn what_comes_and_goes_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    let server = Server::on(folder.path()).await;
    let mut raw = Raw::open(&server, 40_000).await;
    for nth in 0..200 {
        let path = format!("/n{}", nth % 3);
        raw.create(&path, 0).await;
        if nth % 7 == 0 {
            // Some are saved before they go, some are not.
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        raw.ask(1, DELETE, &delete(&path)).await;
    }
    server.stop().await;
    let server = Server::on(folder.path()).await;
    assert_eq!(server.client().await.list_children("/").await.unwrap(), ["zookeeper"]);
}

#[tokio::test]
async fn a_folder_belongs_to_one_registry() {
    let folder = tempdir().unwrap();
    let server = Server::on(folder.path()).await;
    let config =
        || RegistryConfig { data: Some(folder.path().to_owned()), ..RegistryConfig::new("127.0.0.1:0".parse().unwrap()) };
    let error = Registry::bind(config()).await.unwrap_err();
    assert!(matches!(error, RegistryError::InUse { .. }), "{error}");
    server.stop().await;
    Registry::bind(config()).await.unwrap();

    let database = rusqlite::Connection::open(folder.path().join("registry.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let error = Registry::bind(config()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "its layout is 99, this program knows 1");

    std::fs::write(folder.path().join("registry.db"), "this was a database").unwrap();
    for file in ["registry.db-wal", "registry.db-shm"] {
        _ = std::fs::remove_file(folder.path().join(file));
    }
    let error = Registry::bind(config()).await.unwrap_err();
    assert!(error.to_string().contains("move the file away"), "{error}");
}

#[tokio::test]
async fn bad_places_are_told() {
    let taken = Server::start().await;
    let error = Registry::bind(RegistryConfig::new(taken.address)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the registry cannot listen on `{}`", taken.address));
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let config = RegistryConfig { data: Some(file.clone()), ..RegistryConfig::new("127.0.0.1:0".parse().unwrap()) };
    let error = Registry::bind(config).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the registry cannot use the folder `{}`", file.display()));
}

#[tokio::test]
async fn stopping_does_not_wait_for_clients() {
    let server = Server::with(|config| config.limits.session_timeout_max = std::time::Duration::from_secs(600)).await;
    // Its session would last longer than one waits here.
    let mut idle = Raw::open(&server, 600_000).await;
    soon("the end", server.stop()).await;
    assert_eq!(idle.receive().await, None);
}
