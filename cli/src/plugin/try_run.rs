//! `ocho plugin run`: runs one component by hand against a pretend cluster.

use std::process::ExitCode;

use clap::Args;

use super::PluginError;
use crate::blame::Failure;
use crate::screen::Screen;

/// Run a component by hand, against the pretend cluster of a scene
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The component
    component: std::path::PathBuf,
}

/// Runs it once.
pub(crate) fn run(arguments: &RunArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let path = arguments.component.clone();
    let bytes = std::fs::read(&path).map_err(|cause| PluginError::Read { path: path.clone(), cause })?;
    screen.note(&format!("{}: {} bytes", path.display(), bytes.len()));
    Err(PluginError::NoProject { folder: path, why: "there is no scene to run it in".to_owned() }.into())
}
