//! `ocho plugin check`: whether a component, or a tool of a host, can run.

use std::process::ExitCode;

use clap::Args;
use ocho_core::tools::VERSION;
use serde_json::json;

use super::host::HostArguments;
use super::inspect::fit;
use super::local::{self, Subject};
use super::why;
use crate::args::EXIT_CODES;
use crate::blame::{Blame, Failure};
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin check dist/hello.wasm      compiles and links it as a host of this version does; no host is asked
  ocho plugin check hello                whether a run of the host's tool can start

The exit code is 0 if it can run and 1 if not.";

/// Check whether a component fits hosts of this version, or whether a tool of a host can run, and say why not
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct CheckArguments {
    /// A component (a path, or something that ends in `.wasm`), or the name of a tool
    subject: String,
    #[command(flatten)]
    host: HostArguments,
}

/// Prints the verdict.
pub(crate) fn run(arguments: &CheckArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let path = match Subject::of(&arguments.subject)? {
        Subject::Tool(tool) => return why::show(&tool, &arguments.host, screen),
        Subject::File(path) => path,
    };
    let wasm = local::read(&path)?;
    let report = local::report(&path, &wasm)?;
    let linked = local::link(&path, &wasm, &report, screen).map_err(Failure::from);
    if !arguments.host.json {
        linked?;
        let fits: Vec<String> = report.fits.iter().map(fit).collect();
        screen.result(&format!("{}: {}", path.display(), fits.join(", ")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let error = linked.as_ref().err().map(Failure::chain);
    let value = json!({"version": VERSION, "file": path, "ok": error.is_none(), "error": error, "fits": report.fits, "wanted": report.wanted});
    screen.result(&ocho_core::json::to_line(&value))?;
    Ok(if error.is_none() { ExitCode::SUCCESS } else { Blame::User.into() })
}
