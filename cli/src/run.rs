//! `ocho run`: packs a folder of jobs, sends it, shows the log, and ends as the job did.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::RunArguments;
use crate::blame::Failure;
use crate::cli;
use crate::client::{CallError, Client, Event, Events, REPLY_LIMIT_BYTES, Scheme};
use crate::runner::Ending;
use crate::screen::{Reader, Screen};
use crate::target::{Target, TargetError};
use crate::upload::{self, Cancel, Kind, Progress, Upload};

/// Runs a bundle to its end.
pub(crate) fn run(arguments: &RunArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let host = arguments.host.as_deref().filter(|host| !host.is_empty()).ok_or(TargetError::Missing)?;
    let client = Client::new(Target::parse(host)?, cli::token()?, Scheme::Whole)?;
    let shown = if arguments.follow { Shown::AsItComes } else { Shown::AtTheEnd };
    let job = send(&client, &arguments.folder, &arguments.jobs, &arguments.variables, shown, screen);
    Ok(cli::one_thread()?.block_on(job)?.into())
}

/// Runs jobs of a folder and shows the log as it comes.
pub(crate) async fn follow(
    client: &Client,
    folder: &Path,
    jobs: &[String],
    variables: &[(String, String)],
    screen: Screen,
) -> Result<Ending, Failure> {
    send(client, folder, jobs, variables, Shown::AsItComes, screen).await
}

async fn send(
    client: &Client,
    folder: &Path,
    jobs: &[String],
    variables: &[(String, String)],
    shown: Shown,
    screen: Screen,
) -> Result<Ending, Failure> {
    let body = upload::compose(&[bundle(folder)], &Cancel::default(), &Progress::packing(screen.shows_progress()))?;
    let events = client.start_job(&jobs.join("+"), variables, body, screen.shows_progress()).await?;
    show(events, shown, screen).await
}

/// A folder is packed; a file is taken for a bundle that is packed already.
fn bundle(path: &Path) -> Upload {
    let kind = if path.is_dir() { Kind::Folder } else { Kind::File };
    Upload { name: "tgz".to_owned(), shown: path.display().to_string(), path: PathBuf::from(path), kind }
}

/// When the log is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    AsItComes,
    AtTheEnd,
}

async fn show(mut events: Events, shown: Shown, screen: Screen) -> Result<Ending, Failure> {
    let mut output = screen.output();
    let mut kept = Kept::default();
    loop {
        let event = events.next().await?;
        match event {
            Event::Ended(ended) => {
                for event in &kept.events {
                    print(event, &mut output)?;
                }
                output.end()?;
                return Ok(Ending::of(ended.ok));
            }
            Event::Started { run } => screen.hint_if_watched(&format!("the job is {run}; it goes on if you leave")),
            other if shown == Shown::AtTheEnd => kept.keep(other, REPLY_LIMIT_BYTES, events.host())?,
            // The job goes on, and nobody reads any more.
            other if print(&other, &mut output)? == Reader::Gone => return Ok(Ending::Succeeded),
            _ => {}
        }
    }
}

/// A log that is printed at the end.
#[derive(Debug, Default)]
struct Kept {
    events: Vec<Event>,
    bytes: usize,
}

impl Kept {
    /// Keeps an event, unless the log of this host grows beyond the limit.
    fn keep(&mut self, event: Event, limit_bytes: usize, host: &str) -> Result<(), CallError> {
        // An event without a text takes its place as well.
        self.bytes += size_of::<Event>();
        if let Event::Out { text } | Event::Note { text } | Event::Err { text } = &event {
            self.bytes += text.len();
        }
        self.events.push(event);
        if self.bytes > limit_bytes { Err(CallError::TooLong { host: host.to_owned(), limit_bytes }) } else { Ok(()) }
    }
}

fn print(event: &Event, output: &mut crate::screen::Output) -> Result<Reader, Failure> {
    match event {
        Event::Out { text } | Event::Note { text } => output.out(text),
        Event::Err { text } => {
            output.err(text);
            Ok(Reader::There)
        }
        _ => Ok(Reader::There),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_end_is_not_kept() {
        let mut kept = Kept::default();
        let line = || Event::Out { text: "x".repeat(100) };
        assert!((0..4).all(|_| kept.keep(line(), 1000, "h").is_ok()));
        assert!((0..6).any(|_| kept.keep(line(), 1000, "h").is_err()));
        let mut kept = Kept::default();
        assert!((0..1000).any(|_| kept.keep(Event::Unknown, 1000, "h").is_err()), "events without a text count too");
    }
}
