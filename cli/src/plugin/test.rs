//! `ocho plugin test`: builds the plugin and plays its scenes.

use std::process::ExitCode;

use clap::Args;

use super::PluginError;
use super::project::Project;
use crate::blame::Failure;
use crate::screen::Screen;

/// Build the plugin in this folder and play its scenes
#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// The folder of the plugin
    #[arg(default_value = ".")]
    folder: std::path::PathBuf,
}

/// Plays every scene.
pub(crate) fn run(arguments: &TestArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let project = Project::open(&arguments.folder)?;
    let component = project.build()?;
    screen.note(&format!("built {}", component.display()));
    let why = "it has no scenes".to_owned();
    Err(PluginError::NoProject { folder: project.folder().to_owned(), why }.into())
}
