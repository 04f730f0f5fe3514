//! `ocho cli`: from arguments and environment to one command, or to a conversation.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use ocho_core::signature::Token;
use tokio::runtime::{Builder, Runtime};

use crate::args::CliArguments;
use crate::blame::Failure;
use crate::client::{Client, HostVersion, Scheme};
use crate::command::{Line, LineError};
use crate::prompt;
use crate::runner::{Format, Interrupt, Runner};
use crate::screen::Screen;
use crate::target::{Target, TargetError};

/// Runs `ocho cli` to its end.
pub(crate) fn run(arguments: &CliArguments, screen: Screen) -> Result<ExitCode, Failure> {
    let proxy = std::env::var_os("OCHOPOD_PROXY");
    if proxy.is_none() && arguments.words == ["help"] {
        return screen.result(&crate::args::cli_help()).map(|()| ExitCode::SUCCESS);
    }
    let (target, words) = target_and_words(proxy, &arguments.words)?;
    let client = Client::new(target, token()?, scheme(arguments.compat))?;
    let at_prompt = words.is_empty() && io::stdin().is_terminal();
    let interrupt = if at_prompt { Interrupt::Command } else { Interrupt::Program };
    let format = if arguments.json { Format::Json } else { Format::People };
    let runner = Runner { client, screen, interrupt, format };
    if at_prompt {
        return prompt::converse(&runner, &with_background()?);
    }
    let runtime = one_thread()?;
    if words.is_empty() {
        return prompt::follow_lines(&runner, &runtime, &mut io::stdin().lock());
    }
    Ok(runtime.block_on(runner.run(line_of(words))).into())
}

/// Asks a host what it is.
pub(crate) fn host_version(host: Option<&OsString>) -> Result<Option<(String, HostVersion)>, Failure> {
    let target = match (host, std::env::var_os("OCHOPOD_PROXY")) {
        (Some(host), _) => Target::parse(&host.to_string_lossy())?,
        (None, Some(proxy)) => target_and_words(Some(proxy), &[])?.0,
        (None, None) => return Ok(None),
    };
    let client = Client::new(target, token()?, Scheme::Whole)?;
    let version = one_thread()?.block_on(client.version())?;
    Ok(Some((client.target().label().to_owned(), version)))
}

/// The host from `$OCHOPOD_PROXY`, and then every word belongs to the command; else from the first word.
fn target_and_words(proxy: Option<OsString>, words: &[OsString]) -> Result<(Target, &[OsString]), TargetError> {
    if let Some(proxy) = proxy {
        let host = proxy.to_str().ok_or(TargetError::VariableNotUtf8)?.trim();
        if host.is_empty() {
            return Err(TargetError::EmptyVariable);
        }
        return Ok((Target::parse(host)?, without_separator(words)));
    }
    let (host, words) = words.split_first().ok_or(TargetError::Missing)?;
    Ok((Target::parse(&host.to_string_lossy())?, without_separator(words)))
}

/// `ocho cli host -- ls -j` is the spelling of old scripts.
fn without_separator(words: &[OsString]) -> &[OsString] {
    match words.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => words,
    }
}

fn scheme(compat: bool) -> Scheme {
    if compat { Scheme::Line } else { Scheme::Whole }
}

pub(crate) fn token() -> Result<Option<Token>, TargetError> {
    let Some(secret) = std::env::var_os("OCHOPOD_TOKEN") else { return Ok(None) };
    Ok(Token::new(secret.to_str().ok_or(TargetError::TokenNotUtf8)?))
}

fn line_of(words: &[OsString]) -> Result<Line, Failure> {
    let words: Option<Vec<String>> = words.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    Ok(Line::from_words(&words.ok_or(LineError::NotUtf8)?)?)
}

pub(crate) fn one_thread() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

/// A second thread learns what the host has to complete while the first one waits for keys.
fn with_background() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(no_runtime)
}

fn no_runtime(cause: io::Error) -> Failure {
    Failure::Machine { what: "cannot start", cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(proxy: Option<&str>, line: &str, host: &str, command: &str) {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (target, rest) = target_and_words(proxy.map(OsString::from), &words).unwrap();
        let rest: Vec<&str> = rest.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!((target.label(), rest.join(" ").as_str()), (host, command));
    }

    #[test]
    fn the_variable_goes_before_the_first_word() {
        check(None, "h ls -j", "h", "ls -j");
        check(None, "h -- ls -j", "h", "ls -j");
        check(None, "h", "h", "");
        check(Some("p"), "h ls", "p", "h ls");
        check(Some("p:1"), "-- ls", "p:1", "ls");
        check(Some("p"), "", "p", "");
    }

    #[test]
    fn no_host_is_told() {
        let text = |proxy: Option<&str>| target_and_words(proxy.map(OsString::from), &[]).unwrap_err().to_string();
        assert_eq!(text(None), "either set $OCHOPOD_PROXY or pass the proxy IP as an argument");
        assert_eq!(text(Some("")), "$OCHOPOD_PROXY is set but empty: give it a host or unset it");
    }
}
