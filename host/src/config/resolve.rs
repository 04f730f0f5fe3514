//! From the command line, the environment and the file to one configuration.
//!
//! The words that the user typed are parsed first, to see what they set. What the other sources say of the rest is added as
//! further words, so that clap reads and checks every value in one way, and the whole is parsed again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command as Clap, CommandFactory as _, FromArgMatches as _};

use super::file::{COMMANDS, ConfigFile};
use super::report::HIDDEN;
use super::values::{is_list, is_option, is_secret, is_switch, lenient, switch, verdict, without_variables, words};
use super::{Cli, Command, ConfigError, Origin, Report, Setting, seeds};

/// The environment's variables. Those whose names are no text concern us not.
pub(super) type Variables = BTreeMap<String, OsString>;

/// What surrounds the program.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The environment.
    pub variables: Variables,
    /// Where the machine's files begin: `/`.
    pub root: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn here() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: variables.collect(), root: PathBuf::from("/") }
    }

    fn set(&self, name: &str) -> Option<&OsString> {
        // An empty variable is what a template leaves where there was nothing to fill in.
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    /// The file that would be used without a flag.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.set("OCHOD_CONFIG").map(PathBuf::from).or_else(|| self.default_file())
    }

    /// The first file of the places where one is looked for.
    fn default_file(&self) -> Option<PathBuf> {
        let home = self.set("HOME").map(|home| Path::new(home).join(".config"));
        let user = self.set("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
        let places = user.into_iter().chain([self.root.join("etc")]).map(|folder| folder.join("ocho/ochod.toml"));
        places.into_iter().find(|file| file.exists())
    }
}

/// A configuration that holds together.
#[derive(Debug)]
pub struct Resolved {
    /// What to do.
    pub command: Command,
    /// Each option with its origin; empty for commands without options.
    pub report: Option<Report>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The words are wrong, or ask for help.
    #[error(transparent)]
    Words(#[from] clap::Error),
    /// A file or a variable is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// An option's values and where they come from.
struct Given<'a> {
    arg: &'a Arg,
    values: Vec<OsString>,
    origin: Origin,
}

/// Reads the whole configuration.
///
/// # Errors
/// Where the words, a variable or the file cannot be read; and the help, where it is asked for.
pub fn resolve(line: &[OsString], around: &Surroundings) -> Result<Resolved, Refused> {
    let commands = Cli::command();
    let first = match lenient(commands.clone()).try_get_matches_from(line) {
        Ok(matches) => matches,
        // The help names the variables, which are not in the lenient commands.
        Err(error) if error.use_stderr() => return Err(error.into()),
        Err(error) => return Err(commands.try_get_matches_from(line).err().unwrap_or(error).into()),
    };
    let Some((name, matches)) = first.subcommand().filter(|(name, _)| COMMANDS.contains(name)) else {
        return Ok(Resolved { command: Cli::from_arg_matches(&first)?.command, report: None });
    };
    let name = name.to_owned();
    let file = config_file(matches, &commands, around)?;
    let clap = commands.find_subcommand(&name).expect("it was parsed").clone();
    let mut given = Vec::new();
    for arg in clap.get_arguments().filter(|arg| is_option(arg)) {
        given.extend(find(&commands, &name, arg, matches, file.as_ref(), around)?);
    }
    let given = without_beaten(given, &clap)?;
    let added = given.iter().filter(|given| given.origin != Origin::Flag).flat_map(|given| words(given.arg, &given.values));
    let whole: Vec<OsString> = line.iter().cloned().chain(added).collect();
    let matches = without_variables(commands).try_get_matches_from(whole)?;
    let report = report(&name, &clap, &matches, &given, file.as_ref());
    let mut command = Cli::from_arg_matches(&matches)?.command;
    if let (Some(host), Some(file)) = (command.host_mut(), file) {
        host.sections = file.sections;
    }
    Ok(Resolved { command, report: Some(report) })
}

/// The file that the user named, or the first of the default places.
fn config_file(matches: &ArgMatches, commands: &Clap, around: &Surroundings) -> Result<Option<ConfigFile>, ConfigError> {
    let flag = matches.get_one::<PathBuf>("config").cloned();
    let Some(path) = flag.or_else(|| around.file()) else { return Ok(None) };
    let file = ConfigFile::read(&path, commands)?;
    if file.shows_a_secret(commands) {
        tracing::warn!(file = %path.display(), "the configuration file holds a secret and others may read it; chmod it to 600");
    }
    Ok(Some(file))
}

/// What the nearest source says of an option.
fn find<'a>(
    commands: &Clap,
    command: &str,
    arg: &'a Arg,
    matches: &ArgMatches,
    file: Option<&ConfigFile>,
    around: &Surroundings,
) -> Result<Option<Given<'a>>, ConfigError> {
    let option = arg.get_long().expect("options have long names");
    if matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
        return Ok(Some(Given { arg, values: Vec::new(), origin: Origin::Flag }));
    }
    let own = arg.get_env().and_then(|name| name.to_str()).and_then(|name| Some((name.to_owned(), around.set(name)?.clone())));
    let own = own.map(|(name, value)| (Origin::Environment(name.clone()), name, value));
    let seed = || seeds::variable(command, option, &around.variables);
    let variable = own.or_else(|| seed().map(|(name, value)| (Origin::Seed(name.clone()), name, value)));
    if let Some((origin, name, value)) = variable {
        let wrong = |why| ConfigError::Variable { name: name.clone(), why };
        let values = vec![if is_switch(arg) { switch(&value).map_err(wrong)? } else { value }];
        verdict(commands, command, arg, &values).map_err(wrong)?;
        return Ok(Some(Given { arg, values, origin }));
    }
    if let Some(file) = file
        && let Some(found) = file.find(commands, command, arg)?
    {
        let origin = Origin::File { path: file.path.clone(), line: found.line };
        return Ok(Some(Given { arg, values: found.values, origin }));
    }
    let machine = if (command, option) == ("serve", "zookeeper") { seeds::zookeeper(&around.root) } else { None };
    Ok(machine.map(|(file, value)| Given { arg, values: vec![value], origin: Origin::Machine(file) }))
}

