//! The configuration file: which options it sets, on which lines.

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use super::sections::Sections;
use super::values::{is_joined, is_list, is_option, is_path, is_secret, is_switch, verdict};
use super::{ConfigError, Problem};

/// Commands whose options the file may set.
pub(super) const COMMANDS: [&str; 3] = ["up", "serve", "cluster"];

/// A file of options is small; a larger one is something else.
const FILE_BYTES: u64 = 1 << 20;

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    entries: Vec<Entry>,
    pub(super) sections: Sections,
}

/// A key and its value.
#[derive(Debug)]
struct Entry {
    /// The command that it is for; all that have it where there is none.
    command: Option<&'static str>,
    key: String,
    line: usize,
    value: Result<Value, &'static str>,
}

/// What a key is set to.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(String),
    Switch(bool),
    List(Vec<String>),
}

/// An option's values as they stand in the file.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) line: usize,
    pub(super) values: Vec<OsString>,
}

impl ConfigFile {
    /// Reads a file: its form, its keys and its sections.
    pub(super) fn read(path: &Path, commands: &Command) -> Result<Self, ConfigError> {
        let unusable = |cause| ConfigError::Path { option: "--config", path: path.to_owned(), cause };
        let text = read_bounded(path).map_err(unusable)?;
        let file = Self::parse(path, &text)?;
        let problems = file.unknown(commands);
        if problems.is_empty() { Ok(file) } else { Err(ConfigError::File(problems)) }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wrong = |error: toml::de::Error| ConfigError::File(vec![problem(path, text, &error)]);
        let table = DeTable::parse(text).map_err(wrong)?;
        let sections = toml::from_str(text).map_err(wrong)?;
        let mut file = Self { path: path.to_owned(), entries: Vec::new(), sections };
        for (key, value) in table.get_ref() {
            let name = key.get_ref().as_ref();
            let command = COMMANDS.into_iter().find(|command| *command == name);
            match (command, value.get_ref()) {
                (Some(command), DeValue::Table(options)) => {
                    for (key, value) in options {
                        file.take(text, Some(command), key.get_ref(), key.span(), value.get_ref());
                    }
                }
                _ if Sections::NAMES.contains(&name) => {}
                (_, value) => file.take(text, None, name, key.span(), value),
            }
        }
        file.entries.sort_by_key(|entry| entry.line);
        Ok(file)
    }

    fn take(&mut self, text: &str, command: Option<&'static str>, key: &str, place: Range<usize>, value: &DeValue<'_>) {
        self.entries.push(Entry { command, key: key.to_owned(), line: line_of(text, place.start), value: read_value(value) });
    }

    fn unknown(&self, commands: &Command) -> Vec<Problem> {
        let unknown = self.entries.iter().filter_map(|entry| Some((entry, entry.unknown(commands)?)));
        unknown.map(|(entry, why)| Problem { path: self.path.clone(), line: entry.line, why }).collect()
    }

    /// What the file says of an option of a command. What stands in the command's own section goes first.
    pub(super) fn find(&self, commands: &Command, command: &str, arg: &Arg) -> Result<Option<Found>, ConfigError> {
        let of = |section: Option<&str>| self.entries.iter().find(|entry| entry.is(section, arg));
        let Some(entry) = of(Some(command)).or_else(|| of(None)) else { return Ok(None) };
        match entry.values(arg, &self.path).and_then(|values| verdict(commands, command, arg, &values).map(|()| values)) {
            Ok(values) => Ok(Some(Found { line: entry.line, values })),
            Err(why) => Err(ConfigError::File(vec![Problem { path: self.path.clone(), line: entry.line, why }])),
        }
    }

    /// What is wrong with the file for a command.
    pub(super) fn problems(&self, commands: &Command, command: &str) -> Vec<Problem> {
        let args = commands.find_subcommand(command).into_iter().flat_map(Command::get_arguments).filter(|arg| is_option(arg));
        let mut problems: Vec<Problem> = args
            .filter_map(|arg| match self.find(commands, command, arg) {
                Err(ConfigError::File(problems)) => Some(problems),
                _ => None,
            })
            .flatten()
            .collect();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    /// Whether it holds a secret that others than its owner may read.
    pub(super) fn shows_a_secret(&self, commands: &Command) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        let is_secret_key = |entry: &Entry| options(commands, None).any(|arg| entry.is_of(arg) && is_secret(arg));
        let open = std::fs::metadata(&self.path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o044 != 0);
        open && self.entries.iter().any(is_secret_key)
    }
}

