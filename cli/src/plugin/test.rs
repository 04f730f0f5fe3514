//! `ocho plugin test`: builds the plugin and plays its scenes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::PluginError;
use super::project::Project;
use super::scene::{Theatre, Verdict, Verdicts, load_all};
use crate::blame::{Blame, Failure};
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin test                     the plugin in this folder, all its scenes
  ocho plugin test . silent            those whose names contain `silent`
  ocho plugin test --json              for programs
  ocho plugin test --component x.wasm  a component that is built already

The scenes are the files `scenes/*.toml`; docs/scenes.md says what they hold. The exit code is 1 where one fails.";

/// Build the plugin in a folder and play its scenes against a pretend cluster
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArguments {
    /// The folder of the plugin
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Only the scenes whose names contain this
    filter: Option<String>,
    /// Play this component instead of building one
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Plays every scene.
pub(crate) fn run(arguments: &TestArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let scenes = load_all(&arguments.folder.join("scenes"), arguments.filter.as_deref()).map_err(PluginError::from)?;
    let component = match &arguments.component {
        Some(component) => component.clone(),
        None => Project::open(&arguments.folder)?.build(screen)?,
    };
    let theatre = Theatre::open(&component).map_err(PluginError::from)?;
    let played = theatre.play_all(&scenes);
    let verdicts = Verdicts(scenes.iter().zip(played).map(|(scene, played)| Verdict::new(scene, played)).collect());
    screen.result(&if arguments.json { verdicts.json(theatre.component()).to_string() } else { verdicts.text() })?;
    Ok(if verdicts.are_good() { ExitCode::SUCCESS } else { Blame::User.into() })
}