/// Of options that exclude each other only the nearest stays.
fn without_beaten<'a>(given: Vec<Given<'a>>, clap: &Clap) -> Result<Vec<Given<'a>>, ConfigError> {
    let exclude = |one: &Arg, other: &Arg| {
        let named = |a: &Arg, b: &Arg| clap.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b.get_id());
        one.get_id() != other.get_id() && (named(one, other) || named(other, one))
    };
    let mut beaten = Vec::new();
    for (nth, one) in given.iter().enumerate() {
        for other in given.iter().skip(nth + 1).filter(|other| exclude(one.arg, other.arg)) {
            match one.origin.rank().cmp(&other.origin.rank()) {
                std::cmp::Ordering::Less => beaten.push(one.arg.get_id().clone()),
                std::cmp::Ordering::Greater => beaten.push(other.arg.get_id().clone()),
                std::cmp::Ordering::Equal => {
                    let name = |given: &Given<'_>| given.arg.get_long().unwrap_or_default().to_owned();
                    return Err(ConfigError::Exclusive(name(one), name(other)));
                }
            }
        }
    }
    Ok(given.into_iter().filter(|given| !beaten.contains(given.arg.get_id())).collect())
}

fn report(name: &str, clap: &Clap, matches: &ArgMatches, given: &[Given<'_>], file: Option<&ConfigFile>) -> Report {
    let matches = matches.subcommand_matches(name).expect("it was parsed");
    let setting = |arg: &Arg| {
        let origin = given.iter().find(|given| given.arg.get_id() == arg.get_id()).map(|given| given.origin.clone());
        let raw = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
        let shown = |value: &std::ffi::OsStr| match is_secret(arg) {
            true => HIDDEN.to_owned(),
            false => without_user_of_url(&value.to_string_lossy()),
        };
        let values = match is_switch(arg) {
            true => vec![matches.get_flag(arg.get_id().as_str()).to_string()],
            false => raw.map(shown).collect(),
        };
        let name = arg.get_long().unwrap_or_default().to_owned();
        Setting { name, values, is_list: is_list(arg), secret: is_secret(arg), origin: origin.unwrap_or(Origin::Default) }
    };
    let settings = clap.get_arguments().filter(|arg| is_option(arg)).map(setting).collect();
    Report { command: name.to_owned(), file: file.map(|file| file.path.clone()), settings }
}

/// An address may hold a password.
fn without_user_of_url(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((user, rest)) => match user.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{HIDDEN}@{rest}"),
            None => format!("{HIDDEN}@{rest}"),
        },
        None => value.to_owned(),
    }
}
