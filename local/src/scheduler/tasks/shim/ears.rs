//! The signals that a shim listens to.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Some child changed its state.
    Child,
    /// The task is to end within its grace period.
    End,
    /// The task is to end at once.
    EndNow,
}

/// Caught, not ignored: ignored signals would stay ignored in the task.
pub(super) struct Ears {
    child: Signal,
    end: Signal,
    end_now: Signal,
    _hang_up: Signal,
    _interrupt: Signal,
}

impl Ears {
    pub(super) fn open() -> std::io::Result<Self> {
        Ok(Self {
            child: signal(SignalKind::child())?,
            end: signal(SignalKind::terminate())?,
            end_now: signal(SignalKind::user_defined2())?,
            _hang_up: signal(SignalKind::hangup())?,
            _interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.child.recv() => Heard::Child,
            _ = self.end.recv() => Heard::End,
            _ = self.end_now.recv() => Heard::EndNow,
        }
    }

    /// Waits until the task is to end, in whatever way.
    pub(super) async fn any_end(&mut self) {
        while self.next().await == Heard::Child {}
    }
}
