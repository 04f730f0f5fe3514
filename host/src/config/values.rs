//! Values on their way from a source to clap, which reads and checks them all.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

/// An option's place among the words of a command.
pub(super) fn is_option(arg: &Arg) -> bool {
    !["help", "version", "config"].contains(&arg.get_id().as_str()) && arg.get_long().is_some()
}

pub(super) fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

pub(super) fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Whether one text holds several, with commas between.
pub(super) fn is_joined(arg: &Arg) -> bool {
    !is_list(arg) && arg.get_value_names().is_some_and(|names| names.iter().any(|name| name.ends_with(",...")))
}

pub(super) fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == value_parser!(PathBuf).type_id()
}

/// A value of a secret option is never shown.
pub(super) fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set()
}

/// The option as words of a command line. A switch that is off has none.
pub(super) fn words(arg: &Arg, values: &[OsString]) -> Vec<OsString> {
    let long = arg.get_long().expect("options have long names");
    if is_switch(arg) {
        return values.iter().filter(|value| *value == "true").map(|_| format!("--{long}").into()).collect();
    }
    let word = |value: &OsString| {
        let mut word = OsString::from(format!("--{long}="));
        word.push(value);
        word
    };
    values.iter().map(word).collect()
}

/// Reads a switch's variable.
pub(super) fn switch(value: &OsStr) -> Result<OsString, String> {
    let text = value.to_string_lossy();
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok("true".into()),
        "0" | "false" | "no" | "off" => Ok("false".into()),
        _ => Err(format!("`{text}` is neither `true` nor `false`")),
    }
}

/// Asks clap what it thinks of these values alone; gives its reason where they are no good.
pub(super) fn verdict(command: &Command, name: &str, arg: &Arg, values: &[OsString]) -> Result<(), String> {
    let command = lenient(command.clone());
    let line = [OsString::from("ochod"), name.into()].into_iter().chain(words(arg, values));
    command.try_get_matches_from(line).map(drop).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("error: ").unwrap_or(first).to_owned()
    })
}

/// The same commands without variables: those are read before.
pub(super) fn without_variables(command: Command) -> Command {
    command.mut_subcommands(|command| command.mut_args(|arg| arg.env(None::<&'static str>)))
}

/// The same commands, and nothing is required.
pub(super) fn lenient(command: Command) -> Command {
    without_variables(command).mut_subcommands(|command| match command.get_name() {
        "config" | "task-shim" => command,
        _ => command.mut_args(|arg| arg.required(false)),
    })
}
