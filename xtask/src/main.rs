//! Chores of the project: `cargo xtask tools | up | test | docs | bench`.

mod bench;
mod cargo;
mod daemon;
mod dist;
mod docs;
// The harness of the tests looks for the same; as a crate of its own it would be compiled for xtask too.
#[path = "../../tests/src/leftovers.rs"]
#[allow(unreachable_pub)]
mod leftovers;
mod outcome;
mod prerequisites;
mod python_jobs;
mod say;
mod setup;
mod test;
mod tools;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use workspace::Workspace;

/// Build, start, test and measure ocho.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the standard tools and the guests of the tests as WebAssembly components
    Tools,
    /// Set up what is missing, build, start a cluster on this machine and open a prompt on it
    Up(up::Args),
    /// Set up what the tests need and run them all
    Test(test::Args),
    /// Write the pages of docs/reference anew, from the sources
    Docs,
    /// Build in release and measure
    Bench(bench::Args),
    /// Build the pod agent as one static program, and check that it is one and small
    Dist,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args.chore) {
        Ok(()) => ExitCode::SUCCESS,
        // Without the backtrace that `RUST_BACKTRACE` would add: what went wrong is as a rule outside of this program.
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Tools => tools::build_all(&workspace),
        Chore::Up(args) => up::run(&workspace, &args),
        Chore::Test(args) => test::run(&workspace, &args),
        Chore::Docs => docs::run(&workspace),
        Chore::Bench(args) => bench::run(&workspace, &args),
        Chore::Dist => dist::run(&workspace),
    }
}
