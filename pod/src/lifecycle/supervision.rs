//! When to look after the process and when to start it again. Decides on plain values.

use std::time::{Duration, Instant};

use crate::lifecycle::{LifecycleSettings, OnCrash};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// While it warms up a process is checked this often.
const WARMING_UP: Duration = Duration::from_secs(1);
/// A process that lived this long was no part of a crash loop.
const QUIET: Duration = Duration::from_secs(60);

/// What to do about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let it run.
    KeepRunning,
    /// Start it again after this pause.
    RestartAfter(Duration),
    /// Turn it off until somebody turns it on.
    TurnOff,
}

/// Counts crashes and failed checks.
#[derive(Debug)]
pub(crate) struct Supervision {
    checks: u32,
    check_every: Duration,
    warm_up: Duration,
    on_crash: OnCrash,
    credits: u32,
    crashes_in_a_row: u32,
    crashed_since_check: bool,
    /// Whether a check has passed since the last start.
    warm: bool,
    started: Instant,
    pub(crate) next_check: Instant,
}

impl Supervision {
    pub(crate) fn new(settings: &LifecycleSettings, now: Instant) -> Self {
        Self {
            checks: settings.checks.max(1),
            check_every: settings.check_every.max(Duration::from_millis(100)),
            warm_up: settings.warm_up,
            on_crash: settings.on_crash,
            credits: settings.checks.max(1),
            crashes_in_a_row: 0,
            crashed_since_check: false,
            warm: false,
            started: now,
            next_check: now,
        }
    }

    /// The process was started: it is checked at once.
    pub(crate) fn started(&mut self, now: Instant) {
        self.started = now;
        self.next_check = now;
        self.warm = false;
    }

    /// Somebody turned the process on or configured it: what happened before is forgotten.
    pub(crate) fn forget(&mut self) {
        self.credits = self.checks;
        self.crashes_in_a_row = 0;
        self.crashed_since_check = false;
    }

    pub(crate) fn crashes_in_a_row(&self) -> u32 {
        self.crashes_in_a_row
    }

    /// The process crashed.
    pub(crate) fn crashed(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.started) >= QUIET {
            self.crashes_in_a_row = 0;
        }
        self.crashes_in_a_row += 1;
        match self.on_crash {
            OnCrash::BackOff { give_up_after } if give_up_after > 0 && self.crashes_in_a_row >= give_up_after => Verdict::TurnOff,
            OnCrash::BackOff { .. } => Verdict::RestartAfter(pause(self.crashes_in_a_row)),
            OnCrash::CountAsFailedCheck => {
                self.crashed_since_check = true;
                Verdict::RestartAfter(FIRST_PAUSE)
            }
        }
    }

    /// A check is due. Says whether it has failed already, without being run, because of a crash.
    pub(crate) fn begin_check(&mut self, now: Instant) -> Option<Verdict> {
        self.next_check = now + self.check_every;
        std::mem::take(&mut self.crashed_since_check).then(|| self.count(false))
    }

    /// The outcome of a check.
    pub(crate) fn checked(&mut self, passed: bool, now: Instant) -> Verdict {
        if !passed && !self.warm && now.duration_since(self.started) < self.warm_up {
            self.next_check = now + self.check_every.min(WARMING_UP);
            return Verdict::KeepRunning;
        }
        self.warm |= passed;
        self.count(passed)
    }

    fn count(&mut self, passed: bool) -> Verdict {
        self.credits = if passed { self.checks } else { self.credits - 1 };
        if self.credits > 0 {
            return Verdict::KeepRunning;
        }
        self.credits = self.checks;
        Verdict::TurnOff
    }
}

/// The first crash is forgiven at once; from then on it takes longer and longer.
fn pause(crashes: u32) -> Duration {
    match crashes {
        0 | 1 => Duration::ZERO,
        more => FIRST_PAUSE.saturating_mul(1 << (more - 2).min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn supervision(checks: u32, on_crash: OnCrash) -> (Supervision, Instant) {
        let now = Instant::now();
        (Supervision::new(&LifecycleSettings { checks, on_crash, ..LifecycleSettings::default() }, now), now)
    }

    #[test]
    fn b03_one_crash_is_followed_by_a_restart_and_nothing_else() {
        let (mut supervision, now) = supervision(1, OnCrash::BackOff { give_up_after: 0 });
        assert_eq!(supervision.crashed(now + S), Verdict::RestartAfter(Duration::ZERO));
        supervision.started(now + S);
        assert_eq!(supervision.begin_check(now + S), None);
        assert_eq!(supervision.checked(true, now), Verdict::KeepRunning);
    }

    #[test]
    fn b03_a_crash_loop_slows_down() {
        let (mut supervision, now) = supervision(1, OnCrash::BackOff { give_up_after: 0 });
        for seconds in [0, 1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(supervision.crashed(now), Verdict::RestartAfter(seconds * S));
        }
        assert_eq!(supervision.crashes_in_a_row(), 9);
        assert_eq!(supervision.crashed(now + 61 * S), Verdict::RestartAfter(Duration::ZERO), "it ran for a minute");
    }

    #[test]
    fn a_limit_ends_a_crash_loop() {
        let (mut supervision, now) = supervision(1, OnCrash::BackOff { give_up_after: 2 });
        assert_eq!(supervision.crashed(now), Verdict::RestartAfter(Duration::ZERO));
        assert_eq!(supervision.crashed(now), Verdict::TurnOff);
        supervision.forget();
        assert_eq!(supervision.crashed(now), Verdict::RestartAfter(Duration::ZERO));
    }

    #[test]
    fn b03_the_old_meaning_can_be_chosen() {
        let (mut supervision, now) = supervision(1, OnCrash::CountAsFailedCheck);
        assert_eq!(supervision.crashed(now), Verdict::RestartAfter(S));
        assert_eq!(supervision.begin_check(now), Some(Verdict::TurnOff));
        let (mut three, now) = self::supervision(3, OnCrash::CountAsFailedCheck);
        for verdict in [Verdict::KeepRunning, Verdict::KeepRunning, Verdict::TurnOff] {
            three.crashed(now);
            assert_eq!(three.begin_check(now), Some(verdict));
        }
        assert_eq!(three.begin_check(now), None);
    }

    #[test]
    fn failed_checks_turn_off_and_a_passed_one_restores_credit() {
        let (mut supervision, now) = supervision(3, OnCrash::BackOff { give_up_after: 0 });
        let verdicts: Vec<Verdict> =
            [false, false, true, false, false, false].map(|passed| supervision.checked(passed, now)).into();
        assert_eq!(verdicts[..5], [Verdict::KeepRunning; 5]);
        assert_eq!(verdicts[5], Verdict::TurnOff);
    }

    #[test]
    fn failures_do_not_count_while_a_process_warms_up() {
        let now = Instant::now();
        let settings = LifecycleSettings { warm_up: 10 * S, ..LifecycleSettings::default() };
        let mut supervision = Supervision::new(&settings, now);
        supervision.started(now);
        for seconds in [0, 5, 9] {
            assert_eq!(supervision.checked(false, now + seconds * S), Verdict::KeepRunning);
            assert_eq!(supervision.next_check, now + (seconds + 1) * S);
        }
        assert_eq!(supervision.checked(false, now + 10 * S), Verdict::TurnOff, "it has had its time");
        supervision.started(now);
        assert_eq!(supervision.checked(true, now + S), Verdict::KeepRunning);
        assert_eq!(supervision.checked(false, now + 2 * S), Verdict::TurnOff, "it was warm");
    }
}
