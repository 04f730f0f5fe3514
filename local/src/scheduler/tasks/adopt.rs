//! After a restart: which tasks still run, which ended meanwhile, and which nobody knows any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use tokio::time::{Instant, sleep};

use super::run::{Begin, end_strays, what_became_of};
use super::spec::TaskDir;
use crate::scheduler::engine::{Engine, Urgency};
use crate::scheduler::model::task::Task;

/// How long a shim may take to go once it is killed, and how often to look.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Tasks that are looked at together: after a restart of the machine all are dead, and each look through its processes costs.
const AT_ONCE: usize = 64;

/// Goes on with the tasks of a scheduler that is gone.
pub(crate) async fn adopt(engine: &Arc<Engine>) {
    let tasks: Vec<Task> = engine.read(|state| state.tasks().cloned().collect());
    let known: BTreeSet<String> = tasks.iter().map(|task| task.id.clone()).collect();
    sweep(engine, &known).await;
    for some in tasks.chunks(AT_ONCE) {
        adopt_some(engine, some).await;
    }
}

async fn adopt_some(engine: &Arc<Engine>, tasks: &[Task]) {
    // Locks are held until the ends are recorded: a shim that was started and did not come yet must not run what is replaced.
    let mut dead = Vec::new();
    for task in tasks {
        let dir = TaskDir::new(&engine.tasks_folder(), &task.id);
        match dir.try_lock() {
            Ok(None) => take_over(engine, task.clone()),
            lock => dead.push((task, dir, lock)),
        }
    }
    let unclear = dead.iter().filter(|(_, dir, _)| !dir.has_ended());
    end_strays(unclear.map(|(task, ..)| task.id.clone()).collect()).await;
    for (task, dir, _lock) in dead {
        let ending = what_became_of(task, &dir).await;
        dir.close(&ending.message);
        tracing::info!(task = task.id, app = %task.app_id(), message = ending.message, "a task ended meanwhile");
        engine.task_over(&task.id, ending);
    }
}

fn take_over(engine: &Arc<Engine>, task: Task) {
    tracing::info!(task = task.id, app = %task.app_id(), "adopted a task that still runs");
    let (id, dying) = (task.id.clone(), task.is_dying());
    engine.watch_over(task, Begin::Adopt);
    if dying {
        engine.order(&id, Urgency::Graceful);
    }
}

/// Ends shims that the database does not know, so that no task runs twice, and remembers the folders of ended tasks.
async fn sweep(engine: &Arc<Engine>, known: &BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(engine.tasks_folder()) else { return };
    let mut ended: Vec<(SystemTime, String)> = Vec::new();
    for entry in entries.flatten() {
        let Ok(id) = entry.file_name().into_string() else { continue };
        if known.contains(&id) {
            continue;
        }
        let dir = TaskDir::at(entry.path());
        match dir.try_lock() {
            Ok(None) => end_unknown(&dir, &id).await,
            _ => dir.close("the scheduler does not know the task"),
        }
        let age = entry.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        ended.push((age, id));
    }
    ended.sort();
    ended.into_iter().for_each(|(_, id)| engine.retire(id));
}

async fn end_unknown(dir: &TaskDir, id: &str) {
    tracing::warn!(task = id, "ending a task that the database does not know");
    let give_up = Instant::now() + GONE_WITHIN;
    while dir.is_held() && Instant::now() < give_up {
        // It says who it is a moment after it took the lock.
        if let Ok(state) = dir.read_state()
            && state.shim > 0
        {
            let _ = kill(Pid::from_raw(state.shim), Signal::SIGKILL);
        }
        sleep(LOOK).await;
    }
    end_strays(BTreeSet::from([id.to_owned()])).await;
}
