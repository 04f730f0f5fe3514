//! Pods of every temper, on real sockets.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Multipart;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use futures::stream::BoxStream;
use ocho_core::{PodSeq, Registration};
use ocho_runtime::host::{Pod, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// A registry that holds what it was given.
struct Fixed(Result<Vec<Pod>, RegistryError>);

impl Registry for Fixed {
    fn find(&self, clusters: ClusterGlob) -> BoxFuture<'_, Result<Vec<Pod>, RegistryError>> {
        let found = self.0.clone();
        async move { Ok(found?.into_iter().filter(|pod| clusters.matches(pod.id.cluster.as_str())).collect()) }.boxed()
    }

    fn changes(&self, _clusters: ClusterGlob) -> BoxStream<'static, Result<Vec<Pod>, RegistryError>> {
        stream::empty().boxed()
    }
}

fn id(seq: u32) -> PodId {
    PodId { cluster: "test.web".parse().unwrap(), seq: PodSeq(seq) }
}

/// A client for pods `#0`, `#1`, ... at these ports; port 0 is a pod without a control port.
fn client(ports: &[u16], limits: FanOut) -> PodClient {
    let pod = |(seq, port): (usize, &u16)| {
        let node = format!(r#"{{"seq": {seq}, "ip": "127.0.0.1", "port": "8080", "ports": {{"8080": {port}}}}}"#);
        Pod { id: id(u32::try_from(seq).unwrap()), registration: Registration::parse(node.as_bytes()).unwrap() }
    };
    PodClient::new(Arc::new(Fixed(Ok(ports.iter().enumerate().map(pod).collect()))), limits)
}

async fn ask(client: &PodClient, seqs: impl IntoIterator<Item = u32>, verb: Verb, within: Duration) -> Vec<PodOutcome> {
    let answers = client.ask(seqs.into_iter().map(id).collect(), verb, within).await;
    answers.into_iter().map(|answer| answer.outcome).collect()
}

fn replied(status: u16, body: &str) -> PodOutcome {
    PodOutcome::Replied { status, body: body.to_owned() }
}

fn code(outcome: &PodOutcome) -> &str {
    let PodOutcome::Other(problem) = outcome else { panic!("{outcome:?}") };
    &problem.code
}

/// A pod that connects and says nothing. It lives as long as the listener.
async fn silent() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A pod that treats each connection so.
async fn raw<F, T>(serve: F) -> u16
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// A pod that answers one request with these bytes and closes.
async fn canned(reply: impl Into<Bytes>) -> u16 {
    let reply: Bytes = reply.into();
    raw(move |mut stream| {
        let reply = reply.clone();
        async move {
            read_head(&mut stream).await;
            // The client may have enough before the end.
            let _ = stream.write_all(&reply).await;
        }
    })
    .await
}

/// Reads up to the end of a request without a body. Nothing where the connection ends before.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

async fn serve(router: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

#[tokio::test]
async fn every_pod_is_in_the_answer_and_in_its_place() {
    let good = canned("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let gone = canned("HTTP/1.1 410 Gone\r\ncontent-length: 2\r\n\r\n{}").await;
    let client = client(&[gone, 0, crate::net::nobody().port(), good], FanOut::default());
    let outcomes = ask(&client, [3, 9, 2, 1, 0, 3], Verb::Info, LONG).await;
    let refused = PodOutcome::Unreachable("connection refused".to_owned());
    let (good, gone) = (replied(200, "{}"), replied(410, "{}"));
    assert_eq!(outcomes, [good.clone(), PodOutcome::NotRegistered, refused, PodOutcome::NoControlPort, gone, good]);
}

#[tokio::test]
async fn the_original_pods_speak_http_1_0_and_close() {
    for reply in [
        "HTTP/1.0 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\nServer: x\r\n\r\n[]",
        "HTTP/1.0 200 OK\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
    ] {
        let client = client(&[canned(reply).await], FanOut::default());
        for _ in 0..3 {
            assert_eq!(ask(&client, [0], Verb::Log, LONG).await, [replied(200, "[]")], "{reply:?}");
        }
    }
}

#[tokio::test]
async fn what_is_sent() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let port = raw(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let head = read_head(&mut stream).await.unwrap();
            seen.lock().unwrap().push(head);
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{}").await.unwrap();
        }
    })
    .await;
    let client = client(&[port], FanOut::default());
    for verb in [Verb::Info, Verb::Kill] {
        ask(&client, [0], verb, Duration::from_millis(4_500)).await;
    }
    let host = format!("host: 127.0.0.1:{port}\r\n");
    for (head, path) in heads.lock().unwrap().iter().zip(["/info", "/control/kill/5"]) {
        assert!(head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains(&host) && head.contains("content-length: 0\r\n"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("content-type"), "{head}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_utf_8_are_read_with_replacements() {
    let client = client(&[canned(&b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\xff\x00"[..]).await], FanOut::default());
    assert_eq!(ask(&client, [0], Verb::Log, LONG).await, [replied(200, "a\u{fffd}\0")]);
}

#[tokio::test]
async fn a_pod_that_sends_too_much_is_cut() {
    let body = vec![b'x'; 10 << 20];
    let announced = [b"HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n".to_vec(), body.clone()].concat();
    let unannounced = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), body].concat();
    let claimed = b"HTTP/1.1 200 OK\r\ncontent-length: 1152921504606846976\r\n\r\n".to_vec();
    for reply in [announced, unannounced, claimed] {
        let client = client(&[canned(reply).await], FanOut::default());
        let outcome = &ask(&client, [0], Verb::Log, LONG).await[0];
        let expected = Problem::new("too-large", "the pod's reply has more than 8388608 bytes");
        assert_eq!(*outcome, PodOutcome::Other(expected));
    }
}

#[tokio::test]
async fn all_replies_together_are_bounded() {
    let port = canned([b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'x'; 600]].concat()).await;
    let client = client(&[port, port, port], FanOut { replies_bytes: 1_300, ..FanOut::default() });
    let outcomes = ask(&client, 0..3, Verb::Log, LONG).await;
    let cut: Vec<_> = outcomes.iter().filter(|outcome| !matches!(outcome, PodOutcome::Replied { .. })).collect();
    assert_eq!(cut.len(), 1, "{outcomes:?}");
    assert_eq!(code(cut[0]), "too-large");
}

#[tokio::test]
async fn nonsense_is_told_as_such() {
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(200_000));
    for reply in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 abc\r\n\r\n", "\0\0\0\0", huge_head.as_str()] {
        let client = client(&[canned(reply.to_owned()).await], FanOut::default());
        let outcome = &ask(&client, [0], Verb::Info, LONG).await[0];
        assert_eq!(code(outcome), "bad-reply", "{reply:.20}: {outcome:?}");
    }
    let cut = client(&[canned("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}").await], FanOut::default());
    assert_eq!(code(&ask(&cut, [0], Verb::Info, LONG).await[0]), "bad-reply");
    let mute = client(&[canned("").await], FanOut::default());
    let ended = PodOutcome::Unreachable("the connection ended before the reply".to_owned());
    assert_eq!(ask(&mute, [0], Verb::Info, LONG).await, [ended]);
}

#[tokio::test]
async fn silent_and_dripping_pods_time_out() {
    let (_silent, silent) = silent().await;
    let drip = |head: &'static [u8]| {
        raw(move |mut stream| async move {
            read_head(&mut stream).await;
            let mut bytes = head.iter().chain(std::iter::repeat(&b'x'));
            while let Some(&byte) = bytes.next()
                && stream.write_u8(byte).await.is_ok()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let (slow_head, slow_body) = (drip(b"HTTP/1.1 200 OK\r\nx: ").await, drip(b"HTTP/1.0 200 OK\r\n\r\n").await);
    let client = client(&[silent, slow_head, slow_body], FanOut::default());
    let answers = client.ask((0..3).map(id).collect(), Verb::Info, Duration::from_millis(600)).await;
    for answer in answers {
        assert_eq!(answer.outcome, PodOutcome::TimedOut, "{}", answer.pod);
        assert!(answer.elapsed >= Duration::from_millis(600) && answer.elapsed < LONG / 2, "{answer:?}");
    }
}

#[tokio::test]
async fn many_silent_pods_delay_nobody() {
    let (_silent, silent) = silent().await;
    let good = canned("HTTP/1.0 200 OK\r\n\r\n{}").await;
    let mut ports = vec![silent; 40];
    ports.push(good);
    let limits = FanOut { at_once: 2, patience: Duration::from_millis(10), ..FanOut::default() };
    let client = client(&ports, limits);
    let started = Instant::now();
    let outcomes = ask(&client, 0..41, Verb::Info, Duration::from_secs(5)).await;
    assert_eq!(outcomes[40], replied(200, "{}"));
    assert!(outcomes[..40].iter().all(|outcome| *outcome == PodOutcome::TimedOut));
    // One after the other in two places would take 100 s.
    assert!(started.elapsed() < Duration::from_secs(50), "{:?}", started.elapsed());
}

#[tokio::test]
async fn no_more_than_the_places_are_asked_at_once() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, top) = (Arc::clone(&now), Arc::clone(&most));
    let port = raw(move |mut stream| {
        let (count, top) = (Arc::clone(&count), Arc::clone(&top));
        async move {
            top.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            read_head(&mut stream).await;
            tokio::task::yield_now().await;
            count.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{}").await;
        }
    })
    .await;
    let client = client(&[port; 50], FanOut { at_once: 5, patience: LONG, ..FanOut::default() });
    let outcomes = ask(&client, 0..50, Verb::Info, LONG).await;
    assert!(outcomes.iter().all(|outcome| *outcome == replied(200, "{}")));
    assert!((1..=5).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

/// A pod that answers this many requests on a connection, then closes it without a word; counts connections.
async fn closing_after(requests: usize) -> (u16, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let port = raw(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            for _ in 0..requests {
                if read_head(&mut stream).await.is_none() {
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            }
            // The next request is read and never answered, as when a pod stops just then.
            read_head(&mut stream).await;
        }
    })
    .await;
    (port, connections)
}

#[tokio::test]
async fn connections_are_kept() {
    let (port, connections) = closing_after(100).await;
    let client = client(&[port], FanOut::default());
    for _ in 0..10 {
        assert_eq!(ask(&client, [0], Verb::Info, LONG).await, [replied(200, "{}")]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn connections_are_kept_up_to_a_bound_and_for_a_time() {
    for limits in [FanOut { kept: 0, ..FanOut::default() }, FanOut { kept_for: Duration::ZERO, ..FanOut::default() }] {
        let (port, connections) = closing_after(100).await;
        let client = client(&[port], limits);
        for _ in 0..3 {
            assert_eq!(ask(&client, [0], Verb::Info, LONG).await, [replied(200, "{}")]);
        }
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced() {
    let (port, connections) = closing_after(1).await;
    let client = client(&[port], FanOut::default());
    for _ in 0..4 {
        assert_eq!(ask(&client, [0], Verb::Off, LONG).await, [replied(200, "{}")]);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn orders_that_must_not_come_twice_get_a_connection_of_their_own() {
    let exec = || Verb::Exec { command_line: "run".to_owned(), files: vec![] };
    for verb in [exec(), Verb::Reregister] {
        let (port, connections) = closing_after(100).await;
        let client = client(&[port], FanOut::default());
        for ask_first in [Verb::Info, verb.clone(), verb] {
            assert_eq!(ask(&client, [0], ask_first, LONG).await, [replied(200, "{}")]);
        }
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn exec_hands_on_the_line_and_the_files() {
    let tool = |headers: HeaderMap, mut parts: Multipart| async move {
        let mut seen = format!("{:?}", headers["x-shell"]);
        while let Some(part) = parts.next_field().await.unwrap() {
            let (name, file) = (part.name().unwrap().to_owned(), part.file_name().unwrap().to_owned());
            seen += &format!(" | {name} {file} {:?}", part.bytes().await.unwrap());
        }
        seen
    };
    let port = serve(Router::new().route("/exec", post(tool))).await;
    let files = vec![
        Upload { name: "a.yml".to_owned(), content: Bytes::from_static(b"x: 1\r\n--\0\xff") },
        Upload { name: "sub/b \"c\"".to_owned(), content: Bytes::new() },
    ];
    let verb = Verb::Exec { command_line: "run a.yml 'b c'".to_owned(), files };
    let seen = r#""run a.yml 'b c'" | a.yml a.yml b"x: 1\r\n--\0\xff" | sub/b %22c%22 sub/b %22c%22 b"""#;
    assert_eq!(ask(&client(&[port], FanOut::default()), [0], verb, LONG).await, [replied(200, seen)]);
}

#[tokio::test]
async fn exec_without_files_sends_no_form_and_signals_send_json() {
    let echo = |headers: HeaderMap, body: String| async move {
        (StatusCode::ACCEPTED, format!("{:?} {:?} {body}", headers.get("x-shell"), headers.get("content-type")))
    };
    let port = serve(Router::new().route("/exec", post(echo)).route("/control/signal/30", post(echo))).await;
    let client = client(&[port], FanOut::default());
    let exec = Verb::Exec { command_line: "run".to_owned(), files: vec![] };
    assert_eq!(ask(&client, [0], exec, LONG).await, [replied(202, r#"Some("run") None "#)]);
    let signal = Verb::Signal(r#"{"a": 1}"#.to_owned());
    let echoed = r#"None Some("application/json") {"a": 1}"#;
    assert_eq!(ask(&client, [0], signal, LONG).await, [replied(202, echoed)]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_for_every_pod() {
    let (_silent, silent) = silent().await;
    let verb = Verb::Exec { command_line: "a\nb".to_owned(), files: vec![] };
    let outcomes = ask(&client(&[silent, silent], FanOut::default()), 0..2, verb, LONG).await;
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), ["bad-request"; 2]);

    let down = Fixed(Err(RegistryError::Unreachable("no answer from x".to_owned())));
    let client = PodClient::new(Arc::new(down), FanOut::default());
    let problem = Problem::new("registry-unreachable", "no answer from x");
    assert_eq!(ask(&client, [0], Verb::Info, LONG).await, [PodOutcome::Other(problem)]);
    assert!(ask(&client, [], Verb::Info, LONG).await.is_empty());
}

#[tokio::test]
async fn whoever_goes_away_leaves_no_connection_behind() {
    let (listener, port) = silent().await;
    let client = client(&[port], FanOut::default());
    let question = client.ask(vec![id(0)], Verb::Info, LONG);
    let mut stream = tokio::select! {
        _ = question => panic!("nobody answered"),
        accepted = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await.unwrap();
            stream
        } => accepted,
    };
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}
