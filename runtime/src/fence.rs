//! The fence of a run: a limiter that sums over the store, and a future that counts the guest's processor time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

use crate::output::Output;
use crate::{Limits, Reason};

/// Counts memory and tables of all instances of a store together; wasmtime's own limits count each alone.
pub(crate) struct Limiter {
    memory_left: usize,
    elements_left: usize,
    instances: usize,
    pub(crate) memory_denied: bool,
    pub(crate) tables_denied: bool,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_left: limits.memory_bytes,
            elements_left: limits.table_elements,
            instances: limits.instances,
            memory_denied: false,
            tables_denied: false,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = maximum.is_none_or(|maximum| desired <= maximum);
        match self.memory_left.checked_sub(more).filter(|_| fits) {
            Some(left) => {
                self.memory_left = left;
                Ok(true)
            }
            None => {
                self.memory_denied = true;
                Ok(false)
            }
        }
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = maximum.is_none_or(|maximum| desired <= maximum);
        match self.elements_left.checked_sub(more).filter(|_| fits) {
            Some(left) => {
                self.elements_left = left;
                Ok(true)
            }
            None => {
                self.tables_denied = true;
                Ok(false)
            }
        }
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

/// A guest's future. Each poll's processor time is summed; the epoch makes sure that a poll ends within a tick.
pub(crate) struct Fenced<'a, F> {
    guest: Pin<Box<F>>,
    used: Duration,
    exact: bool,
    limit: Duration,
    output: &'a Output,
}

/// A poll that took longer than this, and all that follow, are measured by the thread's processor time. Asking the kernel for
/// it twice a poll is a good part of what a small run costs; the time of day costs next to nothing, and no poll used
/// more processor time than passed.
const SHORT: Duration = Duration::from_millis(1);

/// What the first long poll is charged at most: nobody knew before that it would be one, so only the time that passed is known,
/// and in that the machine may have done other work for seconds. The epoch brings a busy guest back after a tick or two.
const FIRST_LONG: Duration = Duration::from_millis(20);

impl<'a, F> Fenced<'a, F> {
    pub(crate) fn new(guest: F, limits: &Limits, output: &'a Output) -> Self {
        Self { guest: Box::pin(guest), used: Duration::ZERO, exact: false, limit: limits.cpu, output }
    }

    /// The guest's processor time until now.
    pub(crate) fn used(&self) -> Duration {
        self.used
    }
}

impl<F: Future> Future for Fenced<'_, F> {
    type Output = Result<F::Output, Reason>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (started, before) = (Instant::now(), self.exact.then(thread_time));
        let polled = self.guest.as_mut().poll(context);
        let passed = started.elapsed();
        self.used += before.map_or(passed.min(FIRST_LONG), |before| thread_time().saturating_sub(before));
        self.exact |= passed > SHORT;
        match polled {
            Poll::Ready(ended) => Poll::Ready(Ok(ended)),
            Poll::Pending if self.used >= self.limit => Poll::Ready(Err(Reason::OverCpu(self.limit))),
            Poll::Pending if self.output.is_over() => Poll::Ready(Err(Reason::OverOutput)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Processor time of this thread. A guest is polled on one thread at a time, and on this one until the poll returns.
fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::thread;

    use futures::task::noop_waker_ref;

    use super::*;

    #[test]
    fn a_machine_that_stands_still_is_not_the_guests_doing() {
        let limits = Limits { cpu: Duration::from_millis(30), ..Limits::tool() };
        let output = Output::new(0);
        let stalled = poll_fn(|_| {
            thread::sleep(Duration::from_millis(100));
            Poll::<()>::Pending
        });
        let mut guest = Fenced::new(stalled, &limits, &output);
        let mut context = Context::from_waker(noop_waker_ref());
        // The first poll is long before anybody knew; the second one is measured.
        for _ in 0..2 {
            assert!(Pin::new(&mut guest).poll(&mut context).is_pending(), "charged {:?}", guest.used());
        }
    }
}
