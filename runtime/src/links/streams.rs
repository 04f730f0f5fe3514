//! A stream of the host as a stream and a future of the contract: items, then why it ended.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

use crate::under_way::Place;

/// How many items wait for a slow guest before the host's stream is held back.
const ITEMS_WAITING: usize = 64;

/// Gives the guest's stream of a host's stream, and the end that follows it.
pub(super) fn follow<T, E>(
    mut items: BoxStream<'static, Result<T, E>>,
    place: Place,
) -> (Items<T>, impl Future<Output = wasmtime::Result<Result<(), E>>> + Send)
where
    T: Send + 'static,
    E: Send + 'static,
{
    let (to_guest, waiting) = mpsc::channel(ITEMS_WAITING);
    let (ended, end) = oneshot::channel();
    let task = tokio::spawn(async move {
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => {
                    if to_guest.send(item).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let _ = ended.send(error);
                    return;
                }
            }
        }
    });
    let items = Items { waiting, _owner: AbortOnDropHandle::new(task), _place: place };
    // A guest that drops the stream ends the task, and with it the sender: that is no failure.
    (items, end.map(|error| Ok(error.map_or(Ok(()), Err))))
}

/// The producer behind a guest's stream. Dropped with the stream, and the host's stream with it.
pub(super) struct Items<T> {
    waiting: mpsc::Receiver<T>,
    _owner: AbortOnDropHandle<()>,
    _place: Place,
}

impl<D, T: Send + Sync + 'static> StreamProducer<D> for Items<T> {
    type Item = T;
    type Buffer = VecBuffer<T>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, T, VecBuffer<T>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // Asked for nothing: whether there is something shows at the next read.
        let room = destination.remaining(&mut store).unwrap_or(ITEMS_WAITING).min(ITEMS_WAITING);
        if room == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut taken = Vec::new();
        match self.waiting.poll_recv_many(context, &mut taken, room) {
            Poll::Ready(0) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(_) => {
                destination.set_buffer(taken.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
