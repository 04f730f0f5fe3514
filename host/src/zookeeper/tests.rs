//! Servers that are none. What a real one and the embedded one answer is tested where they run.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// One whose questions wait long enough for a server's failure to be told, also on a busy machine.
fn registry(hosts: &str) -> ZooKeeperRegistry {
    registry_within(Duration::from_secs(5), hosts)
}

fn registry_within(find_timeout: Duration, hosts: &str) -> ZooKeeperRegistry {
    let config = ZooKeeperConfig {
        connect_timeout: Duration::from_millis(300),
        find_timeout,
        patience: Duration::from_secs(60),
        ..ZooKeeperConfig::new(hosts)
    };
    ZooKeeperRegistry::new(config).unwrap()
}

#[track_caller]
fn check_unreachable(error: &RegistryError, started: Instant, parts: &[&str]) {
    let RegistryError::Unreachable(text) = error else { panic!("{error:?}") };
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    assert!(started.elapsed() < Duration::from_secs(50), "waited for {:?}", started.elapsed());
}

#[tokio::test]
async fn nobody_there() {
    let address = crate::net::nobody().to_string();
    let (registry, started) = (registry(&address), Instant::now());
    let error = registry.find(ClusterGlob::new("*")).await.unwrap_err();
    let text = format!("no answer from ZooKeeper at `{address}` within 5 s: {address}: connection refused");
    check_unreachable(&error, started, &[&text]);
}

#[tokio::test]
async fn nobody_there_for_a_while() {
    let address = crate::net::nobody().to_string();
    let config = ZooKeeperConfig {
        find_timeout: Duration::from_secs(60),
        patience: Duration::from_millis(500),
        ..ZooKeeperConfig::new(&address)
    };
    let registry = ZooKeeperRegistry::new(config).unwrap();
    let started = Instant::now();
    for _ in 0..2 {
        let asked = Instant::now();
        let error = registry.find(ClusterGlob::new("*")).await.unwrap_err();
        check_unreachable(&error, asked, &[&format!("`{address}` for "), ": connection refused"]);
    }
    assert!(started.elapsed() >= Duration::from_millis(500), "the first one waited for it to come back");
}

#[tokio::test]
async fn a_server_that_accepts_and_stays_silent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (registry, started) = (registry(&address), Instant::now());
    let error = registry.find(ClusterGlob::new("*")).await.unwrap_err();
    check_unreachable(&error, started, &[&address, "within 5 s", "accepts connections but grants no session"]);
}

/// A server that reads a little and then says this to everybody.
async fn saying(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 64]).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.read(&mut [0; 64]).await;
            });
        }
    });
    address
}

/// A session granted, and then this in answer to whatever comes.
fn granted_then(frames: &[&[u8]]) -> Vec<u8> {
    let grant =
        [&0_i32.to_be_bytes()[..], &10_000_i32.to_be_bytes(), &7_i64.to_be_bytes(), &16_i32.to_be_bytes(), &[1; 16], &[0]];
    let grant = grant.concat();
    let framed = |frame: &[u8]| [&i32::try_from(frame.len()).unwrap().to_be_bytes(), frame].concat();
    std::iter::once(framed(&grant)).chain(frames.iter().map(|frame| framed(frame))).flatten().collect()
}

#[tokio::test]
async fn servers_that_talk_nonsense() {
    let of_a_reply = [&1_i32.to_be_bytes()[..], &[0; 12], &i32::MAX.to_be_bytes()].concat();
    let nonsense = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 200],
        vec![0xff; 200],
        granted_then(&[]),
        granted_then(&[b"", b"\0"]),
        granted_then(&[&[0xff; 40]]),
        granted_then(&[&[0; 16], &[0; 16], &[0; 16]]),
        granted_then(&[&of_a_reply]),
    ];
    let ask_twice = nonsense.map(|bytes| async {
        let address = saying(bytes).await;
        let registry = registry_within(Duration::from_secs(1), &address);
        for _ in 0..2 {
            let started = Instant::now();
            let error = registry.find(ClusterGlob::new("*")).await.unwrap_err();
            check_unreachable(&error, started, &[&address]);
        }
    });
    futures::future::join_all(ask_twice).await;
}

#[tokio::test]
async fn changes_end_with_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = registry_within(Duration::from_secs(1), &listener.local_addr().unwrap().to_string());
    let mut changes = registry.changes(ClusterGlob::new("*"));
    assert!(matches!(changes.next().await, Some(Err(RegistryError::Unreachable(_)))));
    assert_eq!(changes.next().await, None);
}

#[tokio::test]
async fn many_questions_wait_together() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (registry, started) =
        (registry_within(Duration::from_secs(1), &listener.local_addr().unwrap().to_string()), Instant::now());
    let questions = (0..2_000).map(|_| registry.find(ClusterGlob::new("*")));
    for answer in futures::future::join_all(questions).await {
        check_unreachable(&answer.unwrap_err(), started, &["within 1 s"]);
    }
}

#[test]
fn addresses_are_checked_before_anything_runs() {
    let error = ZooKeeperRegistry::new(ZooKeeperConfig::new("h:x")).unwrap_err();
    assert_eq!(error.to_string(), "ZooKeeper address `h:x` does not read as `<host>[:<port>][,<host>[:<port>]...]`");
}
