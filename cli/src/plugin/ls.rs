//! `ocho plugin ls`: the tools of a host.

use std::process::ExitCode;

use clap::Args;
use ocho_core::tools::{ToolList, ToolState, ToolSummary};

use super::host::HostArguments;
use super::show;
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin ls
  ocho plugin ls --host my-cluster --json";

/// List the tools of a host, with revision, origin and grants
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct LsArguments {
    #[command(flatten)]
    host: HostArguments,
}

/// Prints a line for each tool.
pub(crate) fn run(arguments: &LsArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let list = arguments.host.connect()?.list()?;
    arguments.host.print(screen, &list, || text(&list))?;
    if !arguments.host.json {
        for broken in list.tools.iter().filter(|tool| tool.state != ToolState::Active) {
            if let Some(error) = &broken.error {
                screen.note(&format!("{}: {error}", broken.tool));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(list: &ToolList) -> String {
    let rows: Vec<[String; 6]> = list.tools.iter().map(row).collect();
    show::table(["tool", "state", "revision", "origin", "version", "grants"], &rows)
}

fn row(tool: &ToolSummary) -> [String; 6] {
    let revision = match (tool.revision, tool.waiting) {
        (Some(active), Some(waiting)) => format!("{active} ({waiting} waits)"),
        (Some(active), None) => active.to_string(),
        (None, Some(waiting)) => format!("({waiting} waits)"),
        (None, None) => String::new(),
    };
    [
        tool.tool.to_string(),
        tool.state.to_string(),
        revision,
        tool.origin.map(|origin| origin.to_string()).unwrap_or_default(),
        tool.tool_version.clone().unwrap_or_default(),
        tool.grants.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_tool() {
        let list = r#"{"version": 1, "tools": [
            {"tool": "hello", "active": true, "state": "active", "revision": 2, "waiting": 3, "origin": "installed", "tool_version": "0.1.0",
             "grants": ["pods/registry"], "missing": ["pods/exec"]},
            {"tool": "bad", "active": false, "state": "broken", "grants": [], "error": "not a component"}]}"#;
        let list: ToolList = serde_json::from_str(list).unwrap();
        let expected = [
            "tool   |  state   |  revision     |  origin     |  version  |  grants       ",
            "       |          |               |             |           |               ",
            "hello  |  active  |  2 (3 waits)  |  installed  |  0.1.0    |  pods/registry",
            "bad    |  broken  |               |             |           |               ",
        ];
        assert_eq!(text(&list), expected.join("\n"));
    }
}
