//! The processor time and the memory of a process.

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// Processor time of a process so far, all its threads together.
///
/// # Panics
/// Where there is no such process.
pub(crate) fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    ticks(&stat).map(duration).expect("the kernel writes numbers")
}

/// The memory of a process that is in use now.
///
/// # Panics
/// Where there is no such process.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel writes it");
    line.trim().trim_end_matches("kB").trim().parse().expect("the kernel writes numbers")
}

/// User and system time of a line of `/proc/<pid>/stat`, in the kernel's ticks.
fn ticks(stat: &str) -> Option<u64> {
    // The name of the program stands in parentheses and may hold blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn duration(ticks: u64) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(100);
    Duration::from_millis(ticks * 1000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn reads_the_kernels_line() {
        let line = "42 (a) b) (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(ticks(line), Some(12));
        assert_eq!(ticks("42 (a S 1"), None);
        assert_eq!(ticks("42 (a) S 1"), None);
    }
}
