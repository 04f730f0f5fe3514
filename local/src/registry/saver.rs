//! Saves behind: collects changes for a moment, then writes them at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::connection::Shared;
use super::store::Store;

/// Long enough to make one write of many changes, short enough to lose little in a crash.
const COLLECT: Duration = Duration::from_millis(20);

/// A full disk does not get empty at once.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// For calls that wait on the disk.
pub(super) async fn on_a_thread<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Owns the store while the registry serves.
#[derive(Debug)]
pub(super) struct Saver {
    store: Arc<Mutex<Store>>,
    shared: Shared,
}

impl Saver {
    pub(super) fn new(store: Store, shared: Shared) -> Self {
        Self { store: Arc::new(Mutex::new(store)), shared }
    }

    /// Saves what changes, until nothing changes any more; then saves the rest.
    pub(super) async fn run(self, quiet: CancellationToken) {
        let Some(bell) = self.shared.lock().save_bell() else { return };
        while !quiet.is_cancelled() {
            tokio::select! {
                () = bell.notified() => {}
                () = quiet.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(COLLECT) => {}
                () = quiet.cancelled() => break,
            }
            if !self.save().await {
                // What was kept is to be tried again even if nothing else changes.
                bell.notify_one();
                tokio::select! {
                    () = tokio::time::sleep(REST_AFTER_FAILURE) => {}
                    () = quiet.cancelled() => break,
                }
            }
        }
        self.save().await;
    }

    /// Saves what changed so far. False: it could not, and keeps it.
    async fn save(&self) -> bool {
        let Some(batch) = self.shared.lock().take_batch() else { return true };
        let store = self.store.clone();
        let (batch, saved) = on_a_thread(move || {
            let saved = store.lock().unwrap_or_else(PoisonError::into_inner).save(&batch);
            (batch, saved)
        })
        .await;
        match saved {
            Ok(()) => true,
            Err(error) => {
                error!(%error, nodes = batch.nodes.len(), "the registry cannot save its state, it tries again");
                self.shared.lock().keep_batch(&batch);
                false
            }
        }
    }
}
