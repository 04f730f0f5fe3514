//! The sub-process: started in a process group of its own, awaited, ended with everything that it started.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures::future::join_all;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command as TokioCommand};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{Level, warn};

use crate::command::prepare;
use crate::environment::Variables;
use crate::hooks::Launch;
use crate::log::Log;
use crate::reaper;

/// After the first process of a group has ended, the others get this long before they are killed.
const STRAGGLERS: Duration = Duration::from_secs(1);
const STRAGGLER_POLL: Duration = Duration::from_millis(20);
/// The last lines of a group that has ended are on their way. Something that left the group may hold its streams open.
const LAST_LINES: Duration = Duration::from_millis(500);
/// The kernel takes its time to end a process that sits in a driver.
const KILLED: Duration = Duration::from_secs(10);

/// A sub-process that runs, or has ended without being noticed yet.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    /// Those that copy its output into the log.
    copiers: Vec<JoinHandle<()>>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit code {code}"),
            Self::Signal(signal) => match Signal::try_from(*signal) {
                Ok(signal) => out.write_str(signal.as_str()),
                Err(_) => write!(out, "signal {signal}"),
            },
        }
    }
}

/// What became of a process that was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is gone.
    Gone,
    /// It goes on, and is nobody's any more.
    LeftBehind,
}

impl Process {
    /// Starts what `launch` says. With `log`, both outputs go there line by line, else they are the pod's own.
    pub(crate) fn spawn(launch: &Launch, variables: &Variables, log: Option<&Log>) -> io::Result<Self> {
        let mut command = prepare(&launch.command);
        command.env_clear().envs(variables).envs(&launch.variables).process_group(0);
        if let Some(folder) = &launch.folder {
            command.current_dir(folder);
        }
        if log.is_some() {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        die_with_us(&mut command);
        let mut child = reaper::spawn(&mut command)?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
        let mut copiers = Vec::new();
        if let Some(log) = log {
            copiers.extend(copy_lines(child.stdout.take(), pid, log.clone()));
            copiers.extend(copy_lines(child.stderr.take(), pid, log.clone()));
        }
        Ok(Self { child, pid, copiers })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end. May be dropped midway.
    pub(crate) async fn ended(&mut self) -> Exit {
        let ended = self.child.wait().await;
        reaper::forget(self.pid);
        match ended {
            Ok(status) => exit(status),
            Err(error) => {
                // Somebody else reaped it: the code is lost.
                warn!(pid = self.pid, %error, "cannot tell how the process ended");
                Exit::Code(-1)
            }
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended_already(&mut self) -> Option<Exit> {
        let status = self.child.try_wait().ok().flatten()?;
        reaper::forget(self.pid);
        Some(exit(status))
    }

    /// Waits up to `grace` for an end that was asked for, then kills the group, unless that is not wanted.
    pub(crate) async fn end(mut self, grace: Duration, soft: bool) -> Ending {
        if timeout(grace, self.ended()).await.is_err() {
            if soft {
                warn!(pid = self.pid, "the process does not end and is left behind");
                return Ending::LeftBehind;
            }
            warn!(pid = self.pid, grace_s = grace.as_secs(), "the process does not end, killing it");
            self.kill_group();
            if timeout(KILLED, self.ended()).await.is_err() {
                warn!(pid = self.pid, "the process does not even end when killed");
            }
        }
        self.end_stragglers().await;
        Ending::Gone
    }

    /// Ends what the process left in its group, and lets the log have its last lines.
    pub(crate) async fn end_stragglers(&mut self) {
        let empty = async {
            while group_exists(self.pid) {
                sleep(STRAGGLER_POLL).await;
            }
        };
        if group_exists(self.pid) && terminate_group(self.pid).is_ok() && timeout(STRAGGLERS, empty).await.is_err() {
            self.kill_group();
        }
        // Where it takes too long they go on by themselves.
        let _ = timeout(LAST_LINES, join_all(self.copiers.drain(..))).await;
    }

    fn kill_group(&self) {
        // No such group is what we want.
        let _ = killpg(pid(self.pid), Signal::SIGKILL);
    }
}

/// Sends SIGTERM to a whole process group. One that is gone is no error.
pub(crate) fn terminate_group(group: u32) -> io::Result<()> {
    match killpg(pid(group), Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn group_exists(group: u32) -> bool {
    killpg(pid(group), None) != Err(Errno::ESRCH)
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("the kernel's ids fit"))
}

fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Lets the kernel kill the process if the pod dies without a chance to end it.
#[expect(unsafe_code, reason = "the call between fork and exec only sets a flag of the process, and allocates nothing")]
fn die_with_us(command: &mut TokioCommand) {
    let parent = nix::unistd::getpid();
    let prepare = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The pod may have died before the flag was set.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::Error::from(Errno::ESRCH)) }
    };
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Copies lines into the log until the stream ends. Bytes that are no text are replaced.
fn copy_lines(stream: Option<impl AsyncRead + Unpin + Send + 'static>, pid: u32, log: Log) -> Option<JoinHandle<()>> {
    let stream = stream?;
    Some(tokio::spawn(async move {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(true) = read_line(&mut reader, &mut line).await {
            log.add(Level::INFO, &format!("pid {pid} : {}", String::from_utf8_lossy(&line)));
        }
    }))
}

/// A line without an end is handed on in pieces.
const LINE_BYTES: usize = 4_096;

/// Reads one line, without its newline. False at the end.
async fn read_line(reader: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(!line.is_empty());
        }
        let room = LINE_BYTES - line.len();
        let piece = &buffer[..buffer.len().min(room)];
        let newline = piece.iter().position(|byte| *byte == b'\n');
        let taken = newline.unwrap_or(piece.len());
        line.extend_from_slice(&piece[..taken]);
        reader.consume(newline.map_or(taken, |at| at + 1));
        if newline.is_some() || line.len() >= LINE_BYTES {
            return Ok(true);
        }
    }
}
