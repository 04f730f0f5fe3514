//! The engine under test: `ochod cluster`, empty at the start of every case.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::command::Background;
use crate::programs::program;

const READY_WITHIN: Duration = Duration::from_secs(180);
const STOPPED_WITHIN: Duration = Duration::from_secs(120);

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
    /// The registry, `127.0.0.1:<port>`.
    pub zookeeper: String,
    words: Vec<String>,
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
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (process, url, zookeeper) = spawn(home.path(), &words);
        Self { process: Some(process), url, zookeeper, words, home }
    }

    /// Kills it with -9 and starts it anew in the same folder. Its addresses change.
    ///
    /// # Panics
    /// Where it does not become ready again.
    #[track_caller]
    pub fn crash(&mut self) {
        // Dropping a program in the background kills it.
        self.process = None;
        let (process, url, zookeeper) = spawn(self.home.path(), &self.words);
        (self.process, self.url, self.zookeeper) = (Some(process), url, zookeeper);
    }

    /// The process of scheduler and registry.
    ///
    /// # Panics
    /// Never while it lives.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it is taken only when dropped").id()
    }

    /// The folder with all that it writes.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }
}

/// Starts the program, and says where scheduler and registry listen.
#[track_caller]
fn spawn(home: &Path, words: &[String]) -> (Background, String, String) {
    let mut command = Command::new(engine_program());
    command.args(["cluster", "--marathon", "127.0.0.1:0", "--zookeeper", "127.0.0.1:0", "--data"]);
    command.arg(home.join("data")).args(words);
    let mut process = Background::start(&mut command);
    let ready = process.wait_for_line("ready ", READY_WITHIN);
    let address = |name: &str| ready.split(' ').find_map(|word| word.strip_prefix(name)).expect("it names its addresses");
    let (url, zookeeper) = (format!("http://{}", address("marathon=")), address("zookeeper=").to_owned());
    (process, url, zookeeper)
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
