//! What hostile or broken clients meet, and that their neighbours do not notice.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::raw::{CREATE, EXISTS, PING, Raw, buffer, create, create_with, look, request};
use crate::server::{PATIENCE, Server, persistent, soon};

#[tokio::test]
async fn an_unknown_operation_is_told_and_the_connection_stays() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 40_000).await;
    for op in [0, 10, 20, 23, 102, 999, -1, -10, i32::MIN] {
        let reply = raw.ask(1, op, b"whatever").await;
        assert_eq!((reply.xid, reply.error), (1, -6), "operation {op}");
    }
    assert!(raw.is_alive().await);
}

#[tokio::test]
async fn a_record_that_does_not_read_is_told_and_the_connection_stays() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 40_000).await;
    let whole = create("/a", 0);
    for length in 0..whole.len() {
        assert_eq!(raw.ask(1, CREATE, &whole[..length]).await.error, -5, "{length} bytes");
    }
    let endless = [&0x7fff_ffff_i32.to_be_bytes()[..], b"/a"].concat();
    assert_eq!(raw.ask(1, EXISTS, &endless).await.error, -5);
    assert_eq!(raw.ask(1, CREATE, &whole).await.error, 0);
}

#[tokio::test]
async fn a_frame_that_is_none_ends_its_connection_alone() {
    let server = Server::start().await;
    let mut neighbour = Raw::open(&server, 40_000).await;
    let too_long = (1_i32 << 20).to_be_bytes();
    for bytes in [&too_long[..], &(-1_i32).to_be_bytes(), &i32::MAX.to_be_bytes(), &buffer(b""), &buffer(b"abc")] {
        let mut raw = Raw::open(&server, 40_000).await;
        raw.send(bytes).await;
        assert_eq!(raw.receive().await, None, "{bytes:?}");
        assert!(neighbour.is_alive().await);
    }
}

#[tokio::test]
async fn a_connection_without_a_session_does_not_stay() {
    let server = Server::with(|config| config.limits.handshake = Duration::from_millis(50)).await;
    for bytes in [&b""[..], &[0], &buffer(b"no request for a session")[..], &request(1, PING, &[])] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await.unwrap();
        let mut answer = Vec::new();
        // Reset or closed, both are an end.
        _ = soon("the end", stream.read_to_end(&mut answer)).await;
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn many_requests_at_once_are_answered_in_order() {
    let server = Server::start().await;
    let raw = Raw::open(&server, 40_000).await;
    let count = 5_000;
    let all: Vec<u8> = (0..count).flat_map(|xid| request(xid, EXISTS, &look("/", false))).collect();
    // In small pieces, so that frames are cut anywhere.
    let (mut reader, mut writer) = raw.stream.into_split();
    let sending = tokio::spawn(async move {
        for piece in all.chunks(777) {
            tokio::io::AsyncWriteExt::write_all(&mut writer, piece).await.unwrap();
        }
        writer
    });
    for xid in 0..count {
        let length = reader.read_i32().await.unwrap();
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        reader.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[..4], xid.to_be_bytes());
    }
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_full_registry_refuses_and_recovers() {
    let server = Server::with(|config| {
        config.limits.nodes = 6;
        config.limits.bytes = 2_000;
        config.limits.watches = 2;
    })
    .await;
    let mut raw = Raw::open(&server, 40_000).await;
    assert_eq!(raw.create("/1", 0).await, 0);
    assert_eq!(raw.create("/2", 0).await, 0);
    assert_eq!(raw.create("/3", 0).await, -125);
    assert_eq!(raw.ask(1, crate::raw::DELETE, &crate::raw::delete("/1")).await.error, 0);
    assert_eq!(raw.ask(1, CREATE, &create_with("/3", &[0; 3_000], 0)).await.error, -125);
    assert_eq!(raw.create("/3", 0).await, 0);
    for (path, error) in [("/2", 0), ("/3", 0), ("/4", -125)] {
        assert_eq!(raw.ask(1, EXISTS, &look(path, true)).await.error, error);
    }
    assert_eq!(raw.ask(1, EXISTS, &look("/2", false)).await.error, 0);
}

#[tokio::test]
async fn connections_and_sessions_are_counted() {
    let server = Server::with(|config| config.limits.connections = 2).await;
    let mut one = Raw::open(&server, 40_000).await;
    let two = Raw::open(&server, 40_000).await;
    let mut three = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(soon("the end", three.read(&mut [0; 8])).await.unwrap_or(0), 0);
    assert!(one.is_alive().await);
    drop(two);
    // There is room again once the server has seen the end.
    let until = tokio::time::Instant::now() + PATIENCE;
    while server_answers(&server).await.is_none() {
        assert!(tokio::time::Instant::now() < until, "no place becomes free");
    }

    let server = Server::with(|config| config.limits.sessions = 1).await;
    let mut one = Raw::open(&server, 40_000).await;
    let mut two = TcpStream::connect(server.address).await.unwrap();
    let hello = buffer(&[&[0; 28][..], &buffer(&[0; 16]), &[0]].concat()[4..]);
    tokio::io::AsyncWriteExt::write_all(&mut two, &hello).await.unwrap();
    assert_eq!(soon("the end", two.read(&mut [0; 8])).await.unwrap_or(0), 0);
    assert!(one.is_alive().await);
}

async fn server_answers(server: &Server) -> Option<()> {
    let mut stream = TcpStream::connect(server.address).await.ok()?;
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"ruok").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    (answer == "imok").then_some(())
}

