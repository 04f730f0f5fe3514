//! Bodies of requests: how large one may be, how long it may take to come, and how much all of them together may hold in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long the body of an order may take to come.
pub(crate) const ORDER_TIME: Duration = Duration::from_secs(60);
/// How long one with files may take.
pub(crate) const UPLOAD_TIME: Duration = Duration::from_secs(10 * 60);

/// Bytes of all large bodies that are held at the same time.
const ALL_BYTES: usize = 128 << 20;
/// The beginning of a body is not counted: however many large ones come, there is room for small ones.
const FREE_BYTES: usize = 64 << 10;
/// What is counted is counted in pieces of this size.
const PIECE_BYTES: usize = 1 << 10;

/// Room for bodies. Clones share it.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// A body, and the room that it takes for as long as this lives.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES / PIECE_BYTES)))
    }
}

impl Room {
    /// Reads a body of at most `most` bytes: 413 for a larger one, 408 for one that is not there in time, 503 where too many large ones
    /// are held already.
    pub(crate) async fn read(&self, body: Body, most: usize, within: Duration) -> Result<Held, StatusCode> {
        timeout(within, self.read_all(body, most)).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
    }

    async fn read_all(&self, body: Body, most: usize) -> Result<Held, StatusCode> {
        let mut body = Limited::new(body, most);
        let mut bytes = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.into_data() else { continue };
            bytes.extend_from_slice(&data);
            let wanted = bytes.len().saturating_sub(FREE_BYTES).div_ceil(PIECE_BYTES);
            let more = wanted - room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            if more > 0 {
                let more = u32::try_from(more).map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
                let more = Arc::clone(&self.0).try_acquire_many_owned(more).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
            }
        }
        Ok(Held { bytes: bytes.freeze(), _room: room })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn code(room: &Room, size: usize, most: usize) -> Option<StatusCode> {
        room.read(Body::from(vec![b'x'; size]), most, ORDER_TIME).await.err()
    }

    #[tokio::test]
    async fn s08_all_bodies_together_have_a_bound_and_small_ones_always_have_room() {
        let room = Room::default();
        assert_eq!(code(&room, 11, 10).await, Some(StatusCode::PAYLOAD_TOO_LARGE));
        let large = room.read(Body::from(vec![b'x'; ALL_BYTES]), ALL_BYTES, ORDER_TIME).await.unwrap();
        assert_eq!((large.bytes.len(), code(&room, 1 << 20, 1 << 20).await), (ALL_BYTES, Some(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(code(&room, FREE_BYTES, FREE_BYTES).await, None);
        drop(large);
        assert_eq!(code(&room, 1 << 20, 1 << 20).await, None);
    }

    #[tokio::test]
    async fn s08_a_body_that_does_not_come_is_not_waited_for() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(Room::default().read(body, 10, Duration::from_millis(20)).await.err(), Some(StatusCode::REQUEST_TIMEOUT));
    }
}
