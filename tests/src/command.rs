//! Programs: run to their end, or kept running in the background.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What a program that ended left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; 128 and the number of the signal that ended it.
    pub code: i32,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// Its standard output, for a program that is expected to succeed.
    ///
    /// # Panics
    /// Where it failed.
    #[track_caller]
    #[must_use]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Runs a command to its end, without input.
///
/// # Panics
/// Where it cannot be started, or does not end `within` the time (it is killed then).
#[track_caller]
#[must_use]
pub fn run(command: &mut Command, within: Duration) -> Ended {
    Background::start(command).wait(within)
}

/// A program that runs beside the test. Dropping it kills it.
#[derive(Debug)]
pub struct Background {
    name: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

impl Background {
    /// Starts a command without input.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|cause| panic!("`{name}` does not start: {cause}"));
        let stdout = Captured::follow(child.stdout.take().expect("it is piped"));
        let stderr = Captured::follow(child.stderr.take().expect("it is piped"));
        Self { name, child, stdout, stderr }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far on standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed so far on standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line of standard output that begins with `start`, and gives all of it.
    ///
    /// # Panics
    /// Where none comes `within` the time, or the program ends before.
    #[track_caller]
    pub fn wait_for_line(&mut self, start: &str, within: Duration) -> String {
        let end = Instant::now() + within;
        loop {
            let ended = self.status();
            let stdout = self.stdout();
            // The last piece may be half a line.
            let line = stdout.split_inclusive('\n').find(|line| line.starts_with(start) && line.ends_with('\n'));
            if let Some(line) = line {
                return line.trim_end().to_owned();
            }
            if ended.is_some() || Instant::now() > end {
                panic!("`{}` printed no line `{start}…` ({ended:?})\n{stdout}\n{}", self.name, self.stderr());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// Where the process is gone already.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().try_into().expect("process ids are small"));
        kill(pid, signal).unwrap_or_else(|cause| panic!("cannot send {signal} to `{}`: {cause}", self.name));
    }

    /// How it ended, if it did.
    ///
    /// # Panics
    /// Where the system does not say.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not come `within` the time.
    #[track_caller]
    #[must_use]
    pub fn wait(mut self, within: Duration) -> Ended {
        let end = Instant::now() + within;
        let status = loop {
            if let Some(status) = self.status() {
                break status;
            }
            assert!(
                Instant::now() < end,
                "`{}` did not end within {within:?}\nstdout: {}\nstderr: {}",
                self.name,
                self.stdout(),
                self.stderr()
            );
            thread::sleep(Duration::from_millis(2));
        };
        self.stdout.finish();
        self.stderr.finish();
        let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(-1);
        Ended { code, stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Background {
    /// Kills it and waits until it is gone; does nothing where it has ended.
    pub fn kill(&mut self) {
        // Fails where it has ended, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What comes through a pipe, read as it comes.
#[derive(Debug)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Captured {
    fn follow(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut chunk) {
                sink.lock().expect("no holder panics").extend_from_slice(&chunk[..read]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no holder panics")).into_owned()
    }

    /// Waits until the pipe is closed, for a moment: something else may hold it open. The moment is counted in turns and not by the
    /// clock, since the reader's thread stands still together with this one where the whole machine does.
    fn finish(&self) {
        for _turn in 0..1_000 {
            if self.reader.is_finished() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}
