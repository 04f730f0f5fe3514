//! Masters of every temper, on real sockets.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use ocho_runtime::host::{MarathonError, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What a request looked like: `POST /v2/apps?x [content-type] body`.
type Seen = Arc<Mutex<Vec<String>>>;
type Answer = Arc<dyn Fn() -> Response + Send + Sync>;

async fn record(State((seen, answer)): State<(Seen, Answer)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| parts.headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
    let (kind, accept) = (header("content-type"), header("accept"));
    let line = format!("{} {} [{kind} {accept}] {}", parts.method, parts.uri, String::from_utf8_lossy(&body));
    seen.lock().unwrap().push(line);
    if let Some(user) = parts.headers.get("authorization") {
        seen.lock().unwrap().push(user.to_str().unwrap().to_owned());
    }
    answer()
}

/// A master that gives this answer to everything; gives its address and what it saw.
async fn master(answer: impl Fn() -> Response + Send + Sync + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, answer): (Seen, Answer) = (Arc::default(), Arc::new(answer));
    let router = Router::new().fallback(record).with_state((Arc::clone(&seen), answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

async fn saying(status: u16, body: &'static str) -> (String, Seen) {
    master(move || (StatusCode::from_u16(status).unwrap(), body).into_response()).await
}

/// A master that reads a request, sends these bytes and closes, or stays silent where there are none.
async fn raw(bytes: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(bytes).await;
                if bytes.is_empty() {
                    let _ = stream.read(&mut [0; 4096]).await;
                }
            });
        }
    });
    (address, asked)
}

fn closed() -> String {
    crate::net::nobody().to_string()
}

/// Too short for anything but to run out.
const HASTY: Duration = Duration::from_millis(600);

fn client(masters: &[&str]) -> MarathonClient {
    within(Duration::from_secs(60), masters)
}

/// One whose calls may take so long in all.
fn within(timeout: Duration, masters: &[&str]) -> MarathonClient {
    MarathonClient::new(MarathonConfig { timeout, ..MarathonConfig::new(masters.iter().copied()) }).unwrap()
}

fn lines(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut seen.lock().unwrap())
}

/// A change, and how it went.
async fn change(client: &MarathonClient) -> MarathonResult<Deployment> {
    client.update_app("a".to_owned(), "{}".to_owned(), false).await
}

const DEPLOYED: &str = r#"{"version": "2020-01-01T00:00:00.000Z", "deploymentId": "d"}"#;

#[tokio::test]
async fn what_is_sent() {
    let (address, seen) = saying(200, DEPLOYED).await;
    let client = client(&[&address]);
    let text = |text: &str| text.to_owned();
    client.apps(vec![(text("label"), text("a==b c")), (text("embed"), text("apps.tasks"))]).await.unwrap();
    client.app(text("/prod/web")).await.unwrap();
    client.version(text("web"), text("2020-01-01T00:00:00.000Z")).await.unwrap();
    client.tasks(Some(text("web"))).await.unwrap();
    client.tasks(None).await.unwrap();
    client.deployments().await.unwrap();
    client.queue().await.unwrap();
    client.create_app(text("{\"id\": \"a\"}")).await.unwrap();
    client.update_app(text("a?b"), text("{\"instances\": 2}"), true).await.unwrap();
    client.restart_app(text("a"), false).await.unwrap();
    client.delete_app(text("a"), false).await.unwrap();
    client.kill_tasks(vec![text("a.1"), text("b\".2")], true, false).await.unwrap();
    client.kill_tasks(vec![], false, false).await.unwrap();
    client.kill_tasks(vec![], true, true).await.unwrap();
    client.cancel_deployment(text("d/../e"), true).await.unwrap();
    assert_eq!(
        lines(&seen),
        [
            "GET /v2/apps?label=a%3D%3Db+c&embed=apps.tasks [- application/json] ",
            "GET /v2/apps/prod/web [- application/json] ",
            "GET /v2/apps/web/versions/2020-01-01T00%3A00%3A00.000Z [- application/json] ",
            "GET /v2/apps/web/tasks [- application/json] ",
            "GET /v2/tasks [- application/json] ",
            "GET /v2/deployments [- application/json] ",
            "GET /v2/queue [- application/json] ",
            "POST /v2/apps [application/json application/json] {\"id\": \"a\"}",
            "PUT /v2/apps/a%3Fb?force=true [application/json application/json] {\"instances\": 2}",
            "POST /v2/apps/a/restart?force=false [- application/json] ",
            "DELETE /v2/apps/a?force=false [- application/json] ",
            r#"POST /v2/tasks/delete?scale=true [application/json application/json] {"ids":["a.1","b\".2"]}"#,
            r#"POST /v2/tasks/delete [application/json application/json] {"ids":[]}"#,
            r#"POST /v2/tasks/delete?scale=true&wipe=true [application/json application/json] {"ids":[]}"#,
            "DELETE /v2/deployments/d%2F..%2Fe?force=true [- application/json] ",
        ]
    );
}

