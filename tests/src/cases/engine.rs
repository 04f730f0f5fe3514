//! The engine under test: `ochod cluster`, empty at the start of every case.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::command::Background;
use crate::programs::program;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// `ochod`, or the program that `$OCHO_CASES_PROGRAM` names and that takes the same words.
fn engine_program() -> PathBuf {
    env::var_os("OCHO_CASES_PROGRAM").map_or_else(|| program("ochod"), PathBuf::from)
}

/// A running engine. Dropping it ends it and its tasks.
#[derive(Debug)]
pub struct Engine {
    process: Option<Background>,
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    home: TempDir,
}

impl Engine {
    /// Starts an engine of its own.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn start(words: &[&str]) -> Self {
        let home = TempDir::with_prefix("cases-").expect("a temporary folder can be made");
        let mut command = Command::new(engine_program());
        command.args(["cluster", "--marathon", "127.0.0.1:0", "--zookeeper", "127.0.0.1:0", "--data"]);
        command.arg(home.path().join("data")).args(words);
        let mut process = Background::start(&mut command);
        let ready = process.wait_for_line("ready ", READY_WITHIN);
        let address = ready.split(' ').find_map(|word| word.strip_prefix("marathon=")).expect("it names its address");
        Self { url: format!("http://{address}"), process: Some(process), home }
    }

    /// The folder with all that it writes.
    #[must_use]
    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // In order, so that its tasks end too.
        if let Some(process) = self.process.take() {
            process.signal(Signal::SIGTERM);
            let _ = process.wait(STOPPED_WITHIN);
        }
    }
}
