//! Arguments of a tool: declared once, read by the rules that Python's `argparse` has, with its texts.

mod help;
mod matching;
mod parse;

use std::collections::BTreeSet;
use std::time::Duration;

use ocho_core::{ClusterGlob, PodSeq};

/// What a tool accepts: made with [`Usage::new`] and the methods that add to it, in the order in which help shows them.
///
/// `-h/--help` and `-d/--debug` are always there.
#[derive(Debug, Clone)]
pub struct Usage {
    tool: &'static str,
    about: &'static str,
    positionals: Vec<Positional>,
    switches: Vec<Switch>,
    passes_unknown: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Positional {
    name: &'static str,
    count: Count,
    kind: Kind,
    help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    One,
    ZeroOrOne,
    OneOrMore,
}

#[derive(Debug, Clone)]
struct Switch {
    /// `-j` and, where there is one, `--json`.
    spellings: Vec<&'static str>,
    name: &'static str,
    takes: Takes,
    help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    One(Kind),
    /// Greedy: every plain word that follows, for numbers every plain word that is a number.
    Many(Kind),
}

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Text,
    /// A whole number.
    Int,
}

/// Why a tool does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Help was asked for. Carries its text.
    Help(String),
    /// The arguments are wrong. Carries the message and the help.
    Wrong {
        /// As `argparse` words it: `too few arguments`, ...
        message: String,
        /// The tool's help.
        help: String,
    },
}

impl Stop {
    /// What is printed on standard output.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Help(help) => help.clone(),
            Self::Wrong { message, help } => format!("error: {message}\n\n{help}"),
        }
    }

    /// Whether this is a success.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Help(_))
    }
}

impl Usage {
    /// A tool with its name and one or two sentences that say what it does, beginning in the imperative.
    #[must_use]
    pub fn new(tool: &'static str, about: &'static str) -> Self {
        let help = Switch {
            spellings: vec!["-h", "--help"],
            name: "help",
            takes: Takes::Nothing,
            help: "show this help message and exit",
        };
        Self { tool, about, positionals: Vec::new(), switches: vec![help], passes_unknown: None }
    }

    /// A value that has to be there.
    #[must_use]
    pub fn one(self, name: &'static str, kind: Kind, help: &'static str) -> Self {
        self.positional(Positional { name, count: Count::One, kind, help })
    }

    /// A text that may be missing.
    #[must_use]
    pub fn optional(self, name: &'static str, help: &'static str) -> Self {
        self.positional(Positional { name, count: Count::ZeroOrOne, kind: Kind::Text, help })
    }

    /// Texts, at least one.
    #[must_use]
    pub fn one_or_more(self, name: &'static str, help: &'static str) -> Self {
        self.positional(Positional { name, count: Count::OneOrMore, kind: Kind::Text, help })
    }

