//! When to configure: how long a difference has to last, and how long to wait after a failure. Decides on plain values.

use std::time::{Duration, Instant};

/// A leader whose pods refuse asks them at least this often.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Without a damper the first retry follows after this time.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// Waits before a configuration.
#[derive(Debug)]
pub(crate) struct Damper {
    /// From the first difference to the configuration.
    wait: Duration,
    /// If set, each further change starts the wait again, up to this long after the first one.
    at_most: Option<Duration>,
    pending: Option<Pending>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    since: Instant,
    due: Instant,
    failures: u32,
}

impl Damper {
    pub(crate) fn new(wait: Duration, at_most: Option<Duration>) -> Self {
        Self { wait, at_most, pending: None }
    }

    /// When the next configuration is due, if one is pending.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.pending.map(|pending| pending.due)
    }

    /// The topology changed and is not the one that was configured.
    pub(crate) fn differs(&mut self, now: Instant) {
        let wait = self.wait;
        self.pending = Some(match self.pending {
            None => Pending { since: now, due: now + wait, failures: 0 },
            // Other pods than those that refused: no reason to sit the back-off out.
            Some(pending) if pending.failures > 0 => Pending { since: now, due: pending.due.min(now + wait), failures: 0 },
            Some(pending) => match self.at_most {
                None => pending,
                Some(at_most) => Pending { due: (now + wait).min(pending.since + at_most.max(wait)), ..pending },
            },
        });
    }

    /// The topology is the one that was configured.
    pub(crate) fn settled(&mut self) {
        self.pending = None;
    }

    /// An attempt failed: tries again, each time later.
    pub(crate) fn failed(&mut self, now: Instant) {
        let failures = self.pending.map_or(0, |pending| pending.failures).saturating_add(1);
        let first = self.wait.max(SHORTEST_RETRY);
        let wait = first.saturating_mul(1 << (failures - 1).min(10)).min(first.max(LONGEST_RETRY));
        self.pending = Some(Pending { since: now, due: now + wait, failures });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn due_after(damper: &Damper, start: Instant) -> Option<u64> {
        damper.due().map(|due| due.duration_since(start).as_secs())
    }

    #[test]
    fn counts_from_the_first_change() {
        let start = Instant::now();
        let mut damper = Damper::new(5 * S, None);
        assert_eq!(damper.due(), None);
        damper.differs(start);
        damper.differs(start + 3 * S);
        assert_eq!(due_after(&damper, start), Some(5));
        damper.settled();
        assert_eq!(damper.due(), None);
    }

    #[test]
    fn b46_a_quiet_period_has_a_maximum() {
        let start = Instant::now();
        let mut damper = Damper::new(5 * S, Some(12 * S));
        for (at, due) in [(0, 5), (4, 9), (8, 12), (11, 12)] {
            damper.differs(start + at * S);
            assert_eq!(due_after(&damper, start), Some(due));
        }
    }

    #[test]
    fn b42_failures_back_off_and_a_new_topology_ends_that() {
        let start = Instant::now();
        let mut damper = Damper::new(3 * S, None);
        damper.differs(start);
        for wait in [3, 6, 12, 24, 30, 30] {
            damper.failed(start);
            assert_eq!(due_after(&damper, start), Some(wait));
        }
        damper.differs(start + S);
        assert_eq!(due_after(&damper, start), Some(4));
        let mut slow = Damper::new(60 * S, None);
        slow.failed(start);
        slow.failed(start);
        assert_eq!(due_after(&slow, start), Some(60));
        let mut eager = Damper::new(Duration::ZERO, None);
        eager.failed(start);
        assert_eq!(due_after(&eager, start), Some(1));
    }
}
