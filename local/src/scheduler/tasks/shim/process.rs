//! A task as a process group.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, User, setsid};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::ears::{Ears, Heard};
use super::output::{Rotating, copy};
use super::{Record, failed};
use crate::scheduler::tasks::memory;
use crate::scheduler::tasks::spec::{How, TaskDir, TaskSpec};

/// How long the rest of the output may take once the task is gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long processes that were killed may take to vanish. Those in an uninterruptible wait are left behind.
const VANISH: Duration = Duration::from_secs(5);

/// How often to look for processes that sent no signal to us when they ended.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the task to its end and ends what it leaves behind.
pub(super) async fn run(dir: &TaskDir, spec: &TaskSpec, ears: &mut Ears, record: &mut Record<'_>) -> How {
    if let Err(cause) = nix::sys::prctl::set_child_subreaper(true) {
        say!("processes that the task leaves behind cannot be found: {cause}");
    }
    let mut child = match start(dir, spec) {
        Ok(child) => child,
        Err(how) => return how,
    };
    let mut copies = JoinSet::new();
    capture(dir, spec, &mut child, &mut copies);
    let pid = child.id().cast_signed();
    record.started(Some(pid));
    let mut group = Group { leader: Pid::from_raw(pid), status: None, grace: Duration::from_millis(spec.grace_ms), until: None };
    group.watch(ears).await;
    group.clear(ears).await;
    let rest = async { while copies.join_next().await.is_some() {} };
    if timeout(LAST_WORDS, rest).await.is_err() {
        say!("somebody outside the task's group still holds its output");
    }
    match &spec.cgroup {
        Some(cgroup) => leave(cgroup, group.how()),
        None => group.how(),
    }
}

/// Gives the control group back, and tells whether memory was the reason of the end.
fn leave(cgroup: &Path, how: How) -> How {
    let exhausted = memory::was_exhausted(cgroup) && how == How::Signaled(Signal::SIGKILL as i32);
    if let Err(cause) = fs::remove_dir(cgroup) {
        say!("cannot remove the control group: {cause}");
    }
    if exhausted { How::OutOfMemory } else { how }
}

fn start(dir: &TaskDir, spec: &TaskSpec) -> Result<Child, How> {
    let Some((program, args)) = spec.argv.split_first() else {
        return Err(How::failed("there is no command to run"));
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(&spec.env)
        .current_dir(dir.sandbox())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(name) = &spec.user {
        become_user(dir, &mut command, name)?;
    }
    let cgroup = match &spec.cgroup {
        Some(group) => Some(
            OpenOptions::new()
                .write(true)
                .open(group.join("cgroup.procs"))
                .map_err(|cause| failed("cannot enter the task's control group", cause))?,
        ),
        None => None,
    };
    #[expect(unsafe_code, reason = "between fork and exec only calls that are safe there: write, setsid and prctl")]
    unsafe {
        command.pre_exec(move || {
            if let Some(mut procs) = cgroup.as_ref() {
                procs.write_all(b"0")?;
            }
            setsid()?;
            // If the shim is killed nobody could end the task any more.
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(())
        });
    }
    command.spawn().map_err(|cause| failed(&format!("cannot start `{program}`"), cause))
}

fn become_user(dir: &TaskDir, command: &mut Command, name: &str) -> Result<(), How> {
    let user = User::from_name(name).ok().flatten().ok_or_else(|| How::failed(&format!("there is no user `{name}`")))?;
    if user.uid == nix::unistd::geteuid() {
        return Ok(());
    }
    dir.open_to(user.uid.as_raw(), user.gid.as_raw()).map_err(|cause| failed(&format!("cannot become user `{name}`"), cause))?;
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    Ok(())
}

fn capture(dir: &TaskDir, spec: &TaskSpec, child: &mut Child, copies: &mut JoinSet<()>) {
    let file = |name: &str| Rotating::new(dir.sandbox().join(name), spec.output_bytes);
    if let Some(Ok(out)) = child.stdout.take().map(ChildStdout::from_std) {
        copies.spawn(copy(out, file("stdout")));
    }
    if let Some(Ok(err)) = child.stderr.take().map(ChildStderr::from_std) {
        copies.spawn(copy(err, file("stderr")));
    }
}

/// The processes of the task.
struct Group {
    leader: Pid,
    status: Option<ExitStatus>,
    grace: Duration,
    /// When patience ends, once the end was asked for.
    until: Option<Instant>,
}

impl Group {
    /// Waits for the end of the leader, and passes on requests to end.
    async fn watch(&mut self, ears: &mut Ears) {
        self.reap();
        while self.status.is_none() {
            self.listen(ears).await;
        }
    }

    async fn listen(&mut self, ears: &mut Ears) {
        let patience = self.until;
        tokio::select! {
            heard = ears.next() => match heard {
                Heard::Child => self.reap(),
                Heard::End => self.end(),
                Heard::EndNow => self.end_now(),
            },
            () = async { sleep_until(patience.unwrap_or_else(Instant::now)).await }, if patience.is_some() => self.end_now(),
        }
    }

    fn end(&mut self) {
        if self.until.is_none() {
            self.until = Some(Instant::now() + self.grace);
            let _ = killpg(self.leader, Signal::SIGTERM);
        }
    }

    fn end_now(&mut self) {
        // Asked again each second, should somebody fork between looking and killing.
        self.until = Some(Instant::now() + Duration::from_secs(1));
        let _ = killpg(self.leader, Signal::SIGKILL);
        // Looking through all processes costs something on a machine with many tasks that end at once.
        let left = if has_children() { children() } else { Vec::new() };
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    /// Ends what the leader left behind. Those that were asked to end keep the rest of their grace period.
    async fn clear(&mut self, ears: &mut Ears) {
        if self.until.is_none() {
            self.end_now();
        }
        let give_up = Instant::now() + self.grace + VANISH;
        self.reap();
        while self.is_alive() && Instant::now() < give_up {
            // Members of the group that are not our children send no signal.
            let _ = timeout(LOOK, self.listen(ears)).await;
            self.reap();
        }
    }

    fn is_alive(&self) -> bool {
        killpg(self.leader, None) != Err(Errno::ESRCH) || has_children()
    }

    /// Collects all children that ended, also those that were adopted.
    fn reap(&mut self) {
        loop {
            let peek = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT);
            let Some(pid) = peek.ok().and_then(|status| status.pid()) else { return };
            let status = match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => ExitStatus::from_raw((code & 0xff) << 8),
                Ok(WaitStatus::Signaled(_, signal, _)) => ExitStatus::from_raw(signal as i32),
                _ => return,
            };
            if pid == self.leader {
                self.status = Some(status);
            }
        }
    }

    fn how(&self) -> How {
        let status = self.status.unwrap_or_default();
        match (status.code(), status.signal()) {
            (Some(code), _) => How::Exited(code),
            (None, signal) => How::Signaled(signal.unwrap_or(0)),
        }
    }
}

/// Whether there is anybody left: what loses its parent becomes our child.
fn has_children() -> bool {
    let peek = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT);
    peek != Err(Errno::ECHILD)
}

/// Processes whose parent is this one.
fn children() -> Vec<Pid> {
    let own = std::process::id().cast_signed();
    super::super::procs::all()
        .into_iter()
        .filter(|process| process.parent == own)
        .map(|process| Pid::from_raw(process.pid))
        .collect()
}
