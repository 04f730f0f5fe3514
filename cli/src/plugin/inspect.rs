//! `ocho plugin inspect`: all about a component in a file, or about a tool of a host.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use ocho_core::tools::{RevisionView, ToolAnswer, ToolDetail, VERSION};
use ocho_runtime::{ComponentReport, ContractFit};
use serde_json::json;

use super::host::HostArguments;
use super::local::{self, Subject};
use super::show;
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin inspect dist/hello.wasm      a component in a file: no host is asked
  ocho plugin inspect hello                a tool of the host, with its revisions";

/// Show what a component imports, exports and says about itself; of a tool, its revisions, grants and limits too
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct InspectArguments {
    /// A component (a path, or something that ends in `.wasm`), or the name of a tool
    subject: String,
    #[command(flatten)]
    host: HostArguments,
}

/// Prints what is known.
pub(crate) fn run(arguments: &InspectArguments, screen: Screen) -> Result<ExitCode, Failure> {
    match Subject::of(&arguments.subject)? {
        Subject::File(path) => {
            let report = local::report(&path, &local::read(&path)?)?;
            let value = json!({"version": VERSION, "file": path, "component": report});
            arguments.host.print(screen, &value, || of_file(&path, &report))?;
        }
        Subject::Tool(tool) => {
            let tool = arguments.host.connect()?.tool(&tool)?;
            let answer = ToolAnswer { version: VERSION, tool };
            arguments.host.print(screen, &answer, || of_tool(&answer.tool))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn of_file(path: &Path, report: &ComponentReport) -> String {
    let mut rows = vec![
        ("file", path.display().to_string()),
        ("size", show::size(report.bytes)),
        ("component", show::title(&report.metadata)),
    ];
    rows.extend(show::about(&report.metadata));
    rows.extend([
        ("WASI", report.wasi.map_or_else(|| "no command".to_owned(), |wasi| wasi.to_string())),
        ("needs", show::grants(&report.wanted)),
        ("folder", if report.uses_folder { "sees the files that come with a run" } else { "sees no files" }.to_owned()),
        ("fits", report.fits.iter().map(fit).collect::<Vec<_>>().join("\n")),
        ("imports", report.imports.join("\n")),
        ("exports", report.exports.join("\n")),
    ]);
    show::pairs(&rows)
}

/// Whether a component runs on hosts of a contract, and why not.
pub(super) fn fit(fit: &ContractFit) -> String {
    let reasons: Vec<String> = fit.reasons.iter().map(ToString::to_string).collect();
    let verdict = if fit.fits { "yes".to_owned() } else { format!("no: it {}", reasons.join("; it ")) };
    format!("contract {}: {verdict}", fit.contract)
}

fn of_tool(tool: &ToolDetail) -> String {
    let summary = &tool.summary;
    let mut rows = vec![
        ("tool", summary.tool.to_string()),
        ("state", summary.state.to_string()),
        ("error", summary.error.clone().unwrap_or_default()),
        ("wanted", show::grants(&tool.wanted)),
        ("granted", show::grants(&tool.granted)),
        ("missing", summary.missing.to_string()),
    ];
    rows.extend(show::limits(&tool.limits));
    let newest = tool.revisions.first();
    if let Some(newest) = newest {
        rows.extend(show::about(&newest.metadata));
        rows.push(("WASI", newest.wasi.map(|wasi| wasi.to_string()).unwrap_or_default()));
        rows.push(("imports", newest.imports.join("\n")));
    }
    let revisions: Vec<[String; 7]> = tool.revisions.iter().map(revision).collect();
    let header = ["revision", "state", "version", "size", "installed", "signed by", "SHA-256"];
    format!("{}\n\n{}", show::pairs(&rows), show::table(header, &revisions))
}

fn revision(revision: &RevisionView) -> [String; 7] {
    [
        revision.number.to_string(),
        revision.state.to_string(),
        revision.metadata.version.clone().unwrap_or_default(),
        show::size(revision.bytes),
        revision.installed_at.clone().unwrap_or_else(|| revision.origin.to_string()),
        revision.key.clone().unwrap_or_default(),
        revision.digest.chars().take(16).collect(),
    ]
}
