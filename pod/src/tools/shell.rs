//! The tool `shell`: a line for `/bin/sh`. Whoever may call the pod may run what they like in it.

use std::path::Path;
use std::process::Stdio;

use futures::FutureExt;
use futures::future::BoxFuture;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::tools::{Limits, Output, Tool};

/// Runs lines with `/bin/sh`, in the request's folder.
#[derive(Debug, Clone)]
pub struct Shell {
    limits: Limits,
}

impl Shell {
    /// A shell within these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    async fn run_line(&self, line: &str, folder: &Path) -> Output {
        let failed =
            |reason: String| Output { code: 1, stdout: vec![format!("unexpected failure -> {reason}")], stderr: Vec::new() };
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(line).current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = match command.spawn() {
            Ok(child) => Group(child),
            Err(error) => return failed(error.to_string()),
        };
        let (out, err) = (group.0.stdout.take(), group.0.stderr.take());
        let bytes = self.limits.output_bytes;
        let all = async { tokio::join!(lines(out, bytes), lines(err, bytes), group.0.wait()) };
        match timeout(self.limits.time, all).await {
            Ok((stdout, stderr, Ok(status))) => Output { code: code(status), stdout, stderr },
            Ok((_, _, Err(error))) => failed(error.to_string()),
            Err(_) => failed(format!("no end within {} s", self.limits.time.as_secs())),
        }
    }
}

impl Tool for Shell {
    fn run<'a>(&'a self, arguments: &'a str, folder: &'a Path) -> BoxFuture<'a, Output> {
        self.run_line(arguments, folder).boxed()
    }
}

/// A process group that is killed when nobody waits for it any more.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an id it has ended and been reaped.
        if let Some(Ok(id)) = self.0.id().map(i32::try_from) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    // As shells put it.
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The lines of a stream without their newlines. What goes beyond `limit` is read and dropped, so that the writer can end.
async fn lines(stream: Option<impl AsyncRead + Unpin>, limit: usize) -> Vec<String> {
    let Some(mut stream) = stream else { return Vec::new() };
    let (mut kept, mut cut) = (Vec::new(), false);
    let mut chunk = vec![0; 8_192];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        let room = limit.saturating_sub(kept.len());
        cut |= read > room;
        kept.extend_from_slice(&chunk[..read.min(room)]);
    }
    let text = String::from_utf8_lossy(&kept);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if cut {
        lines.push(format!("[cut after {limit} bytes]"));
    }
    lines
}
