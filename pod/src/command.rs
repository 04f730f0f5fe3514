//! Commands that run to their end: within a time, in a process group of their own, their output kept up to a bound.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command as TokioCommand};
use tokio::time::timeout;

use crate::environment::Variables;
use crate::hooks::Command;
use crate::reaper;

/// What to run.
#[derive(Debug)]
pub(crate) struct Errand<'a> {
    pub(crate) command: &'a Command,
    /// All of its variables; the pod's own if none are given.
    pub(crate) variables: Option<&'a Variables>,
    pub(crate) folder: Option<&'a Path>,
    /// What it finds on its standard input.
    pub(crate) input: Vec<u8>,
    pub(crate) limit: Duration,
    /// Bytes of each stream that are kept.
    pub(crate) output_bytes: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    /// As shells put it: 128 and more for a signal.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Whether a stream was longer than what was kept.
    pub(crate) cut: bool,
}

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrandError {
    #[error("cannot start `{program}`: {cause}")]
    Start {
        program: String,
        #[source]
        cause: io::Error,
    },
    #[error("no end within {} s", .0.as_secs_f32())]
    Late(Duration),
    #[error("cannot tell how it ended: {0}")]
    Lost(#[source] io::Error),
}

/// Something that the command left behind may hold its streams open.
const LATE_OUTPUT: Duration = Duration::from_millis(500);

impl Finished {
    /// The last line of its error stream, or else of its output: most often the reason.
    pub(crate) fn last_words(&self) -> String {
        let last = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
        };
        last(&self.stderr).or_else(|| last(&self.stdout)).unwrap_or_default()
    }
}

/// The program of a command, for messages.
pub(crate) fn program(command: &Command) -> &str {
    match command {
        Command::Words(words) => words.first().map_or("", String::as_str),
        Command::Shell(_) => "/bin/sh",
    }
}

/// The command in the form that starts processes.
pub(crate) fn prepare(command: &Command) -> TokioCommand {
    match command {
        Command::Words(words) => {
            let mut prepared = TokioCommand::new(words.first().map_or("", String::as_str));
            prepared.args(words.iter().skip(1));
            prepared
        }
        Command::Shell(line) => {
            let mut prepared = TokioCommand::new("/bin/sh");
            prepared.arg("-c").arg(line);
            prepared
        }
    }
}

/// Runs it. Dropped midway or late, its whole process group is killed.
pub(crate) async fn run(errand: Errand<'_>) -> Result<Finished, ErrandError> {
    let mut command = prepare(errand.command);
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(variables) = errand.variables {
        command.env_clear().envs(variables);
    }
    if let Some(folder) = errand.folder {
        command.current_dir(folder);
    }
    let start = |cause| ErrandError::Start { program: program(errand.command).to_owned(), cause };
    let child = reaper::spawn(&mut command).map_err(start)?;
    let mut group = Group { pid: child.id(), child };
    let child = &mut group.child;
    let streams = (child.stdin.take(), Kept::new(errand.output_bytes), Kept::new(errand.output_bytes));
    let (stdin, stdout, stderr) = streams;
    let reading = {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (stdout.clone(), stderr.clone());
        async move { tokio::join!(stdout.fill(out), stderr.fill(err)) }
    };
    let work = async {
        let mut reading = std::pin::pin!(reading);
        let mut ending = std::pin::pin!(async { tokio::join!(group.child.wait(), feed(stdin, errand.input)).0 });
        let mut all_read = false;
        let status = tokio::select! {
            status = &mut ending => status,
            _ = &mut reading => {
                all_read = true;
                ending.await
            }
        };
        if !all_read {
            // What is in the pipes is read; what others write later is not waited for.
            let _ = timeout(LATE_OUTPUT, reading).await;
        }
        status
    };
    let status = timeout(errand.limit, work).await.map_err(|_| ErrandError::Late(errand.limit))?;
    let status = status.map_err(ErrandError::Lost)?;
    let (stdout, stdout_cut) = stdout.take();
    let (stderr, stderr_cut) = stderr.take();
    Ok(Finished { code: code(status), stdout, stderr, cut: stdout_cut || stderr_cut })
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

async fn feed(stdin: Option<ChildStdin>, input: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        // A command that does not read its input is none the worse for it.
        let _ = stdin.write_all(&input).await;
    }
}