#[tokio::test]
async fn an_id_that_would_leave_its_path_is_not_sent() {
    let (address, seen) = saying(200, DEPLOYED).await;
    let client = client(&[&address]);
    for id in ["../info", "a/../../leader", ".."] {
        assert!(matches!(client.delete_app(id.to_owned(), true).await, Err(MarathonError::Invalid(_))));
        assert!(matches!(client.tasks(Some(id.to_owned())).await, Err(MarathonError::Invalid(_))));
    }
    assert!(matches!(client.version("a".to_owned(), "..".to_owned()).await, Err(MarathonError::Invalid(_))));
    assert!(lines(&seen).is_empty());
    client.version("a".to_owned(), "../../../info".to_owned()).await.unwrap();
    assert_eq!(lines(&seen), ["GET /v2/apps/a/versions/..%2F..%2F..%2Finfo [- application/json] "]);
}

#[tokio::test]
async fn versions_come_newest_first() {
    let (address, _) = saying(200, r#"{"versions": ["2020-01-01T00:00:00.000Z", "2021-05-01T00:00:00.000Z", 7]}"#).await;
    let versions = client(&[&address]).versions("a".to_owned()).await.unwrap();
    assert_eq!(versions, ["2021-05-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"]);
    let (address, _) = saying(200, "[]").await;
    assert!(matches!(client(&[&address]).versions("a".to_owned()).await, Err(MarathonError::Other(_))));
}

#[tokio::test]
async fn reads_and_changes_go_on_to_a_master_that_lives() {
    let (address, seen) = saying(200, DEPLOYED).await;
    let down = closed();
    let client = client(&[&down, &address]);
    for _ in 0..2 {
        assert_eq!(change(&client).await.unwrap().id, "d");
        assert!(client.queue().await.is_ok());
    }
    assert_eq!(lines(&seen).len(), 4);
}

#[tokio::test]
async fn nobody_there() {
    let (one, other) = (closed(), closed());
    for error in [client(&[&one, &other]).queue().await.unwrap_err(), change(&client(&[&one, &other])).await.unwrap_err()] {
        let text = format!("no answer from Marathon at `{one},{other}`: {one}: connection refused; {other}: connection refused");
        assert_eq!(error, MarathonError::Unreachable(text));
    }
}

#[tokio::test]
async fn reads_pass_by_a_master_that_hangs_or_cannot_now() {
    let (hanging, asked) = raw(b"").await;
    let (unavailable, _) = saying(503, "").await;
    let (garbage, _) = raw(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let (cut, _) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}").await;
    let (page, _) = saying(200, "<html>welcome</html>").await;
    let (good, _) = saying(200, "{}").await;
    for bad in [&hanging, &unavailable, &garbage, &cut, &page] {
        let client = within(Duration::from_secs(8), &[bad, &good]);
        assert_eq!(client.queue().await.as_deref(), Ok("{}"), "{bad}");
        assert_eq!(client.queue().await.as_deref(), Ok("{}"), "{bad}");
    }
    // The second time the good one was asked first.
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_master_that_hangs_is_not_waited_for_for_ever() {
    let (hanging, asked) = raw(b"").await;
    let client = within(HASTY, &[&hanging]);
    let late = MarathonError::TimedOut(HASTY);
    assert_eq!(client.queue().await, Err(late.clone()));
    assert_eq!(change(&client).await, Err(late.clone()));
    assert_eq!(client.events(vec![]).next().await, Some(Err(late)));
    // The last one may not have been accepted yet.
    let all = async {
        while asked.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("each was asked");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_change_that_may_have_arrived_is_not_repeated() {
    let (good, seen) = saying(200, DEPLOYED).await;
    let (hanging, _) = raw(b"").await;
    assert_eq!(change(&within(HASTY, &[&hanging, &good])).await, Err(MarathonError::TimedOut(HASTY)));
    for bytes in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", b"\r\n"] {
        let (bad, asked) = raw(bytes).await;
        let error = change(&client(&[&bad, &good])).await.unwrap_err();
        assert!(error.to_string().contains("nobody knows whether Marathon made the change"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
    for status in [500, 502, 503, 504] {
        let (bad, asked) = saying(status, r#"{"message": "not now"}"#).await;
        let refusal = Refusal { status, message: "not now".to_owned(), body: r#"{"message": "not now"}"#.to_owned() };
        assert_eq!(change(&client(&[&bad, &good])).await, Err(MarathonError::Refused(refusal)));
        assert_eq!(lines(&asked).len(), 1);
    }
    assert!(lines(&seen).is_empty());
}

#[tokio::test]
async fn masters_that_all_cannot_now_have_their_answer_told() {
    let (one, _) = saying(503, r#"{"message": "no leader"}"#).await;
    let other = closed();
    let error = client(&[&one, &other]).queue().await.unwrap_err();
    assert!(matches!(&error, MarathonError::Refused(Refusal { status: 503, .. })), "{error:?}");
    let error = client(&[&one]).events(vec![]).next().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no leader");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let locked = r#"{"message": "App is locked", "deployments": [{"id": "x"}, {"id": "y"}]}"#;
    let (address, _) = saying(409, locked).await;
    assert_eq!(change(&client(&[&address])).await, Err(MarathonError::Locked(vec!["x".to_owned(), "y".to_owned()])));
    let (address, _) = saying(404, r#"{"message": "App '/a' does not exist"}"#).await;
    let error = client(&[&address]).app("a".to_owned()).await.unwrap_err();
    assert_eq!(error, MarathonError::NotFound("App '/a' does not exist".to_owned()));
    let (address, _) = saying(202, "").await;
    assert_eq!(client(&[&address]).cancel_deployment("d".to_owned(), true).await, Ok(()));
}

#[tokio::test]
async fn answers_are_bounded() {
    let (address, _) = saying(200, r#"{"a": "01234567890123456789"}"#).await;
    let config = MarathonConfig { body_bytes: 20, ..MarathonConfig::new([address]) };
    let error = MarathonClient::new(config).unwrap().queue().await.unwrap_err();
    assert_eq!(error, Problem::new("too-large", "Marathon's answer has more than 20 bytes").into());
}

fn redirecting(status: u16, to: String) -> impl Fn() -> Response + Send + Sync + 'static {
    move || (StatusCode::from_u16(status).unwrap(), [("location", to.clone())]).into_response()
}

#[tokio::test]
async fn redirects_to_the_leader_keep_method_and_body() {
    let (leader, seen) = saying(200, DEPLOYED).await;
    for status in [301, 302, 307, 308] {
        let (follower, _) = master(redirecting(status, format!("http://{leader}/v2/apps/a?force=false"))).await;
        let client = client(&[&follower]);
        assert_eq!(change(&client).await.unwrap().id, "d");
        assert_eq!(lines(&seen), ["PUT /v2/apps/a?force=false [application/json application/json] {}"]);
    }
    // A leader that is among the masters is asked at once from then on.
    let (follower, followed) = master(redirecting(307, format!("http://{leader}/v2/queue"))).await;
    let client = client(&[&follower, &leader]);
    for _ in 0..3 {
        client.queue().await.unwrap();
    }
    assert_eq!(lines(&followed).len(), 1);
}

#[tokio::test]
async fn redirects_that_are_not_followed() {
    let (elsewhere, seen) = saying(200, "{}").await;
    for (to, why) in [
        (format!("http://{elsewhere}/login?next=secret"), "which is not where a leader would be"),
        (format!("http://{elsewhere}/v2/queue/"), "which is not where a leader would be"),
        ("ftp://h/v2/queue".to_owned(), "which is less safe"),
        ("http://".to_owned(), "which is no address"),
    ] {
        let (master, _) = master(redirecting(302, to.clone())).await;
        let shown = to.split('?').next().unwrap();
        let text = format!("no answer from Marathon at `{master}`: {master}: redirected to `{shown}`, {why}");
        assert_eq!(client(&[&master]).queue().await, Err(MarathonError::Unreachable(text)));
    }
    assert!(lines(&seen).is_empty());
    // Without a target it is an answer like others.
    let (nowhere, _) = saying(302, "").await;
    assert_eq!(client(&[&nowhere]).queue().await.unwrap_err().to_string(), "Marathon answered 302 Found");
}

#[tokio::test]
async fn redirects_in_circles_end() {
    let own = Arc::new(Mutex::new(String::new()));
    let target = Arc::clone(&own);
    let (circling, seen) = master(move || redirecting(307, format!("http://{}/v2/apps/a", target.lock().unwrap()))()).await;
    own.lock().unwrap().clone_from(&circling);
    let error = change(&client(&[&circling])).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no answer from Marathon at `{circling}`: {circling}: redirected more than 3 times"));
    assert_eq!(lines(&seen).len(), 4);
    // Nothing was done yet, so the next master may do it.
    let (good, _) = saying(200, DEPLOYED).await;
    assert_eq!(change(&client(&[&circling, &good])).await.unwrap().id, "d");
}

#[tokio::test]
async fn credentials_go_to_masters_only() {
    let (leader, seen) = saying(200, "{}").await;
    let (follower, followed) = master(redirecting(307, format!("http://{leader}/v2/queue"))).await;
    for (credentials, header) in [
        (Credentials::Basic { user: "op".to_owned(), password: "s3cret".to_owned() }, "Basic b3A6czNjcmV0"),
        (Credentials::Bearer("t0k".to_owned()), "Bearer t0k"),
        (Credentials::Dcos("t0k".to_owned()), "token=t0k"),
    ] {
        let with = |masters: &[&str]| {
            let credentials = Some(credentials.clone());
            MarathonClient::new(MarathonConfig { credentials, ..MarathonConfig::new(masters.iter().copied()) }).unwrap()
        };
        assert!(with(&[&follower, &leader]).queue().await.is_ok());
        assert_eq!(lines(&seen)[1], header);
        let text = with(&[&follower]).queue().await.unwrap_err().to_string();
        assert!(text.ends_with("which is not among the configured masters and gets no credentials"), "{text}");
        assert!(lines(&seen).is_empty());
    }
    assert!(!lines(&followed).is_empty());
}

#[tokio::test]
async fn credentials_in_an_address_are_used_and_not_told() {
    let (address, seen) = saying(500, "").await;
    let client = client(&[&format!("http://op:s3cret@{address}")]);
    let error = client.queue().await.unwrap_err();
    assert_eq!(lines(&seen)[1], "Basic b3A6czNjcmV0");
    let down = closed();
    let config = MarathonConfig::new([format!("a@b:s3cret@{down},http://op:s3cret@{address}")]);
    let shown =
        format!("{config:?} {error:?} {error} {client:?} {:?}", MarathonClient::new(config.clone()).unwrap().queue().await);
    assert!(!shown.contains("s3cret"), "{shown}");
}

/// The address of a master that streams these portions, each when the client took the one before, and ends.
async fn streaming(portions: &[&'static str]) -> (String, Seen) {
    let portions = portions.to_vec();
    master(move || {
        let portions = futures::stream::iter(portions.clone().into_iter().map(Ok::<_, std::convert::Infallible>));
        ([("content-type", "text/event-stream;charset=utf-8")], Body::from_stream(portions)).into_response()
    })
    .await
}

#[tokio::test]
async fn events_are_followed_until_the_stream_ends() {
    let portions = [
        "event: a\r\nda",
        "ta: {\"x\": 1}\r\n\r",
        "\n\r\n:\r\n",
        "data: {\"eventType\": \"b\"}\n\ndata: ",
        "?\n\nevent: c\ndata: 1\n\n",
    ];
    let (address, seen) = streaming(&portions).await;
    let event = |kind: &str, data: &str| Ok(MarathonEvent { kind: kind.to_owned(), data: data.to_owned() });
    let ended = Err(MarathonError::Unreachable(format!("{address}: the event stream ended")));
    let all: Vec<_> = client(&[&address]).events(vec![]).collect().await;
    assert_eq!(
        all,
        [event("a", "{\"x\": 1}"), event("b", "{\"eventType\": \"b\"}"), event("", "?"), event("c", "1"), ended.clone()]
    );
    let some: Vec<_> = client(&[&address]).events(vec!["c".to_owned(), "b d".to_owned()]).collect().await;
    assert_eq!(some, [event("c", "1"), ended]);
    assert_eq!(
        lines(&seen),
        ["GET /v2/events [- text/event-stream] ", "GET /v2/events?event_type=c&event_type=b+d [- text/event-stream] "]
    );
}

#[tokio::test]
async fn events_come_from_the_leader() {
    let (leader, _) = streaming(&["event: a\ndata: 1\n\n"]).await;
    let (follower, _) = master(redirecting(302, format!("http://{leader}/v2/events"))).await;
    let (page, _) = saying(200, "{}").await;
    let mut events = client(&[&page, &follower]).events(vec![]);
    assert_eq!(events.next().await, Some(Ok(MarathonEvent { kind: "a".to_owned(), data: "1".to_owned() })));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: a\ndata: 1\n\n";
        stream.write_all(head).await.unwrap();
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
    });
    let silence = Duration::from_secs(4);
    let config = MarathonConfig { events_silence: silence, ..MarathonConfig::new([address]) };
    let events: Vec<_> = MarathonClient::new(config).unwrap().events(vec![]).collect().await;
    let first = MarathonEvent { kind: "a".to_owned(), data: "1".to_owned() };
    assert_eq!(events, [Ok(first), Err(MarathonError::TimedOut(silence))]);
}

#[tokio::test]
async fn refused_events_tell_why() {
    let (address, _) = saying(401, r#"{"message": "who are you"}"#).await;
    let events: Vec<_> = client(&[&address]).events(vec![]).collect().await;
    assert!(matches!(&events[..], [Err(MarathonError::Denied(Refusal { status: 401, .. }))]), "{events:?}");
}

#[test]
fn configurations_that_are_no_good() {
    let new = |config: MarathonConfig| MarathonClient::new(config).unwrap_err().to_string();
    assert_eq!(new(MarathonConfig::new::<String>([])), "no address of Marathon is given");
    let credentials = Some(Credentials::Bearer("a\nb".to_owned()));
    let text = "the credentials for Marathon have characters that cannot be sent";
    assert_eq!(new(MarathonConfig { credentials, ..MarathonConfig::new(["h"]) }), text);
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty, odd) = (folder.path().join("missing"), folder.path().join("empty"), folder.path().join("odd"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&odd, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for path in [missing, empty] {
        let text = format!("cannot read certificates from `{}`", path.display());
        assert_eq!(new(MarathonConfig { ca_file: Some(path), ..MarathonConfig::new(["https://h"]) }), text);
    }
    let error = MarathonClient::new(MarathonConfig { ca_file: Some(odd), ..MarathonConfig::new(["https://h"]) });
    assert!(matches!(error, Err(MarathonConfigError::CaFile { .. } | MarathonConfigError::Tls(_))));
}