impl Entry {
    fn is_of(&self, arg: &Arg) -> bool {
        arg.get_long() == Some(self.key.as_str())
    }

    fn is(&self, section: Option<&str>, arg: &Arg) -> bool {
        self.command == section && self.is_of(arg)
    }

    /// Why no command has this key.
    fn unknown(&self, commands: &Command) -> Option<String> {
        if options(commands, self.command).any(|arg| self.is_of(arg)) {
            return None;
        }
        let key = &self.key;
        let others: Vec<String> = COMMANDS
            .into_iter()
            .filter(|command| options(commands, Some(command)).any(|arg| self.is_of(arg)))
            .map(|command| format!("[{command}]"))
            .collect();
        if !others.is_empty() {
            let section = self.command.unwrap_or_default();
            return Some(format!("`{key}` is no option of [{section}]; it belongs to {}", others.join(" and ")));
        }
        let known = options(commands, self.command).filter_map(Arg::get_long);
        let known = known.chain(Sections::NAMES.iter().copied().filter(|_| self.command.is_none()));
        Some(match nearest(key, known) {
            Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
            None => format!("unknown key `{key}`; `ochod serve --help` lists the options"),
        })
    }

    fn values(&self, arg: &Arg, file: &Path) -> Result<Vec<OsString>, String> {
        let key = &self.key;
        let value = self.value.as_ref().map_err(|what| format!("`{key}` is {what}; it takes a text, a number or a list"))?;
        match value {
            Value::Switch(on) if is_switch(arg) => Ok(vec![on.to_string().into()]),
            _ if is_switch(arg) => Err(format!("`{key}` takes `true` or `false`")),
            Value::Switch(on) => Err(format!("`{key}` takes a text or a number, not `{on}`")),
            Value::List(values) if is_list(arg) => Ok(values.iter().map(OsString::from).collect()),
            Value::List(values) if is_joined(arg) => Ok(vec![values.join(",").into()]),
            Value::List(_) => Err(format!("`{key}` takes one value, not a list")),
            Value::Text(text) if is_path(arg) => Ok(vec![beside(file, text).into()]),
            Value::Text(text) | Value::Number(text) => Ok(vec![text.into()]),
        }
    }
}

fn options<'a>(commands: &'a Command, only: Option<&'a str>) -> impl Iterator<Item = &'a Arg> {
    let mine = COMMANDS.into_iter().filter(move |command| only.is_none_or(|only| only == *command));
    mine.filter_map(|command| commands.find_subcommand(command)).flat_map(Command::get_arguments).filter(|arg| is_option(arg))
}

/// The key that somebody may have meant.
fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(key, name);
    let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    // As clap does it for flags: below that a suggestion is a guess.
    (likeness(best) > 0.8).then_some(best)
}

/// A path of the file, which is relative to the file's folder.
fn beside(file: &Path, text: &str) -> PathBuf {
    if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        return Path::new(&home).join(rest);
    }
    file.parent().unwrap_or(Path::new("")).join(text)
}

fn read_value(value: &DeValue<'_>) -> Result<Value, &'static str> {
    match value {
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match read_value(item.get_ref())? {
                Value::Text(text) | Value::Number(text) => Ok(text),
                _ => Err("a list of something else than texts and numbers"),
            });
            texts.collect::<Result<_, _>>().map(Value::List)
        }
        DeValue::String(text) => Ok(Value::Text(text.clone().into_owned())),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            Ok(Value::Number(read.map_or_else(|_| number.to_string(), |number| number.to_string())))
        }
        DeValue::Float(number) => Ok(Value::Number(number.as_str().to_owned())),
        DeValue::Boolean(on) => Ok(Value::Switch(*on)),
        DeValue::Datetime(_) => Err("a date"),
        DeValue::Table(_) => Err("a section"),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn problem(path: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    Problem { path: path.to_owned(), line, why: error.message().replace('\n', ", ") }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
