//! `/v2/events`: what happens, as it happens.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::{Answer, ApiError};
use super::request::Request;
use crate::scheduler::engine::Engine;
use crate::scheduler::events::{self, Event};

/// A reader with more events undelivered than this is dropped.
const UNDELIVERED_MAX: usize = 1024;

/// A reader that hears nothing for so long gets a bare line end.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Tells all readers that one is gone, whatever the reason.
struct Leaving {
    engine: Arc<Engine>,
    remote: String,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.engine.tell(events::stream("event_stream_detached", &self.remote));
    }
}

/// `GET /v2/events`. Only for those who ask for exactly this kind of stream.
pub(crate) fn open(engine: &Arc<Engine>, request: &Request) -> Answer {
    if request.accepted().ne(["text/event-stream"]) {
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "send the header `Accept: text/event-stream`"));
    }
    let wanted: BTreeSet<String> = request.params("event_type").map(str::to_owned).collect();
    let heavy = match request.param("plan-format") {
        Some("heavy") => true,
        Some("light") => false,
        _ => engine.config.heavy_events,
    };
    let (events, undelivered) = mpsc::channel(UNDELIVERED_MAX);
    let remote = request.client.remote.to_string();
    let heard = engine.listen();
    engine.tell(events::stream("event_stream_attached", &remote));
    let leaving = Leaving { engine: engine.clone(), remote };
    tokio::spawn(pump(leaving, heard, events, wanted, request.client.cut.clone()));
    let frames = stream::unfold(undelivered, move |mut undelivered| async move {
        let frame = match timeout(HEARTBEAT, undelivered.recv()).await {
            Err(_) => Bytes::from_static(b"\r\n"),
            Ok(Some(event)) => Bytes::from(format!("event: {}\r\ndata: {}\r\n\r\n", event.kind, event.data(heavy))),
            Ok(None) => return None,
        };
        Some((Ok::<_, Infallible>(frame), undelivered))
    });
    let response: Response = ([(CONTENT_TYPE, "text/event-stream;charset=UTF-8")], Body::from_stream(frames)).into_response();
    Ok(response)
}

/// Carries events to one reader. The body of an answer is not asked for more while its client does not read, so somebody else
/// has to notice when it falls too far behind.
async fn pump(
    leaving: Leaving,
    mut heard: broadcast::Receiver<Arc<Event>>,
    events: mpsc::Sender<Arc<Event>>,
    wanted: BTreeSet<String>,
    cut: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            () = leaving.engine.stop.cancelled() => return,
            () = events.closed() => return,
            event = heard.recv() => event,
        };
        let in_time = match event {
            Ok(event) if wanted.is_empty() || wanted.contains(event.kind) => events.try_send(event).is_ok(),
            Ok(_) => true,
            Err(RecvError::Lagged(_)) => false,
            Err(RecvError::Closed) => return,
        };
        if !in_time {
            // What was missed cannot be told, so the reader has to begin anew.
            tracing::warn!(client = leaving.remote, "dropping a reader of events that is too slow");
            return cut.cancel();
        }
    }
}
