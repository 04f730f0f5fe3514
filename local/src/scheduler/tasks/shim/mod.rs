//! `task-shim FOLDER`: the parent of one task.
//!
//! It outlives the scheduler, so that a task does not notice when the scheduler is restarted. It is a subreaper: whatever
//! the task leaves behind becomes its child and is ended with the task. Signals: SIGTERM ends the task with its grace
//! period, SIGUSR2 at once.

/// Writes a line to the shim's own log. Unlike `eprintln!` it does not panic where the disk is full.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($part)*);
    }};
}

mod container;
mod ears;
mod output;
mod process;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use self::ears::Ears;
use super::fetch;
use super::spec::{Ended, How, ShimState, TaskDir, TaskSpec};
use crate::scheduler::model::time::Timestamp;

/// Runs one task to its end. The one argument is the task's folder.
///
/// Returns 0 when the end of the task is recorded, whatever it was.
pub fn task_shim_main(args: Vec<OsString>) -> ExitCode {
    let [folder] = args.as_slice() else {
        say!("usage: task-shim FOLDER");
        return ExitCode::from(2);
    };
    let dir = TaskDir::at(PathBuf::from(folder));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            say!("cannot start the runtime of the shim: {cause}");
            return ExitCode::from(4);
        }
    };
    let ended = runtime.block_on(run(&dir));
    // A thread that hangs, say at a file of a server that is gone, does not hold us up: the end is recorded.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            say!("cannot run the task in `{}`: {cause}", dir.path().display());
            ExitCode::from(4)
        }
    }
}

async fn run(dir: &TaskDir) -> std::io::Result<()> {
    let Some(_lock) = dir.try_lock()? else {
        return Err(std::io::Error::other("another shim holds the lock"));
    };
    if dir.has_ended() {
        return Err(std::io::Error::other("the task is over already"));
    }
    let spec = dir.read_spec()?;
    let mut record = Record { dir, state: ShimState { shim: std::process::id().cast_signed(), ..ShimState::default() } };
    record.write();
    let how = carry_out(dir, &spec, &mut record).await;
    record.state.ended = Some(Ended { at: Timestamp::now(), how });
    record.write();
    Ok(())
}

async fn carry_out(dir: &TaskDir, spec: &TaskSpec, record: &mut Record<'_>) -> How {
    let mut ears = match Ears::open() {
        Ok(ears) => ears,
        Err(cause) => return failed("cannot listen to signals", cause),
    };
    if !spec.fetch.is_empty() {
        let sandbox = dir.sandbox();
        tokio::select! {
            brought = fetch::bring(&sandbox, &spec.fetch, spec.fetch_limits) => if let Err(error) = brought {
                return How::failed(&error.to_string());
            },
            () = ears.any_end() => return How::failed("the task was killed before it started"),
        }
    }
    match &spec.container {
        Some(container) => container::run(dir, spec, container, &mut ears, record).await,
        None => process::run(dir, spec, &mut ears, record).await,
    }
}

/// The state of the task, on disk and told to whoever started the shim.
struct Record<'a> {
    dir: &'a TaskDir,
    state: ShimState,
}

impl Record<'_> {
    fn write(&self) {
        if let Err(cause) = self.dir.write_state(&self.state) {
            say!("cannot write the state of the task: {cause}");
        }
    }

    /// The task runs.
    fn started(&mut self, pid: Option<i32>) {
        self.state.pid = pid;
        self.state.started_at = Some(Timestamp::now());
        self.write();
        // The scheduler may be gone; then nobody reads, and the file tells its successor.
        let _ = writeln!(std::io::stdout(), "started").and_then(|()| std::io::stdout().flush());
    }
}

/// A task that could not be started.
fn failed(what: &str, cause: impl std::fmt::Display) -> How {
    How::failed(&format!("{what}: {cause}"))
}
