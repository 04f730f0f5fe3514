//! A revision that runs, and how many of its runs there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ocho_core::ToolName;
use ocho_core::tools::Origin;
use ocho_runtime::{Grants, Limits, Plugin};

/// A component that is ready to run under a name.
pub struct Revision {
    /// The tool's name.
    pub tool: ToolName,
    /// Counts the revisions of this name, from 1.
    pub number: u32,
    /// SHA-256 of the component, in hexadecimal digits.
    pub digest: String,
    /// Where it comes from.
    pub origin: Origin,
    /// What it may reach.
    pub grants: Grants,
    /// Its size.
    pub wasm_bytes: u64,
    /// The component.
    pub plugin: Plugin,
    /// The fence of its runs.
    pub limits: Limits,
    /// Runs of the tool at once; none where only the host's own bound counts.
    pub(super) runs: Option<u32>,
    /// The tool's epoch when this was activated.
    pub(super) epoch: u64,
    pub(super) gate: Arc<Gate>,
}

/// What all revisions of a tool share.
#[derive(Debug, Default)]
pub(super) struct Gate {
    running: AtomicU32,
    /// Moves when a grant is taken away at once: runs of older epochs must not go on.
    epoch: AtomicU64,
}

/// As many runs of the tool as may be are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full(pub u32);

/// The place of a run under its tool's own bound. Dropping it makes room.
#[derive(Debug)]
pub struct Seat(Arc<Gate>);

impl Gate {
    pub(super) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::SeqCst);
    }
}

impl Revision {
    /// Takes a place for a run of this tool.
    ///
    /// # Errors
    /// Where its bound is reached.
    pub fn enter(&self) -> Result<Seat, Full> {
        let before = self.gate.running.fetch_add(1, Ordering::SeqCst);
        let seat = Seat(self.gate.clone());
        match self.runs {
            Some(most) if before >= most => Err(Full(most)),
            _ => Ok(seat),
        }
    }

    /// Whether something that it was granted was taken away at once since it was activated: its runs must not go on.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.epoch < self.gate.epoch.load(Ordering::SeqCst)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
