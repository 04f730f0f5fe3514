//! The whole configuration as it was understood: each option, its value and where that comes from.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file of the machine, such as `/etc/mesos/zk`.
    Machine(String),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A variable of the seeds' environment.
    Seed(String),
    /// A variable `OCHOD_...`.
    Environment(String),
    /// The command line.
    Flag,
}

impl Origin {
    /// How near to the user; the nearer one wins.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Machine(_) => 1,
            Self::File { .. } => 2,
            Self::Seed(_) => 3,
            Self::Environment(_) => 4,
            Self::Flag => 5,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Machine(file) => out.write_str(file),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
            Self::Seed(name) | Self::Environment(name) => write!(out, "environment {name}"),
            Self::Flag => out.write_str("flag"),
        }
    }
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name, as in the file.
    pub name: String,
    /// What it is set to; empty where it is not set. A secret has `***` here.
    pub values: Vec<String>,
    /// Whether it may have several values.
    #[serde(skip)]
    pub is_list: bool,
    /// Whether the value is hidden.
    pub secret: bool,
    /// Where it comes from.
    pub origin: Origin,
}

/// All options of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The command.
    pub command: String,
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// In the order of the help.
    pub settings: Vec<Setting>,
}

/// What stands for a secret.
pub(super) const HIDDEN: &str = "***";

impl fmt::Display for Report {
    /// Prints the report as a configuration file. Unset options and secrets are comments.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => writeln!(out, "# ochod {}, with {}", self.command, file.display())?,
            None => writeln!(out, "# ochod {}, without a configuration file", self.command)?,
        }
        let lines: Vec<String> = self.settings.iter().map(Setting::line).collect();
        // A value of many characters pushes no comment but its own.
        let width = lines.iter().map(|line| line.chars().count()).filter(|width| *width <= 48).max().unwrap_or(0);
        for (line, setting) in lines.iter().zip(&self.settings) {
            writeln!(out, "{line:width$}  # {}", setting.origin)?;
        }
        Ok(())
    }
}

impl Setting {
    fn line(&self) -> String {
        let name = &self.name;
        match (self.values.as_slice(), self.secret) {
            ([], _) => format!("# {name}"),
            (_, true) => format!("# {name} = {HIDDEN}"),
            ([value], false) if !self.is_list => format!("{name} = {}", literal(value)),
            (values, false) => {
                let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
                format!("{name} = [{}]", values.join(", "))
            }
        }
    }
}

/// A value as TOML: numbers and truths as they are, all else as a text.
fn literal(value: &str) -> String {
    let is_plain = value == "true" || value == "false" || value.parse::<i64>().is_ok_and(|number| number.to_string() == value);
    if is_plain {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(letter));
            }
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}
