//! `cargo xtask bench`: builds in release and runs the measuring program of `tests/`.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::workspace::Workspace;
use crate::{cargo, say, tools};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this one, such as `shell`; without it, all of them
    name: Option<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    say::start();
    tools::build_all(workspace)?;
    say::step("building in release (the first time takes some minutes)");
    cargo::build_release(&workspace.root)?;
    say::step("measuring");
    let mut bench = Command::new(workspace.release("ocho-bench"));
    let status = bench.args(&args.name).current_dir(&workspace.root).status().context("cannot run ocho-bench")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
