//! The memory that a task may have: by a control group where this machine lets us, else by looking.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::procs::{self, Process};
use crate::scheduler::engine::{Engine, Urgency};
use crate::scheduler::model::app::AppSpec;
use crate::scheduler::model::task::KillReason;
use crate::scheduler::model::time::Timestamp;

/// Less than this starts nothing; the real thing has the same floor.
const LEAST: u64 = 32 << 20;

/// How often tasks without a control group are looked at. In between a task may take more.
const LOOK: Duration = Duration::from_secs(1);

/// What a task may have, in bytes; `None` is all there is.
pub(crate) fn limit_of(spec: &AppSpec) -> Option<u64> {
    let limit = spec.resource_limits.as_ref().map(|limits| &limits["mem"]);
    let mib = match limit {
        Some(serde_json::Value::String(_)) => return None,
        Some(limit) => limit.as_f64().unwrap_or(spec.mem),
        None => spec.mem,
    };
    // The cast saturates.
    Some(((mib * f64::from(1 << 20)) as u64).max(LEAST))
}

/// Where control groups for tasks can be made.
#[derive(Debug)]
pub(crate) struct Cgroups {
    base: PathBuf,
}

impl Cgroups {
    /// Looks whether this process may make control groups with a memory limit (version 2, delegated to it).
    pub(crate) fn probe() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let found = Self::probe_at(Path::new("/sys/fs/cgroup"), &own, std::process::id());
        match &found {
            Some(groups) => tracing::info!(base = %groups.base.display(), "tasks run in control groups"),
            None => tracing::debug!("no control groups: the memory of tasks is watched"),
        }
        found
    }

    fn probe_at(root: &Path, own: &str, pid: u32) -> Option<Self> {
        let place = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let base = root.join(place);
        let has = |file: &str| {
            fs::read_to_string(base.join(file)).is_ok_and(|text| text.split_whitespace().any(|word| word == "memory"))
        };
        if !has("cgroup.controllers") {
            return None;
        }
        if !has("cgroup.subtree_control") {
            step_aside(&base, pid).ok()?;
        }
        Some(Self { base })
    }

    /// Makes a group for a task. `None` when that fails: then the task is watched.
    pub(crate) fn make(&self, task: &str, limit: u64) -> Option<PathBuf> {
        let group = self.base.join(format!("ocho-{task}"));
        let made = fs::create_dir(&group).and_then(|()| fs::write(group.join("memory.max"), limit.to_string()));
        if let Err(error) = made {
            tracing::warn!(%error, task, "cannot limit the memory of a task by a control group");
            let _ = fs::remove_dir(&group);
            return None;
        }
        // Without these the task may swap, or lose only one of its processes.
        let _ = fs::write(group.join("memory.swap.max"), "0");
        let _ = fs::write(group.join("memory.oom.group"), "1");
        Some(group)
    }
}

/// A group may have processes or groups that are limited, not both: we go into one of our own. Only when we are alone, since
/// other processes are not ours to move.
fn step_aside(base: &Path, pid: u32) -> io::Result<()> {
    let procs = fs::read_to_string(base.join("cgroup.procs"))?;
    if procs.split_whitespace().ne([pid.to_string().as_str()]) {
        return Err(io::Error::other("there are other processes"));
    }
    let aside = base.join("ocho-host");
    match fs::create_dir(&aside) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::write(aside.join("cgroup.procs"), pid.to_string())?;
    fs::write(base.join("cgroup.subtree_control"), "+memory").inspect_err(|_| {
        let _ = fs::write(base.join("cgroup.procs"), pid.to_string());
        let _ = fs::remove_dir(&aside);
    })
}

/// Whether the kernel ended somebody in a group because its memory was used up.
pub(crate) fn was_exhausted(group: &Path) -> bool {
    let events = fs::read_to_string(group.join("memory.events")).unwrap_or_default();
    events.lines().filter_map(|line| line.split_once(' ')).any(|(name, count)| name == "oom_kill" && count.trim() != "0")
}

/// Watches tasks that have no control group, until `stop`.
pub(crate) async fn watch(engine: Arc<Engine>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let limits = engine.watched_memory();
        if limits.is_empty() {
            continue;
        }
        let Ok(over) = tokio::task::spawn_blocking(move || look(&limits)).await else { continue };
        for (task, used, limit) in over {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let message = format!("Memory limit exceeded: {} MiB in use, {} MiB allowed", mib(used), mib(limit));
            tracing::warn!(task, used_bytes = used, limit_bytes = limit, "a task uses more memory than it may");
            engine.change(|state| state.kill_task(&task, KillReason::OverMemory(message), false, Timestamp::now()));
            engine.order(&task, Urgency::Now);
        }
    }
}

