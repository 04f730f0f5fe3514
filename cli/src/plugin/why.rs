//! `ocho plugin why`: what keeps a tool from running, and the command that helps.

use std::process::ExitCode;

use clap::Args;
use ocho_core::ToolName;
use ocho_core::tools::{ToolDetail, ToolState, VERSION};
use serde_json::json;

use super::host::HostArguments;
use crate::args::EXIT_CODES;
use crate::blame::{Blame, Failure};
use crate::screen::Screen;

const EXAMPLES: &str = "\
Example:
  ocho plugin why hello

The exit code is 0 if a run of its newest revision can start and 1 if not.";

/// Say what a tool misses, and the command that grants it
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct WhyArguments {
    /// The tool
    tool: ToolName,
    #[command(flatten)]
    host: HostArguments,
}

/// Prints why a tool cannot run, or that it can.
pub(crate) fn run(arguments: &WhyArguments, screen: Screen) -> Result<ExitCode, Failure> {
    show(&arguments.tool, &arguments.host, screen)
}

/// The same for `check`.
pub(super) fn show(tool: &ToolName, host: &HostArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let detail = host.connect()?.tool(tool)?;
    let summary = &detail.summary;
    let is_ok = summary.state == ToolState::Active && summary.missing.is_empty();
    let value = json!({
        "version": VERSION, "tool": tool, "ok": is_ok, "state": summary.state, "missing": summary.missing, "error": summary.error,
        "command": command(&detail),
    });
    host.print(screen, &value, || text(&detail))?;
    Ok(if is_ok { ExitCode::SUCCESS } else { Blame::User.into() })
}

/// What helps, if a command does.
fn command(detail: &ToolDetail) -> Option<String> {
    let tool = &detail.summary.tool;
    let missing = &detail.summary.missing;
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(ocho_core::Interface::name).collect();
        return Some(format!("ocho plugin grant {tool} {}", names.join(" ")));
    }
    match detail.summary.state {
        ToolState::Disabled => Some(format!("ocho plugin enable {tool}")),
        ToolState::Broken if detail.revisions.len() > 1 => Some(format!("ocho plugin rollback {tool}")),
        _ => None,
    }
}

fn text(detail: &ToolDetail) -> String {
    let summary = &detail.summary;
    let mut lines = Vec::new();
    lines.push(match (summary.state, summary.revision) {
        (ToolState::Active, Some(revision)) => format!("{} can run: revision {revision} is active", summary.tool),
        (ToolState::Active, None) => format!("{} can run", summary.tool),
        (ToolState::Disabled, _) => format!("{} cannot run: it is disabled", summary.tool),
        (ToolState::Waiting, _) => format!("{} cannot run: it waits for a grant", summary.tool),
        (ToolState::Broken, _) => format!("{} cannot run: its component is broken", summary.tool),
    });
    if !summary.missing.is_empty() {
        let which = summary.waiting.map_or_else(|| "its newest revision".to_owned(), |number| format!("revision {number}"));
        lines.push(format!("{which} imports {}, which it was not granted", summary.missing));
    } else if let Some(error) = &summary.error {
        lines.push(error.clone());
    }
    lines.extend(command(detail).map(|command| format!("this helps: {command}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(members: &str) -> ToolDetail {
        let limit = r#"{"value": 1, "override": false}"#;
        let text = format!(
            r#"{{"tool": "hello", "active": false, "grants": [], "wanted": [], "granted": [], "revisions": [],
            "limits": {{"memory_bytes": {limit}, "wall_ms": {limit}, "cpu_ms": {limit}, "output_bytes": {limit}, "runs": {limit}}}, {members}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_helps_is_said() {
        for (members, expected) in [
            (r#""state": "active", "revision": 2"#, "hello can run: revision 2 is active"),
            (
                r#""state": "waiting", "waiting": 1, "missing": ["pods/exec", "pods/control"]"#,
                "hello cannot run: it waits for a grant\nrevision 1 imports pods/control, pods/exec, which it was not granted\n\
                 this helps: ocho plugin grant hello pods/control pods/exec",
            ),
            (
                r#""state": "active", "revision": 1, "waiting": 2, "missing": ["pods/exec"]"#,
                "hello can run: revision 1 is active\nrevision 2 imports pods/exec, which it was not granted\n\
                 this helps: ocho plugin grant hello pods/exec",
            ),
            (r#""state": "disabled""#, "hello cannot run: it is disabled\nthis helps: ocho plugin enable hello"),
            (r#""state": "broken", "error": "no component""#, "hello cannot run: its component is broken\nno component"),
        ] {
            assert_eq!(text(&detail(members)), expected);
        }
    }
}
