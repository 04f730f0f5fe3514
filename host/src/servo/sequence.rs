//! A job from its archive to its last part: unpack, decrypt, and run one component after the other until one fails.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use ocho_runtime::{Channel, OutputReader, Plugin, WorkFolder};
use tokio_util::sync::CancellationToken;

use super::bundle;
use super::find::find;
use super::jobs::{Inner, Job, Jobs, State};
use super::log::{JobLog, Kind, Lines};
use super::secrets;
use crate::runs::{Ending, JobOrder as RunOrder, JobStep};

/// Lines of standard error that the reply shows of a part that failed.
const TAIL_LINES: usize = 50;

/// Why a job did not come to the end of its last part.
enum Stop {
    /// The line that the log ends with.
    Failed(String),
    Cancelled,
}

impl From<String> for Stop {
    fn from(failure: String) -> Self {
        Self::Failed(failure)
    }
}

/// Carries a job out and gives how it ended. Its folder is gone when this returns.
pub(super) async fn carry_out(jobs: &Jobs, job: &Arc<Job>, archive: File) -> State {
    job.log.note(format!("$CALLBACK = {}", job.callback.url));
    job.variables.lines().for_each(|line| job.log.note(line));
    let done = prepare_and_run(&jobs.0, job, archive).await;
    let folder = job.callback.take_folder();
    // Thousands of files take a moment to remove.
    let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
    match done {
        Ok(()) => State::Succeeded,
        Err(Stop::Cancelled) => State::Cancelled,
        Err(Stop::Failed(failure)) => {
            job.log.note(failure);
            State::Failed
        }
    }
}

async fn prepare_and_run(inner: &Arc<Inner>, job: &Arc<Job>, archive: File) -> Result<(), Stop> {
    let folder = prepare(inner, job, archive).await?;
    for name in &job.names {
        run_part(inner, job, &folder, name).await?;
    }
    Ok(())
}

async fn prepare(inner: &Arc<Inner>, job: &Arc<Job>, archive: File) -> Result<WorkFolder, Stop> {
    let (inner, log) = (inner.clone(), job.log.clone());
    let archive = UntilCancelled { inner: archive, cancel: job.cancel.clone() };
    let work = move || {
        let folder = inner.folders.folder().map_err(|error| format!("unexpected failure (no folder for the bundle: {error})"))?;
        bundle::unpack(archive, folder.path(), inner.bundle_limits)
            .map_err(|error| format!("failure (unable to open the archive ({error}))"))?;
        let decrypted = secrets::decrypt_all(folder.path(), &inner.token, &inner.folders);
        let decrypted = decrypted.map_err(|error| format!("failure ({error})"))?;
        log.mask(decrypted.secrets);
        decrypted.names.iter().for_each(|file| log.note(format!("decrypted {file}")));
        Ok::<_, String>(folder)
    };
    // Waited for to its end, cancelled or not: what it unpacks is gone before the job is over.
    let done = blocking(work).await?;
    if job.cancel.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    let folder = done?;
    job.callback.open(folder.clone());
    Ok(folder)
}

/// Reads to the end, or until the job is cancelled.
struct UntilCancelled<R> {
    inner: R,
    cancel: CancellationToken,
}

impl<R: Read> Read for UntilCancelled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() { Err(io::Error::other("cancelled")) } else { self.inner.read(buffer) }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("unexpected failure ({error})"))
}

async fn run_part(inner: &Arc<Inner>, job: &Arc<Job>, folder: &WorkFolder, name: &str) -> Result<(), Stop> {
    let (plugin, digest) = component(inner, job, folder, name).await?;
    let mut limits = inner.limits.clone();
    // The limit is the whole log's: a bundle of many parts must not print so much with each.
    limits.output_bytes = limits.output_bytes.saturating_sub(job.log.bytes());
    let step = JobStep { name: name.to_owned(), digest, plugin, limits };
    let mut env = job.variables.environment();
    env.push(("CALLBACK".to_owned(), job.callback.url.clone()));
    let started = Instant::now();
    let (step, outgoing, masks) = (Arc::new(step), inner.outgoing.clone(), job.log.masks());
    let order = RunOrder { parent: job.id, step, env, folder: folder.clone(), outgoing, masks };
    let mut run = inner.runs.start_job(order);
    let (id, reader) = (run.id, run.output.reader());
    let ended = async {
        let ending = run.ended().await;
        // One that is ended before its first step closes nothing itself.
        run.output.close();
        ending
    };
    let mut end = pin!(async { tokio::join!(ended, follow(reader, &job.log)) });
    let (ending, tail) = tokio::select! {
        end = &mut end => end,
        () = job.cancel.cancelled() => {
            // Ended and waited for, since it still has the folder.
            let _ = inner.runs.cancel(id);
            let _ = end.await;
            return Err(Stop::Cancelled);
        }
    };
    tell_end(job, name, &ending, tail, started)
}

/// The component that a name means, compiled.
async fn component(inner: &Inner, job: &Job, folder: &WorkFolder, name: &str) -> Result<(Plugin, String), Stop> {
    let (place, wanted) = (folder.clone(), name.to_owned());
    let found = blocking(move || find(&place, &wanted)).await?;
    let wasm = found.map_err(|error| format!("failure ({error})"))?;
    let compiled = tokio::select! {
        compiled = inner.code.get(wasm) => compiled,
        () = job.cancel.cancelled() => return Err(Stop::Cancelled),
    };
    Ok(compiled.map_err(|why| format!("failure ({name} cannot run: {why})"))?)
}

/// What follows the output of a part: the end of its standard error if it failed, why the host ended it, how long it took.
fn tell_end(job: &Job, name: &str, ending: &Ending, tail: VecDeque<Vec<u8>>, started: Instant) -> Result<(), Stop> {
    let failed = ending.exit_code != 0;
    if failed {
        tail.iter().for_each(|line| job.log.printed(Kind::Tail, line));
    }
    if let Some(note) = &ending.note {
        job.log.note(note);
    }
    job.log.note(format!("{name} ran in {} seconds", started.elapsed().as_secs()));
    if failed { Err(Stop::Failed(format!("failure ({name} failed on exit code {})", ending.exit_code))) } else { Ok(()) }
}

/// Writes down what a part prints, as it comes; gives the last lines of its standard error.
async fn follow(mut reader: OutputReader, log: &JobLog) -> VecDeque<Vec<u8>> {
    let (mut out, mut err) = (Lines::default(), Lines::default());
    let mut tail = VecDeque::new();
    let mut print_err = |line: Vec<u8>| {
        log.printed(Kind::Err, &line);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    };
    while let Some(chunks) = reader.next().await {
        for chunk in chunks {
            match chunk.channel {
                Channel::Out => out.take(&chunk.bytes).iter().for_each(|line| log.printed(Kind::Out, line)),
                Channel::Err => err.take(&chunk.bytes).into_iter().for_each(&mut print_err),
            }
        }
    }
    err.rest().into_iter().for_each(&mut print_err);
    out.rest().iter().for_each(|line| log.printed(Kind::Out, line));
    tail
}
