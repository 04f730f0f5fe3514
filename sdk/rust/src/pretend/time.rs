//! A clock that jumps to the next moment at which somebody wants to go on.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The time, and who waits for a later one.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) now: Duration,
    waiting: Vec<(Duration, Waker)>,
}

impl Clock {
    /// Jumps to the next moment that somebody waits for; gives who does.
    fn jump(&mut self) -> Vec<Waker> {
        let Some(next) = self.waiting.iter().map(|(at, _)| *at).min() else { return Vec::new() };
        self.now = self.now.max(next);
        let (due, later): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|(at, _)| *at <= next);
        self.waiting = later;
        due.into_iter().map(|(_, waker)| waker).collect()
    }
}

/// Waits on the pretend clock.
pub(crate) async fn pause(time: Duration) {
    struct Pause(Cell<Option<Duration>>, Duration);
    impl Future for Pause {
        type Output = ();
        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            super::with(|cluster| {
                let until = self.0.get().unwrap_or(cluster.clock.now + self.1);
                self.0.set(Some(until));
                if cluster.clock.now >= until {
                    return Poll::Ready(());
                }
                cluster.clock.waiting.push((until, context.waker().clone()));
                Poll::Pending
            })
        }
    }
    Pause(Cell::new(None), time).await;
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a future to its end; whenever it waits, the clock jumps.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(end) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return end;
        }
        if !woken.0.swap(false, Ordering::Relaxed) {
            let due = super::with(|cluster| cluster.clock.jump());
            assert!(!due.is_empty(), "the tool waits for something that never comes");
            due.into_iter().for_each(Waker::wake);
        }
    }
}
