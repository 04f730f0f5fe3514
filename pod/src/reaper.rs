//! Orphans: as the first process of a container the pod inherits processes that lost their parent, and has to take note of
//! their end. It must not do so for its own children, whose exit codes others wait for.

use std::collections::HashSet;
use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tracing::debug;

/// Children that somebody waits for.
static OWN: LazyLock<Mutex<HashSet<u32>>> = LazyLock::new(Mutex::default);

/// While an own child's end waits to be noticed, it hides the orphans behind it.
const HIDDEN: Duration = Duration::from_millis(200);

fn own() -> MutexGuard<'static, HashSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child that somebody will wait for.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    // Held over the start, so that a child that ends at once is known before anybody looks for orphans.
    let mut own = own();
    let child = command.spawn()?;
    own.extend(child.id());
    Ok(child)
}

/// The end of a child was noticed.
pub(crate) fn forget(pid: u32) {
    own().remove(&pid);
}

/// Makes this process the parent of all orphans below it and takes note of their ends, for ever.
///
/// # Errors
/// Where the system does not let us hear of ended children.
pub(crate) fn start() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut ended = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while ended.recv().await.is_some() {
            while reap() == Left::Hidden {
                sleep(HIDDEN).await;
            }
        }
    });
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// An own child stands in front; there may be orphans behind it.
    Hidden,
}

fn reap() -> Left {
    let own = own();
    loop {
        let Ok(status) = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT) else {
            return Left::Nothing;
        };
        let pid = match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => pid,
            _ => return Left::Nothing,
        };
        if u32::try_from(pid.as_raw()).is_ok_and(|pid| own.contains(&pid)) {
            return Left::Hidden;
        }
        debug!(pid = pid.as_raw(), "an orphan ended");
        if waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return Left::Nothing;
        }
    }
}
