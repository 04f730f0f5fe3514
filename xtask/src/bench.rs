//! `cargo xtask bench`: builds in release and runs the measuring program of `tests/`.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::cargo::{self, Profile};
use crate::workspace::Workspace;
use crate::{say, tools};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this one, such as `shell`; without it, all of them
    name: Option<String>,
    /// Run the hostile set: what ends each of its tools, and what that costs others
    #[arg(long, conflicts_with = "name")]
    hostile: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> anyhow::Result<()> {
    say::start();
    tools::build_all(workspace)?;
    say::step("building in release (the first time takes some minutes)");
    cargo::build_programs(&workspace.root, Profile::Release)?;
    say::step("measuring");
    let mut bench = Command::new(workspace.programs(Profile::Release).join("ocho-bench"));
    let name = if args.hostile { Some("hostile") } else { args.name.as_deref() };
    let status = bench.args(name).current_dir(&workspace.root).status().context("cannot run ocho-bench")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