/// A process group that is killed when nobody waits for it any more.
struct Group {
    child: Child,
    pid: Option<u32>,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it has ended and been reaped.
        if let Some(Ok(id)) = self.child.id().map(i32::try_from) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        // What was not waited for is an orphan now.
        if let Some(pid) = self.pid {
            reaper::forget(pid);
        }
    }
}

/// The beginning of a stream.
#[derive(Debug, Clone)]
struct Kept {
    bytes: Arc<Mutex<(Vec<u8>, bool)>>,
    limit: usize,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { bytes: Arc::default(), limit }
    }

    /// What goes beyond the limit is read and dropped, so that the writer can end.
    async fn fill(&self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; 8_192];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            let room = self.limit.saturating_sub(kept.0.len());
            kept.1 |= read > room;
            kept.0.extend_from_slice(&chunk[..read.min(room)]);
        }
    }

    fn take(&self) -> (Vec<u8>, bool) {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    async fn shell(line: &str, limit: Duration) -> Result<Finished, ErrandError> {
        let command = Command::Shell(line.to_owned());
        run(Errand { command: &command, variables: None, folder: None, input: b"in".to_vec(), limit, output_bytes: 10 }).await
    }

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn both_streams_the_input_and_the_code() {
        let finished = shell("cat; echo e >&2; exit 3", SOON).await.unwrap();
        assert_eq!(
            (finished.code, &finished.stdout[..], &finished.stderr[..], finished.cut),
            (3, &b"in"[..], &b"e\n"[..], false)
        );
        assert_eq!(finished.last_words(), "e");
        assert_eq!(shell("kill -9 $$", SOON).await.unwrap().code, 137);
    }

    #[tokio::test]
    async fn output_has_a_bound() {
        let finished = shell("yes | head -c 1000000", SOON).await.unwrap();
        assert_eq!((finished.code, finished.stdout.len(), finished.cut), (0, 10, true));
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let (file, ready) = (folder.path().join("new"), folder.path().join("pid"));
        let line = format!("sleep 1000 & echo $! > {0}; mv {0} {1}; sleep 1000", file.display(), ready.display());
        let child = || std::fs::read_to_string(&ready).ok()?.trim().parse::<i32>().ok();
        let mut running = Box::pin(shell(&line, SOON));
        while child().is_none() {
            assert!(timeout(Duration::from_millis(10), &mut running).await.is_err(), "it ended");
        }
        drop(running);
        let state = format!("/proc/{}/stat", child().unwrap());
        // A zombie is gone as well: what waits for it is not ours.
        let is_alive = || std::fs::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z "));
        let gone = async {
            while is_alive() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, gone).await.expect("the whole group was killed");
        let error = shell("sleep 1000", Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(error.to_string(), "no end within 0.2 s");
    }

    #[tokio::test]
    async fn what_is_left_in_the_background_is_not_waited_for() {
        // It would be late if it waited.
        let finished = shell("sleep 1000 & echo $!", SOON).await.unwrap();
        let id: i32 = String::from_utf8(finished.stdout).unwrap().trim().parse().unwrap();
        nix::sys::signal::kill(Pid::from_raw(id), Signal::SIGKILL).unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let command = Command::Words(vec!["/no/such/program".to_owned()]);
        let errand =
            Errand { command: &command, variables: None, folder: None, input: Vec::new(), limit: SOON, output_bytes: 10 };
        assert!(run(errand).await.unwrap_err().to_string().starts_with("cannot start `/no/such/program`: "));
    }
}
