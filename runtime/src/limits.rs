//! What a run may use.

use std::time::Duration;

/// The fence of one run. Reaching a limit ends the run, except memory and tables, where the guest is refused more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of the run together.
    pub memory_bytes: usize,
    /// Elements of all tables of the run together.
    pub table_elements: usize,
    /// Core instances of the run.
    pub instances: usize,
    /// From start to end, waiting included.
    pub wall: Duration,
    /// Processor time of the guest itself; waiting for the host is free.
    pub cpu: Duration,
    /// Standard output and standard error together; a change between the two costs 64 bytes.
    pub output_bytes: usize,
    /// Files in the working folder. Looked at four times a second, so a run may overshoot by what it writes in that time.
    pub folder_bytes: u64,
    /// Files and folders in the working folder, looked at likewise.
    pub folder_entries: u64,
    /// What one call may hand to the host, in bytes.
    pub hostcall_bytes: usize,
    /// Handles (streams, tasks, files, pollables) held at once.
    pub handles: usize,
    /// Calls of the contract's functions under way at once.
    pub calls: usize,
    /// Streams of the contract (changes of the registry, Marathon's events) followed at once.
    pub streams: usize,
}

const MIB: usize = 1 << 20;

impl Limits {
    /// For tools: 256 MiB, 10 minutes, 30 s of processor time.
    #[must_use]
    pub const fn tool() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            table_elements: 1_000_000,
            instances: 200,
            wall: Duration::from_secs(10 * 60),
            cpu: Duration::from_secs(30),
            output_bytes: 16 * MIB,
            folder_bytes: 256 * MIB as u64,
            folder_entries: 10_000,
            hostcall_bytes: 32 * MIB,
            handles: 10_000,
            calls: 1_000,
            streams: 100,
        }
    }

    /// For tools that wait for pods to come and go: 1 hour.
    #[must_use]
    pub const fn long_tool() -> Self {
        Self { wall: Duration::from_secs(60 * 60), ..Self::tool() }
    }

    /// For one call of a pod's model: 64 MiB, 60 s, 10 s of processor time, 1 MiB of output.
    #[must_use]
    pub const fn model() -> Self {
        Self {
            memory_bytes: 64 * MIB,
            table_elements: 100_000,
            wall: Duration::from_secs(60),
            cpu: Duration::from_secs(10),
            output_bytes: MIB,
            hostcall_bytes: 16 * MIB,
            handles: 1_000,
            ..Self::tool()
        }
    }

    /// For jobs: 6 hours, 10 minutes of processor time.
    #[must_use]
    pub const fn job() -> Self {
        Self { wall: Duration::from_secs(6 * 60 * 60), cpu: Duration::from_secs(10 * 60), ..Self::tool() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::tool()
    }
}
