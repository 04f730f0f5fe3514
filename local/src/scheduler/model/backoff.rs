//! How long to wait before an application that keeps ending is launched again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::app::AppSpec;
use super::time::Timestamp;

/// The shortest pause before a launch, also where an application wants none: a task that fails at once, such as one whose port is
/// taken, would keep the scheduler busy with nothing else.
const LEAST: Duration = Duration::from_millis(100);

/// The delay of one application.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Backoff {
    pub(crate) delay_ms: u64,
    /// The next launch may happen from here on.
    pub(crate) until: Timestamp,
}

impl Backoff {
    /// The delay after one more task ended by itself.
    pub(crate) fn after_end(before: Option<Self>, spec: &AppSpec, now: Timestamp) -> Self {
        let limit_ms = u64::from(spec.max_launch_delay_seconds) * 1000;
        let delay_ms = match before.filter(|backoff| !backoff.is_forgotten(spec, now)) {
            None => u64::from(spec.backoff_seconds) * 1000,
            // Factors are at least 1 by the rules for definitions, and the cast saturates.
            Some(backoff) => (backoff.delay_ms as f64 * spec.backoff_factor) as u64,
        };
        Self::of(delay_ms.min(limit_ms), now)
    }

    /// The same delay counted from now, as after each launch: tasks of a failing application start one by one.
    #[must_use]
    pub(crate) fn rebased(self, now: Timestamp) -> Self {
        Self::of(self.delay_ms, now)
    }

    /// Whether it was not renewed for so long that it says nothing any more.
    pub(crate) fn is_forgotten(&self, spec: &AppSpec, now: Timestamp) -> bool {
        now.since(self.until) > Duration::from_secs(spec.max_launch_delay_seconds.into())
    }

    fn of(delay_ms: u64, now: Timestamp) -> Self {
        Self { delay_ms, until: now.plus(Duration::from_millis(delay_ms).max(LEAST)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_its_factor_up_to_its_limit() {
        let spec = AppSpec { backoff_seconds: 2, backoff_factor: 2.0, max_launch_delay_seconds: 7, ..AppSpec::default() };
        let mut backoff = None;
        let mut now = Timestamp(0);
        let mut delays = Vec::new();
        for _ in 0..5 {
            let next = Backoff::after_end(backoff, &spec, now);
            delays.push(next.delay_ms);
            now = next.until;
            backoff = Some(next);
        }
        assert_eq!(delays, [2000, 4000, 7000, 7000, 7000]);
    }

    #[test]
    fn is_forgotten_after_its_limit() {
        let spec = AppSpec { backoff_seconds: 2, backoff_factor: 2.0, max_launch_delay_seconds: 10, ..AppSpec::default() };
        let first = Backoff::after_end(None, &spec, Timestamp(0));
        assert_eq!(Backoff::after_end(Some(first), &spec, Timestamp(12_000)).delay_ms, 4000);
        assert_eq!(Backoff::after_end(Some(first), &spec, Timestamp(12_001)).delay_ms, 2000);
    }

    #[test]
    fn without_a_delay_there_is_a_pause() {
        let spec = AppSpec { backoff_seconds: 0, ..AppSpec::default() };
        let mut backoff = Backoff::after_end(None, &spec, Timestamp(0));
        for _ in 0..100 {
            backoff = Backoff::after_end(Some(backoff), &spec, Timestamp(0));
        }
        assert_eq!((backoff.delay_ms, backoff.until), (0, Timestamp(100)));
    }

    #[test]
    fn huge_figures_do_not_overflow() {
        let spec = AppSpec {
            backoff_seconds: u32::MAX,
            backoff_factor: f64::MAX,
            max_launch_delay_seconds: u32::MAX,
            ..AppSpec::default()
        };
        let first = Backoff::after_end(None, &spec, Timestamp::now());
        let second = Backoff::after_end(Some(first), &spec, Timestamp::now());
        assert_eq!(second.delay_ms, u64::from(u32::MAX) * 1000);
    }
}
