//! The pod's own life: it owns the sub-process and runs the hooks, one order at a time.

mod machine;
mod orders;
pub(crate) mod process;
mod supervision;

use std::time::Duration;

pub(crate) use machine::Lifecycle;
pub(crate) use orders::Orders;

/// How the sub-process is looked after.
#[derive(Debug, Clone)]
pub struct LifecycleSettings {
    /// Consecutive failures of the sanity check before the process is turned off.
    pub checks: u32,
    /// Between two sanity checks.
    pub check_every: Duration,
    /// After each start, failures do not count for so long, or until a check has passed; it is checked every second then.
    pub warm_up: Duration,
    /// How long the process may take to end before it is killed.
    pub grace: Duration,
    /// Copy its output, line by line, into the pod's log.
    pub pipe_output: bool,
    /// Never kill it: after `grace` it is left behind.
    pub soft: bool,
    /// Configure anew at every request of the leader, also where nothing changed.
    pub strict: bool,
    /// Configure anew when the cluster's pods are others than before.
    pub follow_peers: bool,
    /// What a crash means.
    pub on_crash: OnCrash,
    /// How long one hook may take.
    pub hook_limit: Duration,
}

/// What to do when the process ends with anything but success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCrash {
    /// Start it again: at once, then after pauses that double up to a minute. A quiet minute forgets the crashes.
    BackOff {
        /// After so many crashes in a row it is turned off; 0 for never.
        give_up_after: u32,
    },
    /// As the original does: each crash fails a sanity check, and `checks` of them turn it off.
    CountAsFailedCheck,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        Self {
            checks: 1,
            check_every: Duration::from_secs(60),
            warm_up: Duration::ZERO,
            grace: Duration::from_secs(60),
            pipe_output: false,
            soft: false,
            strict: false,
            follow_peers: false,
            on_crash: OnCrash::BackOff { give_up_after: 0 },
            hook_limit: Duration::from_secs(60),
        }
    }
}
