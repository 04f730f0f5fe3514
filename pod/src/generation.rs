//! Who leads, and for which topology it configures: what lets a pod tell a leader of yesterday from the one of today.

use serde_json::{Value, json};

/// Sent by our leaders in the body of every control request, under `generation`. Original pods pass over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation {
    /// Transaction in which the registry created the leader's lock node: grows from leader to leader.
    pub(crate) epoch: i64,
    /// Counts the topologies that this leader configures. A retry for the same topology keeps it.
    pub(crate) run: u64,
}

impl Generation {
    /// Reads what [`Generation::to_json`] wrote.
    #[must_use]
    pub(crate) fn read(value: &Value) -> Option<Self> {
        Some(Self { epoch: value.get("epoch")?.as_i64()?, run: value.get("run")?.as_u64()? })
    }

    /// The member of a control request's body.
    #[must_use]
    pub(crate) fn to_json(self) -> Value {
        json!({"epoch": self.epoch, "run": self.run})
    }
}

/// Refuses the orders of leaders that were deposed.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    highest: Option<Generation>,
}

impl Fence {
    /// Whether an order may be followed. What no generation stands in (original leaders, people) always may.
    pub(crate) fn admits(&mut self, generation: Option<Generation>) -> bool {
        let Some(generation) = generation else { return true };
        if self.highest.is_some_and(|highest| generation < highest) {
            return false;
        }
        self.highest = Some(generation);
        true
    }

    /// Notes that this pod registered in transaction `zxid`.
    ///
    /// Transactions only grow, so an epoch above it belongs to a registry that was lost and started anew.
    pub(crate) fn registered(&mut self, zxid: i64) {
        if self.highest.is_some_and(|highest| highest.epoch > zxid) {
            self.highest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(epoch: i64, run: u64) -> Option<Generation> {
        Some(Generation { epoch, run })
    }

    #[test]
    fn b38_a_deposed_leader_is_refused() {
        let mut fence = Fence::default();
        assert!(fence.admits(generation(10, 1)));
        assert!(fence.admits(generation(10, 1)), "a retry");
        assert!(fence.admits(generation(20, 0)), "the next leader");
        assert!(!fence.admits(generation(10, 2)), "the one before");
        assert!(fence.admits(None), "an original leader does not say");
    }

    #[test]
    fn a_registry_that_starts_anew_lowers_the_fence() {
        let mut fence = Fence::default();
        assert!(fence.admits(generation(1000, 1)));
        fence.registered(2000);
        assert!(!fence.admits(generation(999, 1)));
        fence.registered(3);
        assert!(fence.admits(generation(5, 0)));
    }

    #[test]
    fn reads_back() {
        let there = Generation { epoch: -1, run: u64::MAX };
        assert_eq!(Generation::read(&there.to_json()), Some(there));
        assert_eq!(Generation::read(&json!({"epoch": 1})), None);
        assert_eq!(Generation::read(&json!([])), None);
    }
}
