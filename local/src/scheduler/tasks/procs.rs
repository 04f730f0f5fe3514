//! Processes of the machine, from `/proc`.

use std::collections::BTreeSet;
use std::fs;

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
}

/// All processes that can be seen. Those that end meanwhile are left out.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// Reads `pid (name) state parent group ...`; the name may hold anything, also brackets and blanks.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // A zombie holds nothing and cannot be ended.
    (state != "Z").then_some(Process { pid, parent, group })
}

/// Processes of some tasks, also those that left their group: the task's id stands in their environment. Whole groups of such
/// processes count, but no group by its number alone: that may belong to somebody else by now.
pub(crate) fn of_tasks(ids: &BTreeSet<String>) -> Vec<i32> {
    let marked = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut named = environment.split(|byte| *byte == 0).filter_map(|entry| entry.strip_prefix(b"MESOS_TASK_ID="));
        named.any(|id| str::from_utf8(id).is_ok_and(|id| ids.contains(id)))
    };
    let all = all();
    let groups: BTreeSet<i32> = all.iter().filter(|process| marked(process.pid)).map(|process| process.group).collect();
    let own = all.iter().find(|process| process.pid == std::process::id().cast_signed()).map(|process| process.group);
    all.iter()
        .filter(|process| groups.contains(&process.group) && Some(process.group) != own)
        .map(|process| process.pid)
        .collect()
}

/// Memory that a process has for itself, in bytes: what is not backed by a file or shared.
pub(crate) fn own_memory(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split_whitespace().skip(1).map(|field| field.parse::<u64>().ok());
    let (resident, shared) = (pages.next()??, pages.next()??);
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
    Some(resident.saturating_sub(shared) * u64::try_from(page).unwrap_or(4096))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let want = Process { pid: 7, parent: 3, group: 5 };
        assert_eq!(parse(7, "7 (a) b) (c) S 3 5 5 0"), Some(want));
        assert_eq!(parse(7, "7 (a) Z 3 5 5 0"), None);
        assert_eq!(parse(7, "garbage"), None);
    }

    #[test]
    fn this_process_is_found() {
        let own = std::process::id().cast_signed();
        assert!(all().iter().any(|process| process.pid == own));
        assert!(own_memory(own).expect("readable") > 0);
    }
}
