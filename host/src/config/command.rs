//! `ochod config`: what a configuration file says, and what the whole configuration comes to.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Subcommand};

use super::file::{COMMANDS, ConfigFile};
use super::resolve::{Refused, Surroundings, resolve};
use super::{Cli, ConfigError, Problem};

const SHOW_EXAMPLES: &str = "Examples:
  ochod config show
  ochod config show serve --portal 0.0.0.0:9000
  ochod config show --json serve";

/// Options of `ochod config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What `ochod config` does.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with a configuration file, and which commands it fits
    Check {
        /// The file; the one that would be used if not given
        file: Option<PathBuf>,
    },
    /// Print every option with its value and where that comes from, as a configuration file; secrets are hidden
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// The command line to explain, without `ochod`; `up` if not given
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        line: Vec<OsString>,
    },
}

/// Runs it; gives what to print.
///
/// # Errors
/// Where the configuration is wrong.
pub fn run_config(args: &ConfigArgs, around: &Surroundings) -> Result<String, Refused> {
    match &args.command {
        ConfigCommand::Check { file } => Ok(check(file.clone(), around)?),
        ConfigCommand::Show { json, line } => show(line, *json, around),
    }
}

fn show(line: &[OsString], json: bool, around: &Surroundings) -> Result<String, Refused> {
    let is_command = line.first().is_some_and(|word| COMMANDS.iter().any(|command| word == command));
    let up = if is_command { None } else { Some(OsString::from("up")) };
    let whole: Vec<OsString> = [OsString::from("ochod")].into_iter().chain(up).chain(line.iter().cloned()).collect();
    let report = resolve(&whole, around)?.report.expect("these commands have options");
    if !json {
        return Ok(report.to_string());
    }
    let mut value = serde_json::to_value(&report).expect("texts and lists");
    value["version"] = 1.into();
    Ok(format!("{value:#}\n"))
}

/// A file is good when it fits one command at least: addresses of `up` are no masters of `serve`.
fn check(file: Option<PathBuf>, around: &Surroundings) -> Result<String, ConfigError> {
    let Some(path) = file.or_else(|| around.file()) else {
        return Ok("there is no configuration file; every option has its default\n".to_owned());
    };
    let commands = Cli::command();
    let file = ConfigFile::read(&path, &commands)?;
    let of_each: Vec<(&str, Vec<Problem>)> =
        COMMANDS.into_iter().map(|command| (command, file.problems(&commands, command))).collect();
    let fits: Vec<&str> = of_each.iter().filter(|(_, problems)| problems.is_empty()).map(|(command, _)| *command).collect();
    if fits.is_empty() {
        let mut problems: Vec<Problem> = of_each.into_iter().flat_map(|(_, problems)| problems).collect();
        problems.sort_by_key(|problem| problem.line);
        problems.dedup();
        return Err(ConfigError::File(problems));
    }
    let mut text = format!("{}: good for {}\n", path.display(), fits.join(", "));
    for (command, problem) in of_each.iter().flat_map(|(command, problems)| problems.iter().map(move |one| (command, one))) {
        text.push_str(&format!("not for {command}: {problem}\n"));
    }
    if file.shows_a_secret(&commands) {
        text.push_str("it holds a secret and others may read it; chmod it to 600\n");
    }
    Ok(text)
}
