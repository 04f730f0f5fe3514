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
use tokio::time::timeout;

use super::error::{Answer, ApiError};
use super::request::Request;
use crate::scheduler::engine::Engine;
use crate::scheduler::events;

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
    if !request.accepts("text/event-stream") {
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "send the header `Accept: text/event-stream`"));
    }
    let wanted: BTreeSet<String> = request.params("event_type").map(str::to_owned).collect();
    let heavy = match request.param("plan-format") {
        Some("heavy") => true,
        Some("light") => false,
        _ => engine.config.heavy_events,
    };
    let receiver = engine.listen();
    let remote = request.client.to_string();
    engine.tell(events::stream("event_stream_attached", &remote));
    let leaving = Leaving { engine: engine.clone(), remote };
    let frames = stream::unfold((receiver, leaving), move |(mut receiver, leaving)| {
        let wanted = wanted.clone();
        async move {
            loop {
                let next = tokio::select! {
                    () = leaving.engine.stop.cancelled() => return None,
                    next = timeout(HEARTBEAT, receiver.recv()) => next,
                };
                let frame = match next {
                    Err(_) => Bytes::from_static(b"\r\n"),
                    Ok(Ok(event)) if wanted.is_empty() || wanted.contains(event.kind) => {
                        Bytes::from(format!("event: {}\r\ndata: {}\r\n\r\n", event.kind, event.data(heavy)))
                    }
                    Ok(Ok(_)) => continue,
                    // Too far behind: what was missed cannot be told, so the reader has to begin anew.
                    Ok(Err(RecvError::Lagged(events_missed))) => {
                        tracing::warn!(events_missed, client = leaving.remote, "dropping a reader that is too slow");
                        return None;
                    }
                    Ok(Err(RecvError::Closed)) => return None,
                };
                return Some((Ok::<_, Infallible>(frame), (receiver, leaving)));
            }
        }
    });
    let response: Response = ([(CONTENT_TYPE, "text/event-stream;charset=UTF-8")], Body::from_stream(frames)).into_response();
    Ok(response)
}
