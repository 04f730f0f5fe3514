//! What a run has under way on the host: calls and streams, each with a bound, since each costs the host a task.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Limits;

/// More at once than a run may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// Calls of the contract's functions.
    #[error("made more than {0} calls without waiting for them")]
    Calls(usize),
    /// Streams of the contract.
    #[error("opened more than {0} streams of the host")]
    Streams(usize),
    /// Streams, tasks and resources of any kind.
    #[error("held more than {0} handles")]
    Handles(usize),
}

/// Places for what a run has under way.
pub(crate) struct UnderWay {
    calls: (Arc<Semaphore>, usize),
    streams: (Arc<Semaphore>, usize),
}

/// A place that is free again when this goes.
pub(crate) type Place = OwnedSemaphorePermit;

impl UnderWay {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = |most: usize| (Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))), most);
        Self { calls: places(limits.calls), streams: places(limits.streams) }
    }

    /// A place for a call. A guest that has none left is ended.
    pub(crate) fn call(&self) -> Result<Place, TooMany> {
        let (places, most) = &self.calls;
        places.clone().try_acquire_owned().map_err(|_| TooMany::Calls(*most))
    }

    /// A place for a stream, likewise.
    pub(crate) fn stream(&self) -> Result<Place, TooMany> {
        let (places, most) = &self.streams;
        places.clone().try_acquire_owned().map_err(|_| TooMany::Streams(*most))
    }
}
