//! `ocho plugin dev`: builds, brings the plugin to a running host and runs a line of it; the same again at each change.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use clap::Args;
use ocho_core::{Interface, command_line};

use super::host::{Host, HostArguments};
use super::install::{self, Parcel};
use super::project::{Kind, Project};
use super::watch::Sources;
use super::{local, show};
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::command::Line;
use crate::runner::{Format, Interrupt, Runner};
use crate::screen::Screen;

/// Soon enough for a person, and a thousand files are looked at in a millisecond or two.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  ocho plugin dev                      in the folder of a plugin
  ocho plugin dev -- '*web' -j         runs it with these words; a line that is typed replaces them
  ocho plugin dev --grant pods/exec    where it needs more than the default grants

Ctrl-C ends it. The tool stays installed.";

/// Build a plugin, reload it into a running host and run it, again and again as its files change
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct DevArguments {
    /// The folder of the plugin
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Grant these as well: `pods/control,marathon/operate`
    #[arg(long, value_name = "INTERFACES", value_delimiter = ',')]
    grant: Vec<Interface>,
    /// Take the name over from what is built in or comes from elsewhere
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    host: HostArguments,
    /// The words to run it with
    #[arg(last = true, value_name = "WORD")]
    words: Vec<String>,
}

/// Goes on until it is interrupted.
pub(crate) fn run(arguments: &DevArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let project = Project::open(&arguments.folder)?;
    let format = if arguments.host.json { Format::Json } else { Format::People };
    let mut workshop = Workshop { host: arguments.host.connect()?, arguments, project, screen, format, line: String::new() };
    workshop.line = command_line::join(&arguments.words);
    let lines = typed_lines();
    let mut seen = Sources::of(&arguments.folder);
    workshop.reload();
    loop {
        match wait(&lines) {
            Some(line) => {
                workshop.line = line;
                workshop.run_line();
            }
            None => {
                let now = Sources::of(&arguments.folder);
                if now != seen {
                    seen = settled(&arguments.folder, now);
                    workshop.reload();
                }
            }
        }
    }
}

/// What one types, line by line. The channel holds few: who types does not wait for more.
fn typed_lines() -> Receiver<String> {
    let (sender, lines) = sync_channel(16);
    let read = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    // Without the thread nothing can be typed, and files are watched all the same.
    let _ = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    lines
}

/// A line, or none after a while.
fn wait(lines: &Receiver<String>) -> Option<String> {
    match lines.recv_timeout(LOOK_AGAIN) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Timeout) => None,
        // Standard input is closed: only files are left to look at.
        Err(RecvTimeoutError::Disconnected) => {
            std::thread::sleep(LOOK_AGAIN);
            None
        }
    }
}

/// Waits until an editor has written all that it writes at once.
fn settled(folder: &std::path::Path, mut sources: Sources) -> Sources {
    loop {
        std::thread::sleep(LOOK_AGAIN / 4);
        let now = Sources::of(folder);
        if now == sources {
            return now;
        }
        sources = now;
    }
}

struct Workshop<'a> {
    host: Host,
    arguments: &'a DevArguments,
    project: Project,
    screen: Screen,
    format: Format,
    /// What follows the tool's name.
    line: String,
}

impl Workshop<'_> {
    /// Builds, installs and runs. What fails is told, and the next change tries again.
    fn reload(&mut self) {
        let since = Instant::now();
        match self.build_and_install() {
            Ok(done) => {
                self.screen.note(&format!("{done} ({:.1} s)", since.elapsed().as_secs_f64()));
                self.run_line();
            }
            Err(failure) => {
                self.screen.problem(&failure);
                self.screen.note("waiting for a change");
            }
        }
    }

    fn build_and_install(&mut self) -> Result<String, Failure> {
        // Its description may be what changed.
        self.project = Project::open(&self.arguments.folder)?;
        let component = self.project.build(self.screen)?;
        if self.project.kind() == Kind::Job {
            return Ok(format!("{} is built", self.project.name()));
        }
        let parcel = Parcel {
            tool: self.project.name().clone(),
            wasm: local::read(&component)?,
            signature: None,
            grants: self.arguments.grant.iter().copied().collect(),
            plan: false,
            force: self.arguments.force,
        };
        let done = install::send(&self.host, parcel, self.screen)?;
        if let Some(message) = &done.message {
            self.screen.hint(message);
        }
        Ok(show::activation(&done))
    }

    /// Runs the plugin once; how it ends is on the screen.
    fn run_line(&self) {
        let name = self.project.name();
        let client = self.host.client();
        if self.project.kind() == Kind::Job {
            let (names, bundle) = ([name.to_string()], self.project.dist());
            let job = crate::run::follow(&client, &bundle, &names, &[], self.screen);
            if let Err(failure) = self.host.block_on(job) {
                self.screen.problem(&failure);
            }
            return;
        }
        let line = format!("{name} {}", self.line);
        let runner = Runner { client, screen: self.screen, interrupt: Interrupt::Program, format: self.format };
        let _shown = self.host.block_on(runner.run(Line::parse(&line).map_err(Failure::from)));
    }
}
