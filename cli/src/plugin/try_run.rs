//! `ocho plugin run`: runs one component by hand against a pretend cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::PluginError;
use super::scene::{Theatre, empty, load, order_line};
use crate::blame::Failure;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin run dist/hello.wasm -- '*web' -j                              an empty cluster
  ocho plugin run dist/hello.wasm --cluster scenes/silent.toml              the words of the scene
  ocho plugin run dist/hello.wasm --cluster scenes/silent.toml -- '*web'    other words

What the tool prints goes where it printed it; what the cluster was asked and ordered follows on standard error.
The exit code is the tool's, 137 where it was ended.";

/// Run a component by hand, against the pretend cluster of a scene
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArguments {
    /// The component
    component: PathBuf,
    /// The scene whose cluster it meets; what the scene expects does not matter
    #[arg(long, value_name = "SCENE")]
    cluster: Option<PathBuf>,
    /// Words for the tool; without any, those of the scene
    #[arg(last = true)]
    words: Vec<String>,
}

/// Runs it once.
pub(crate) fn run(arguments: &RunArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let mut scene = match &arguments.cluster {
        Some(path) => load(path).map_err(PluginError::from)?,
        None => empty(),
    };
    if !arguments.words.is_empty() {
        scene = scene.with_args(arguments.words.clone());
    }
    let played = Theatre::open(&arguments.component).and_then(|theatre| theatre.play(&scene)).map_err(PluginError::from)?;
    let mut output = screen.output();
    output.err(&played.err);
    output.out(&played.out)?;
    output.end()?;
    for heard in &played.heard {
        screen.note(&format!("{} {}", if heard.is_order { "->" } else { " ?" }, order_line(heard)));
    }
    for why in played.refused.iter().chain(&played.ended) {
        screen.error(why);
    }
    Ok(played.exit.into())
}
