//! What waits to be sent to one client.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Replies and events for one connection, in the order in which they happened.
///
/// Whoever changes the tree fills it while the state is locked; the connection's task empties it.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<BytesMut>,
    filled: Notify,
    limit: usize,
    /// Ends the connection: the session is over or moved on, or the client does not read.
    kill: CancellationToken,
}

impl Outbox {
    pub(super) fn new(limit: usize, kill: CancellationToken) -> Self {
        Self { waiting: Mutex::default(), filled: Notify::new(), limit, kill }
    }

    fn lock(&self) -> MutexGuard<'_, BytesMut> {
        // Appending and taking leave whole bytes behind whatever happens.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a reply, which may be as long as it needs to be: the client waits for it.
    pub(super) fn reply(&self, put: impl FnOnce(&mut BytesMut)) {
        put(&mut self.lock());
        self.filled.notify_one();
    }

    /// Appends an event. A client that lets too many of them wait is let go: it would miss some otherwise.
    pub(super) fn event(&self, put: impl FnOnce(&mut BytesMut)) {
        let mut waiting = self.lock();
        put(&mut waiting);
        if waiting.len() > self.limit {
            waiting.clear();
            self.kill.cancel();
        }
        drop(waiting);
        self.filled.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut *self.lock()).freeze()
    }

    /// Waits until something waits.
    pub(super) async fn filled(&self) {
        while self.len() == 0 {
            self.filled.notified().await;
        }
    }

    pub(super) fn kill(&self) {
        self.kill.cancel();
    }

    /// Waits until the connection is to end.
    pub(super) async fn killed(&self) {
        self.kill.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(limit: usize) -> Outbox {
        Outbox::new(limit, CancellationToken::new())
    }

    #[test]
    fn a_client_that_does_not_read_is_let_go() {
        let outbox = outbox(8);
        outbox.event(|out| out.extend_from_slice(&[0; 8]));
        assert!(!outbox.kill.is_cancelled());
        outbox.event(|out| out.extend_from_slice(&[0]));
        assert!(outbox.kill.is_cancelled());
        assert_eq!(outbox.len(), 0);
    }

    #[tokio::test]
    async fn order_is_kept() {
        let outbox = outbox(1);
        outbox.event(|out| out.extend_from_slice(b"e"));
        outbox.reply(|out| out.extend_from_slice(b"reply"));
        outbox.filled().await;
        assert_eq!(&outbox.take()[..], b"ereply");
        assert_eq!(outbox.len(), 0);
    }
}
