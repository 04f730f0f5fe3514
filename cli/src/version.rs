//! `ocho version`: what runs here, and what runs on the host.

use std::process::ExitCode;

use ocho_core::json;
use serde_json::json;

use crate::args::VersionArguments;
use crate::blame::Failure;
use crate::cli;
use crate::screen::Screen;

const OURS: &str = env!("CARGO_PKG_VERSION");

/// Prints our version, then the host's. A host that does not answer does not hide ours.
pub(crate) fn run(arguments: &VersionArguments, screen: Screen) -> Result<ExitCode, Failure> {
    if !arguments.json {
        screen.result(&format!("ocho {OURS}"))?;
    }
    let host = match cli::host_version(arguments.host.as_ref()) {
        Err(failure) if arguments.json => {
            let value = json!({"version": 1, "ocho": OURS, "error": failure.chain()});
            screen.result(&json::to_line(&value))?;
            return Ok(failure.blame().into());
        }
        other => other?,
    };
    if arguments.json {
        let host = host.map(|(name, host)| json!({"name": name, "ochod": host.ochod, "contract": host.contract}));
        screen.result(&json::to_line(&json!({"version": 1, "ocho": OURS, "host": host})))?;
    } else if let Some((name, host)) = host {
        screen.result(&format!("ochod {} on {name} (contract {})", host.ochod, host.contract))?;
    }
    Ok(ExitCode::SUCCESS)
}
