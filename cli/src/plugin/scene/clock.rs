//! A clock that jumps to the next moment at which somebody wants to go on.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use ocho_runtime::host::Clock;
use tokio::sync::oneshot;

/// Time that passes only when everybody waits.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    /// Time of day at its start, since 1970.
    start: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    waiting: Vec<(Duration, oneshot::Sender<()>)>,
}

impl VirtualClock {
    /// A clock that starts at this time of day.
    pub(crate) fn new(start: Duration) -> Self {
        Self { start, state: Mutex::default() }
    }

    /// Jumps to the next moment that somebody waits for, if anybody does.
    pub(crate) fn jump(&self) {
        let mut state = self.lock();
        state.waiting.retain(|(_, waker)| !waker.is_closed());
        let Some(next) = state.waiting.iter().map(|(moment, _)| *moment).min() else { return };
        state.now = state.now.max(next);
        let (due, later) = std::mem::take(&mut state.waiting).into_iter().partition(|(moment, _)| *moment <= next);
        state.waiting = later;
        drop(state);
        let due: Vec<(Duration, oneshot::Sender<()>)> = due;
        for (_, waker) in due {
            // Whoever waited may have gone meanwhile.
            let _ = waker.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.lock().now
    }

    fn time_of_day(&self) -> Duration {
        self.start + self.now()
    }

    fn wait_until(&self, moment: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.lock();
        if state.now >= moment {
            return futures::future::ready(()).boxed();
        }
        let (waker, woken) = oneshot::channel();
        state.waiting.push((moment, waker));
        // The clock may go before the one who waits; then nobody is left to be told either.
        async move { woken.await.unwrap_or_default() }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_jumps_to_whoever_is_next() {
        let clock = VirtualClock::new(Duration::from_secs(1000));
        let (late, early) = (clock.wait_until(Duration::from_secs(5)), clock.wait_until(Duration::from_secs(2)));
        drop(clock.wait_until(Duration::from_secs(1)));
        clock.jump();
        early.await;
        assert_eq!(clock.now(), Duration::from_secs(2), "nobody waited for the first second any more");
        clock.wait_until(Duration::from_secs(1)).await;
        clock.jump();
        late.await;
        clock.jump();
        assert_eq!(clock.time_of_day(), Duration::from_secs(1005));
    }
}
