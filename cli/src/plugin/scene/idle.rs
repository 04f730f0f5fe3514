//! Sees when everybody on the stage waits, and lets the clock jump then.
//!
//! All of a scene runs on one thread, so that the order of things is the same every time. The thread parks when nothing is
//! left to do. Only work on files may go on meanwhile, on the one other thread of the runtime: a fence behind it in its queue
//! tells when that is done. If the guest was not polled since the fence was set, it has no work there.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};

use super::clock::VirtualClock;

/// What the thread knows when it parks.
#[derive(Debug)]
struct Idle {
    clock: Arc<VirtualClock>,
    polls: AtomicU64,
    fence: Mutex<Fence>,
}

/// How far the fence is, with the guest's polls when it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    None,
    Queued(u64),
    Passed(u64),
}

impl Idle {
    fn parked(self: &Arc<Self>) {
        let polls = self.polls.load(Ordering::Relaxed);
        let mut fence = self.fence.lock().unwrap_or_else(PoisonError::into_inner);
        match *fence {
            Fence::Queued(then) if then == polls => {}
            Fence::Passed(then) if then == polls => {
                *fence = Fence::None;
                drop(fence);
                self.clock.jump();
            }
            _ => {
                *fence = Fence::Queued(polls);
                drop(fence);
                tokio::spawn(self.clone().pass(polls));
            }
        }
    }

    async fn pass(self: Arc<Self>, polls: u64) {
        // Fails only while the runtime goes.
        let _ = tokio::task::spawn_blocking(|| ()).await;
        let mut fence = self.fence.lock().unwrap_or_else(PoisonError::into_inner);
        if *fence == Fence::Queued(polls) {
            *fence = Fence::Passed(polls);
        }
    }
}

/// A runtime whose clock jumps.
pub(crate) struct Stage {
    runtime: Runtime,
    idle: Arc<Idle>,
}

impl Stage {
    pub(crate) fn new(clock: Arc<VirtualClock>) -> std::io::Result<Self> {
        let idle = Arc::new(Idle { clock, polls: AtomicU64::new(0), fence: Mutex::new(Fence::None) });
        let watch = idle.clone();
        let runtime =
            Builder::new_current_thread().enable_time().max_blocking_threads(1).on_thread_park(move || watch.parked()).build()?;
        Ok(Self { runtime, idle })
    }

    /// Plays a guest to its end.
    pub(crate) fn play<T>(&self, guest: impl Future<Output = T>) -> T {
        self.runtime.block_on(Counted { guest: Box::pin(guest), idle: self.idle.clone() })
    }
}

/// A guest whose polls are counted.
struct Counted<F> {
    guest: Pin<Box<F>>,
    idle: Arc<Idle>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.idle.polls.fetch_add(1, Ordering::Relaxed);
        self.guest.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ocho_runtime::host::Clock as _;

    use super::*;

    #[test]
    fn hours_pass_in_no_time() {
        let clock = Arc::new(VirtualClock::new(Duration::ZERO));
        let started = Instant::now();
        let ended = Stage::new(clock.clone()).unwrap().play(async {
            for hour in 1..=100 {
                clock.wait_until(Duration::from_secs(hour * 3600)).await;
            }
            clock.now()
        });
        assert_eq!(ended, Duration::from_secs(360_000));
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn work_on_files_is_waited_for() {
        let clock = Arc::new(VirtualClock::new(Duration::ZERO));
        let order = Stage::new(clock.clone()).unwrap().play(async {
            // Real work of some milliseconds against a virtual second: the work comes first.
            let work = async {
                for _ in 0..10 {
                    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(3))).await.unwrap();
                }
                "work"
            };
            let alarm = async {
                clock.wait_until(Duration::from_secs(1)).await;
                "alarm"
            };
            tokio::select! { first = work => first, first = alarm => first }
        });
        assert_eq!((order, clock.now()), ("work", Duration::ZERO));
    }
}