    /// A switch that takes no value.
    #[must_use]
    pub fn flag(self, spellings: &[&'static str], name: &'static str, help: &'static str) -> Self {
        self.switch(spellings, name, Takes::Nothing, help)
    }

    /// A switch with one value.
    #[must_use]
    pub fn value(self, spellings: &[&'static str], name: &'static str, kind: Kind, help: &'static str) -> Self {
        self.switch(spellings, name, Takes::One(kind), help)
    }

    /// A switch with one or more values.
    #[must_use]
    pub fn values(self, spellings: &[&'static str], name: &'static str, kind: Kind, help: &'static str) -> Self {
        self.switch(spellings, name, Takes::Many(kind), help)
    }

    /// `-j`: one line of JSON, for programs.
    #[must_use]
    pub fn json(self, spellings: &[&'static str]) -> Self {
        self.flag(spellings, "json", "print one line of JSON instead of text")
    }

    /// `-i`: pods given by their numbers.
    #[must_use]
    pub fn indices(self, spellings: &[&'static str]) -> Self {
        self.values(spellings, "indices", Kind::Int, "numbers of the pods to pick, in each cluster (e.g. -i 0 3)")
    }

    /// `-t`: seconds to wait, 60 where it is missing.
    #[must_use]
    pub fn timeout(self) -> Self {
        self.value(&["-t"], "timeout", Kind::Int, "seconds to wait, 60 by default and at least 5")
    }

    /// `--force`: needed where `-i` is missing.
    #[must_use]
    pub fn force(self) -> Self {
        self.flag(&["--force"], "force", "go ahead without -i, on every pod of the clusters")
    }

    /// Words that no switch explains are no mistake but go to the end of the positional `name`.
    #[must_use]
    pub fn pass_unknown_to(mut self, name: &'static str) -> Self {
        self.passes_unknown = Some(name);
        self
    }

    fn positional(mut self, positional: Positional) -> Self {
        self.positionals.push(positional);
        self
    }

    fn switch(mut self, spellings: &[&'static str], name: &'static str, takes: Takes, help: &'static str) -> Self {
        self.switches.push(Switch { spellings: spellings.to_vec(), name, takes, help });
        self
    }

    /// Reads the words behind the tool's name.
    ///
    /// # Errors
    /// [`Stop`], where help was asked for or the words do not fit.
    pub fn read<S: AsRef<str>>(&self, words: &[S]) -> Result<Found, Stop> {
        let complete = self.with_debug();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        parse::read(&complete, &words).map_err(|ended| match ended {
            parse::Ended::Help => Stop::Help(help::text(&complete)),
            parse::Ended::Wrong(message) => Stop::Wrong { message, help: help::text(&complete) },
        })
    }

    /// The text of `--help`.
    #[must_use]
    pub fn help(&self) -> String {
        help::text(&self.with_debug())
    }

    fn with_debug(&self) -> Self {
        self.clone().flag(&["-d", "--debug"], "debug", "print what is asked and answered as well")
    }
}

/// The arguments that were found. Asking for a name that was not declared is a bug in the tool and gives nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    // Lists: they are short, and maps would make every tool larger.
    flags: Vec<&'static str>,
    values: Vec<(&'static str, Vec<String>)>,
}

impl Found {
    /// Whether the flag was given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }

    /// All values of a list.
    #[must_use]
    pub fn texts(&self, name: &str) -> &[String] {
        self.list(name).unwrap_or_default()
    }

    /// The values of a list in their order, each once.
    #[must_use]
    pub fn distinct(&self, name: &str) -> Vec<String> {
        let mut distinct: Vec<String> = Vec::new();
        for text in self.texts(name) {
            if !distinct.contains(text) {
                distinct.push(text.clone());
            }
        }
        distinct
    }

    /// The value, or none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).last().map(String::as_str)
    }

    /// The number, or none.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(parse::int)
    }

    fn list(&self, name: &str) -> Option<&[String]> {
        self.values.iter().find(|(other, _)| *other == name).map(|(_, values)| values.as_slice())
    }

    fn list_mut(&mut self, name: &'static str) -> &mut Vec<String> {
        let at = self.values.iter().position(|(other, _)| *other == name).unwrap_or_else(|| {
            self.values.push((name, Vec::new()));
            self.values.len() - 1
        });
        &mut self.values[at].1
    }

    /// `-j`.
    #[must_use]
    pub fn json(&self) -> bool {
        self.flag("json")
    }

    /// The one cluster pattern, `*` where it is missing.
    #[must_use]
    pub fn pattern(&self, name: &str) -> ClusterGlob {
        ClusterGlob::new(self.text(name).unwrap_or("*"))
    }

    /// The pods that `-i` picks.
    #[must_use]
    pub fn selection(&self) -> Selection {
        match self.list("indices") {
            None => Selection::All,
            Some(seqs) => {
                Selection::Only(seqs.iter().filter_map(|seq| u32::try_from(parse::int(seq)?).ok()).map(PodSeq).collect())
            }
        }
    }

    /// What `-t` says, at least 5 s.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        // A year at the most: milliseconds of it no longer fit into the contract, and the run's own limit comes long before.
        const YEAR: i64 = 365 * 24 * 60 * 60;
        Duration::from_secs(self.int("timeout").unwrap_or(60).clamp(5, YEAR).unsigned_abs())
    }
}

/// Which pods of a cluster are meant. An empty list of numbers means none, never all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every pod.
    All,
    /// The pods with these numbers.
    Only(BTreeSet<PodSeq>),
}

impl Selection {
    /// Whether a pod is meant.
    #[must_use]
    pub fn keeps(&self, seq: PodSeq) -> bool {
        match self {
            Self::All => true,
            Self::Only(seqs) => seqs.contains(&seq),
        }
    }
}

#[cfg(test)]
mod tests;
