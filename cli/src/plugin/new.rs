//! `ocho plugin new`: begins a plugin that works, with its tests, the SDK and the contract.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ocho_core::ToolName;

use super::PluginError;
use super::project::{Kind, Language};
use super::scaffold::{self, Plan, WasiVersion};
use crate::args::EXIT_CODES;
use crate::blame::Failure;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  ocho plugin new hello                      a tool in Rust, for WASI 0.3
  ocho plugin new hello --lang python        the same in Python
  ocho plugin new check-web --kind job       a job for the servo
  ocho plugin new hello --wasi 0.2           an ordinary `fn main()`, which `cargo component build` builds too";

/// Begin a plugin: a folder with a tool or a job that works, its tests, the SDK and the contract
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct NewArguments {
    /// Its name: lower-case letters, digits and `-`, beginning with a letter
    name: ToolName,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
    /// What it is for
    #[arg(long, default_value = "tool")]
    kind: Kind,
    /// The WASI that it is a command for
    #[arg(long, value_name = "VERSION", default_value = "0.3")]
    wasi: WasiVersion,
    /// The folder to write [default: <NAME>]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

/// Writes the folder.
pub(crate) fn run(arguments: &NewArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let name = arguments.name.as_str();
    if arguments.lang == Language::Python && arguments.wasi == WasiVersion::P2 {
        return Err(PluginError::PythonP2.into());
    }
    if arguments.lang == Language::Rust && name.starts_with("ocho-") {
        return Err(PluginError::OurName(name.to_owned()).into());
    }
    let folder = arguments.into.clone().unwrap_or_else(|| PathBuf::from(name));
    scaffold::write(Plan { name, language: arguments.lang, kind: arguments.kind, wasi: arguments.wasi }, &folder)?;
    screen.result(&format!("{} ready in {}/", arguments.kind.word(), folder.display()))?;
    let last = match arguments.kind {
        Kind::Tool => "ocho plugin install".to_owned(),
        Kind::Job => format!("ocho run --host localhost dist {name}"),
    };
    screen.hint_if_watched(&format!("`cd {}`, `ocho plugin test`, and then `{last}`", folder.display()));
    Ok(ExitCode::SUCCESS)
}
