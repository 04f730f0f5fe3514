//! `cargo xtask test`: everything that the tests need, then all of them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, bail};

use crate::outcome::Outcome;
use crate::workspace::Workspace;
use crate::{cargo, python_jobs, say, setup, tools};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only the tests whose names contain this
    filter: Option<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    say::start();
    setup::for_tests(workspace);
    let mut outcome = Outcome::default();
    match build(workspace) {
        Ok(()) => run_tests(workspace, args, &mut outcome)?,
        Err(problem) => outcome.fail(format!("{problem:#}")),
    }
    report(&outcome);
    if outcome.failed() > 0 || outcome.is_empty() {
        // Not an error of xtask: nothing is to be added to the closing line.
        std::process::exit(1);
    }
    Ok(())
}

fn build(workspace: &Workspace) -> anyhow::Result<()> {
    tools::build_all(workspace)?;
    if let Err(problem) = python_jobs::build(workspace) {
        say::note(format_args!("no jobs in Python: {problem:#}"));
    }
    say::step("building the programs and the tests (the first time takes some minutes)");
    // The tests of the embedded cluster start it as an example, alone.
    let status = cargo::command(&workspace.root)
        .arg("build")
        .args(cargo::TESTED)
        .arg("--examples")
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the programs and the tests do not compile");
    }
    Ok(())
}

fn run_tests(workspace: &Workspace, args: &Args, outcome: &mut Outcome) -> anyhow::Result<()> {
    say::step("running the tests");
    let mut cargo = cargo::command(&workspace.root);
    cargo.arg("test").args(cargo::TESTED).arg("--no-fail-fast");
    if let Some(filter) = &args.filter {
        cargo.arg("--").arg(filter);
    }
    follow(&mut cargo, outcome)?;
    say::step("running the examples in the documentation");
    let mut cargo = cargo::command(&workspace.root);
    cargo.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
    if let Some(filter) = &args.filter {
        cargo.arg("--").arg(filter);
    }
    follow(&mut cargo, outcome)
}

/// Runs, shows and counts.
fn follow(cargo: &mut Command, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut child = cargo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot run cargo")?;
    let (stdout, stderr) = (child.stdout.take().context("no output")?, child.stderr.take().context("no output")?);
    let before = outcome.failed();
    let counted = Mutex::new(std::mem::take(outcome));
    let read = |line: &str, take: fn(&mut Outcome, &str)| take(&mut counted.lock().expect("no reader panics"), line);
    thread::scope(|scope| {
        scope.spawn(|| {
            lines(stderr, |line| {
                eprintln!("{line}");
                read(line, Outcome::read_error);
            })
        });
        lines(stdout, |line| {
            println!("{line}");
            read(line, Outcome::read_output);
        });
    });
    *outcome = counted.into_inner().expect("no reader panics");
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() && outcome.failed() == before {
        outcome.fail(format!("a test program ended early: {status}"));
    }
    Ok(())
}

fn lines(from: impl Read, mut take: impl FnMut(&str)) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        take(String::from_utf8_lossy(&line).trim_end());
    }
}

fn report(outcome: &Outcome) {
    say::step("done");
    for (title, names) in [("skipped", &outcome.skipped), ("failed", &outcome.failures)] {
        for name in names {
            say::note(format_args!("{title}: {name}"));
        }
    }
    println!("{outcome}");
}
