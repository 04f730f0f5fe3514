//! Reading words: switches may stand before, behind and between the positionals.

use super::matching::{Matching, Word, classify};
use super::{Count, Found, Kind, Switch, Takes, Usage};

/// Why reading ended early.
pub(super) enum Ended {
    Help,
    Wrong(String),
}

/// A whole number as Python reads it: blanks around and a sign are fine.
pub(super) fn int(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

pub(super) fn read(usage: &Usage, words: &[&str]) -> Result<Found, Ended> {
    let words = classify(usage, words).map_err(Ended::Wrong)?;
    let mut reader = Reader { usage, words, at: 0, positionals_read: 0, found: Found::default(), extras: Vec::new() };
    reader.read_all()?;
    reader.place_extras()?;
    Ok(reader.found)
}

struct Reader<'a> {
    usage: &'a Usage,
    words: Vec<Word<'a>>,
    at: usize,
    positionals_read: usize,
    found: Found,
    /// What neither a switch nor a positional took.
    extras: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn read_all(&mut self) -> Result<(), Ended> {
        while self.at < self.words.len() {
            match self.words[self.at] {
                Word::Plain(_) => self.read_positionals()?,
                Word::Unknown(word) => {
                    self.extras.push(word);
                    self.at += 1;
                }
                Word::Switch(matching) => {
                    self.at += 1;
                    self.read_switch(matching)?;
                }
            }
        }
        let left = &self.usage.positionals[self.positionals_read..];
        if left.iter().any(|positional| positional.count != Count::ZeroOrOne) {
            return Err(wrong("too few arguments"));
        }
        Ok(())
    }

    /// Gives the plain words from here on to as many positionals as they are enough for; what is left over is extra.
    fn read_positionals(&mut self) -> Result<(), Ended> {
        let plain = self.plain_words_from(self.at);
        self.at += plain.len();
        let usage = self.usage;
        let mut left = plain.as_slice();
        while let Some(positional) = usage.positionals.get(self.positionals_read) {
            let needed_later = usage.positionals[self.positionals_read + 1..].iter().filter(|p| p.count == Count::One).count();
            let taken = match positional.count {
                Count::One | Count::ZeroOrOne => left.len().min(1),
                Count::OneOrMore => left.len().saturating_sub(needed_later),
            };
            if taken == 0 {
                break;
            }
            let (values, rest) = left.split_at(taken);
            self.take(positional.name, positional.name, positional.kind, values)?;
            self.positionals_read += 1;
            left = rest;
        }
        self.extras.extend(left);
        Ok(())
    }

    fn plain_words_from(&self, at: usize) -> Vec<&'a str> {
        self.words[at..].iter().map_while(|word| if let Word::Plain(text) = word { Some(*text) } else { None }).collect()
    }

    fn read_switch(&mut self, matching: Matching<'a>) -> Result<(), Ended> {
        let switch = &self.usage.switches[matching.switch];
        match (switch.takes, matching.attached) {
            (Takes::Nothing, None) => self.raise(switch),
            (Takes::Nothing, Some(more)) if matching.is_short => {
                self.raise(switch)?;
                self.read_switch(self.next_in_cluster(switch, more)?)
            }
            (Takes::Nothing, Some(more)) => Err(about(switch, &format!("ignored explicit argument {}", quoted(more)))),
            (Takes::One(kind) | Takes::Many(kind), Some(value)) => self.set(switch, kind, &[value]),
            (Takes::One(kind), None) => match self.plain_words_from(self.at).first() {
                None => Err(about(switch, "expected one argument")),
                Some(value) => {
                    self.at += 1;
                    self.set(switch, kind, &[value])
                }
            },
            (Takes::Many(kind), None) => self.read_list(switch, kind),
        }
    }

    /// `-jd` is `-j -d`: what follows a flag's letter is the next switch.
    fn next_in_cluster(&self, flag: &Switch, more: &'a str) -> Result<Matching<'a>, Ended> {
        let first = more.chars().next().map_or(0, char::len_utf8);
        let (letter, rest) = more.split_at(first);
        let spelling = format!("-{letter}");
        let index = self.usage.switches.iter().position(|switch| switch.spellings.contains(&spelling.as_str()));
        let attached = Some(rest).filter(|rest| !rest.is_empty());
        match index {
            Some(switch) => Ok(Matching { switch, attached, is_short: true }),
            None => Err(about(flag, &format!("ignored explicit argument {}", quoted(more)))),
        }
    }

    /// A list takes every plain word; a list of numbers leaves the first word that is none to the positionals.
    fn read_list(&mut self, switch: &Switch, kind: Kind) -> Result<(), Ended> {
        let mut values = self.plain_words_from(self.at);
        if kind == Kind::Int {
            let numbers = values.iter().take_while(|word| int(word).is_some()).count();
            values.truncate(numbers.max(1));
        }
        if values.is_empty() {
            return Err(about(switch, "expected at least one argument"));
        }
        self.at += values.len();
        self.set(switch, kind, &values)
    }

    fn raise(&mut self, switch: &Switch) -> Result<(), Ended> {
        if switch.name == "help" {
            return Err(Ended::Help);
        }
        self.found.flags.push(switch.name);
        Ok(())
    }

    fn set(&mut self, switch: &Switch, kind: Kind, values: &[&str]) -> Result<(), Ended> {
        self.take(switch.name, &switch.spellings.join("/"), kind, values)
    }

    fn take(&mut self, name: &'static str, shown: &str, kind: Kind, values: &[&str]) -> Result<(), Ended> {
        let is_number = |value: &&&str| int(value).is_some_and(|number| name != "indices" || u32::try_from(number).is_ok());
        if kind == Kind::Int
            && let Some(odd) = values.iter().find(|value| !is_number(value))
        {
            return Err(wrong(&format!("argument {shown}: invalid int value: {}", quoted(odd))));
        }
        *self.found.list_mut(name) = values.iter().map(|value| (*value).to_owned()).collect();
        Ok(())
    }

    /// Plain words behind a switch still belong to a positional that can take them (`kill web -t 9 db`).
    fn place_extras(&mut self) -> Result<(), Ended> {
        let extras = std::mem::take(&mut self.extras);
        if let Some(name) = self.usage.passes_unknown {
            self.found.list_mut(name).extend(extras.into_iter().map(str::to_owned));
            return Ok(());
        }
        let last = self.usage.positionals.last();
        let mut unknown = Vec::new();
        for extra in extras {
            match last {
                Some(last) if last.count == Count::OneOrMore && !extra.starts_with('-') => {
                    self.found.list_mut(last.name).push(extra.to_owned());
                }
                _ => unknown.push(extra),
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(wrong(&format!("unrecognized arguments: {}", unknown.join(" ")))) }
    }
}

fn wrong(message: &str) -> Ended {
    Ended::Wrong(message.to_owned())
}

fn about(switch: &Switch, message: &str) -> Ended {
    Ended::Wrong(format!("argument {}: {message}", switch.spellings.join("/")))
}

/// A text in quotes as Python shows it.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut shown = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c == quote => shown.extend(['\\', c]),
            c => shown.push(c),
        }
    }
    shown.push(quote);
    shown
}