/// What is watched of a task.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) task: String,
    pub(crate) shim: i32,
    pub(crate) limit: u64,
}

/// Tasks over their limit: id, bytes in use, limit.
fn look(watched: &[Watched]) -> Vec<(String, u64, u64)> {
    let mut used: HashMap<i32, u64> = watched.iter().map(|watched| (watched.shim, 0)).collect();
    let processes = procs::all();
    let parents: HashMap<i32, i32> = processes.iter().map(|process| (process.pid, process.parent)).collect();
    for process in &processes {
        if let Some(shim) = shim_above(process, &parents, &used) {
            *used.entry(shim).or_default() += procs::own_memory(process.pid).unwrap_or(0);
        }
    }
    watched
        .iter()
        .map(|watched| (watched.task.clone(), used.get(&watched.shim).copied().unwrap_or(0), watched.limit))
        .filter(|(_, used, limit)| used > limit)
        .collect()
}

/// The shim that a process descends from. Shims are subreapers, so nobody gets out of this tree.
fn shim_above(process: &Process, parents: &HashMap<i32, i32>, shims: &HashMap<i32, u64>) -> Option<i32> {
    let mut at = process.parent;
    // The bound only matters should two processes ever seem to be each other's parent.
    for _ in 0..1000 {
        if shims.contains_key(&at) {
            return Some(at);
        }
        at = *parents.get(&at)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits() {
        let spec = |mem: f64, limits: Option<serde_json::Value>| AppSpec { mem, resource_limits: limits, ..AppSpec::default() };
        assert_eq!(limit_of(&spec(128.0, None)), Some(128 << 20));
        assert_eq!(limit_of(&spec(16.0, None)), Some(32 << 20));
        assert_eq!(limit_of(&spec(64.0, Some(json!({"mem": 256})))), Some(256 << 20));
        assert_eq!(limit_of(&spec(64.0, Some(json!({"mem": "unlimited"})))), None);
        assert_eq!(limit_of(&spec(64.0, Some(json!({"cpus": 2})))), Some(64 << 20));
        assert_eq!(limit_of(&spec(f64::MAX, None)), Some(u64::MAX));
    }

    fn tree(controllers: &str, subtree: &str, procs: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a folder");
        let base = home.path().join("a.slice/b.service");
        fs::create_dir_all(&base).expect("made");
        for (name, text) in [("cgroup.controllers", controllers), ("cgroup.subtree_control", subtree), ("cgroup.procs", procs)] {
            fs::write(base.join(name), text).expect("written");
        }
        home
    }

    #[test]
    fn a_group_for_each_task() {
        let home = tree("cpu memory pids", "memory", "7");
        let groups = Cgroups::probe_at(home.path(), "0::/a.slice/b.service\n", 7).expect("writable");
        let group = groups.make("web.1", 64 << 20).expect("made");
        assert_eq!(fs::read_to_string(group.join("memory.max")).expect("written"), "67108864");
        fs::write(group.join("memory.events"), "low 0\noom 1\noom_kill 0\n").expect("written");
        assert!(!was_exhausted(&group));
        fs::write(group.join("memory.events"), "oom_kill 2\n").expect("written");
        assert!(was_exhausted(&group));
    }

    #[test]
    fn we_step_aside_only_when_alone() {
        let home = tree("memory", "", "7\n");
        assert!(Cgroups::probe_at(home.path(), "1:name=systemd:/\n0::/a.slice/b.service\n", 7).is_some());
        let base = home.path().join("a.slice/b.service");
        assert_eq!(fs::read_to_string(base.join("ocho-host/cgroup.procs")).expect("written"), "7");
        assert_eq!(fs::read_to_string(base.join("cgroup.subtree_control")).expect("written"), "+memory");
        let crowded = tree("memory", "", "7\n8\n");
        assert!(Cgroups::probe_at(crowded.path(), "0::/a.slice/b.service", 7).is_none());
        let without = tree("cpu", "", "7\n");
        assert!(Cgroups::probe_at(without.path(), "0::/a.slice/b.service", 7).is_none());
        assert!(Cgroups::probe_at(without.path(), "garbage", 7).is_none());
    }
}
