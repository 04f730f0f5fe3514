//! What one more answer means for a task.

use std::time::Duration;

use crate::scheduler::model::app::HealthCheck;
use crate::scheduler::model::task::Health;
use crate::scheduler::model::time::Timestamp;

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A failure that does not count: the task is still starting.
    Ignored,
    /// As before.
    Same,
    /// Now well, or now ill.
    Became(bool),
    /// Ill for too long.
    Kill,
}

impl Verdict {
    /// The new condition, when it is one to be told.
    pub(super) fn became(self) -> Option<bool> {
        match self {
            Self::Became(alive) => Some(alive),
            _ => None,
        }
    }
}

/// Counts an answer.
///
/// Checks of the scheduler kill with the failure after the limit was reached, those beside the task with the one that
/// reaches it: clients of the real thing see both.
pub(super) fn judge(
    check: &HealthCheck,
    health: &mut Health,
    outcome: &Result<(), String>,
    started: Timestamp,
    now: Timestamp,
) -> Verdict {
    let was_alive = health.alive;
    let Err(cause) = outcome else {
        health.first_success.get_or_insert(now);
        health.last_success = Some(now);
        health.consecutive_failures = 0;
        health.alive = true;
        return if was_alive { Verdict::Same } else { Verdict::Became(true) };
    };
    let grace = Duration::from_secs(check.grace_period_seconds.into());
    if health.first_success.is_none() && now < started.plus(grace) {
        return Verdict::Ignored;
    }
    let failures_before = health.consecutive_failures;
    health.last_failure = Some(now);
    health.last_failure_cause = Some(cause.clone());
    health.consecutive_failures = failures_before.saturating_add(1);
    health.alive = false;
    let reached = if check.protocol.is_beside_the_task() { health.consecutive_failures } else { failures_before };
    if check.max_consecutive_failures > 0 && reached >= check.max_consecutive_failures {
        return Verdict::Kill;
    }
    if was_alive { Verdict::Became(false) } else { Verdict::Same }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::model::app::HealthProtocol;

    fn check(protocol: HealthProtocol, grace_s: u32, limit: u32) -> HealthCheck {
        HealthCheck {
            command: None,
            grace_period_seconds: grace_s,
            ignore_http1xx: None,
            interval_seconds: 1,
            ip_protocol: None,
            max_consecutive_failures: limit,
            path: None,
            port: None,
            port_index: None,
            protocol,
            timeout_seconds: 1,
            delay_seconds: 0,
        }
    }

    /// One answer each second: `+` good, `-` bad.
    #[track_caller]
    fn verdicts(check: &HealthCheck, answers: &str, want: &[Verdict]) -> Health {
        let mut health = Health::default();
        let outcome = |sign| if sign == '+' { Ok(()) } else { Err("no".to_owned()) };
        let got: Vec<Verdict> = answers
            .chars()
            .enumerate()
            .map(|(second, sign)| judge(check, &mut health, &outcome(sign), Timestamp(0), Timestamp(second as i64 * 1000)))
            .collect();
        assert_eq!(got, want);
        health
    }

    use Verdict::{Became, Ignored, Kill, Same};

    #[test]
    fn grace_lasts_until_the_first_success() {
        let http = check(HealthProtocol::Http, 3, 9);
        let health = verdicts(&http, "--+-", &[Ignored, Ignored, Became(true), Became(false)]);
        assert_eq!((health.consecutive_failures, health.alive), (1, false));
        verdicts(&http, "----", &[Ignored, Ignored, Ignored, Same]);
    }

    #[test]
    fn the_two_kinds_count_differently() {
        verdicts(&check(HealthProtocol::Http, 0, 2), "+---", &[Became(true), Became(false), Same, Kill]);
        verdicts(&check(HealthProtocol::Command, 0, 2), "+--", &[Became(true), Became(false), Kill]);
        verdicts(&check(HealthProtocol::Tcp, 0, 0), "-----", &[Same; 5]);
        verdicts(&check(HealthProtocol::Http, 0, 2), "--+--", &[Same, Same, Became(true), Became(false), Same]);
    }
}
