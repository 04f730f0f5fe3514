//! Time: how long something may take, and pauses.

use std::time::Duration;

/// Time on a clock that only goes forward.
#[must_use]
pub(crate) fn now() -> Duration {
    #[cfg(target_family = "wasm")]
    return Duration::from_nanos(wasip3::clocks::monotonic_clock::now());
    #[cfg(not(target_family = "wasm"))]
    return crate::pretend::now();
}

/// Waits; other parts of the tool go on.
pub async fn pause(time: Duration) {
    #[cfg(target_family = "wasm")]
    wasip3::clocks::monotonic_clock::wait_for(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).await;
    #[cfg(not(target_family = "wasm"))]
    crate::pretend::pause(time).await;
}

/// The end of the time that something has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// So much time from now on.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(now().saturating_add(time))
    }

    /// What is left, zero where it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.0.saturating_sub(now())
    }

    /// What is left, but no more than `at_most`.
    #[must_use]
    pub fn left_within(&self, at_most: Duration) -> Duration {
        self.left().min(at_most)
    }

    /// What one request may take: what is left, no more than `at_most`, but a second even at the very end.
    #[must_use]
    pub fn for_request(&self, at_most: Duration) -> Duration {
        self.left().max(Duration::from_secs(1)).min(at_most)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

/// Looks again and again until there is something to see, `pause` apart; none once the time is over.
///
/// The last look comes when the time is over, so that what happens in the last pause still counts.
pub async fn until<T>(deadline: Deadline, pause_between: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    loop {
        let is_last = deadline.is_over();
        if let Some(seen) = look().await {
            return Some(seen);
        }
        if is_last {
            return None;
        }
        pause(deadline.left_within(pause_between)).await;
    }
}