#[tokio::test]
async fn a_client_that_does_not_read_its_events_is_let_go() {
    let server = Server::with(|config| config.limits.outbox_bytes = 64 << 10).await;
    let mut deaf = Raw::open(&server, 40_000).await;
    // A persistent watch on a node with a long name.
    let path = format!("/{}", "x".repeat(2_000));
    let mut busy = Raw::open(&server, 40_000).await;
    busy.create(&path, 0).await;
    let watch = [buffer(path.as_bytes()), 0_i32.to_be_bytes().to_vec()].concat();
    assert_eq!(deaf.ask(1, 106, &watch).await.error, 0);
    let set = [buffer(path.as_bytes()), buffer(b""), (-1_i32).to_be_bytes().to_vec()].concat();
    // More than what the sockets of both sides hold.
    for _ in 0..10_000 {
        assert_eq!(busy.ask(2, 5, &set).await.error, 0);
    }
    let client = server.client().await;
    client.create("/fine", b"", &persistent()).await.unwrap();
    let mut events = 0;
    while deaf.receive().await.is_some() {
        events += 1;
    }
    assert!(events < 10_000, "{events} events came, and then the end");
}

#[tokio::test]
async fn a_short_request_does_not_make_a_reply_without_end() {
    let server = Server::with(|config| config.limits.outbox_bytes = 1 << 20).await;
    let mut raw = Raw::open(&server, 40_000).await;
    raw.ask(1, CREATE, &create_with("/big", &vec![0; 500_000], 0)).await;
    let head = |op: i32, done: bool| [&op.to_be_bytes()[..], &[u8::from(done)], &(-1_i32).to_be_bytes()].concat();
    let mut reads: Vec<u8> = (0..5_000).flat_map(|_| [head(4, false), look("/big", false)].concat()).collect();
    reads.extend(head(-1, true));
    let reply = raw.ask(2, 22, &reads).await;
    assert_eq!(reply.error, 0);
    assert!(reply.body.len() < 2 << 20, "{} bytes", reply.body.len());
    assert!(raw.is_alive().await);
}

#[tokio::test]
async fn the_largest_frame_is_taken_and_one_more_byte_is_not() {
    let server = Server::start().await;
    let mut raw = Raw::open(&server, 40_000).await;
    let overhead = request(1, CREATE, &create_with("/big", b"", 0)).len() - 4;
    let data = vec![7; 0xf_ffff - overhead];
    assert_eq!(raw.ask(1, CREATE, &create_with("/big", &data, 0)).await.error, 0);
    let reply = raw.ask(2, 4, &look("/big", false)).await;
    assert_eq!(reply.body[4..4 + data.len()], data);
    let data = vec![7; data.len() + 1];
    // The server may hang up at the length, before the rest is written.
    _ = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &request(3, CREATE, &create_with("/2ig", &data, 0))).await;
    assert_eq!(raw.receive().await, None);
}
