//! Values of a description that have a form of their own: times, file modes, templates, commands.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Map, Value};
use toml::Spanned;

use crate::description::template;

/// A time: `"250ms"`, `"5s"`, `"2m"`, `"1h"`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

/// No time is longer: a day.
const LONGEST_S: f64 = 86_400.0;

impl Time {
    fn read(text: &str) -> Option<Self> {
        let at = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at(at);
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Self::seconds(number.trim().parse::<f64>().ok()? * factor)
    }

    fn seconds(seconds: f64) -> Option<Self> {
        (0.0..=LONGEST_S).contains(&seconds).then(|| Self(Duration::from_secs_f64(seconds)))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Time;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a time up to 24 hours, such as \"250ms\", \"5s\", \"2m\", \"1h\" or a number of seconds")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Time, E> {
                Time::seconds(seconds as f64).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(seconds), &self))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Time, E> {
                Time::seconds(seconds).ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
            }
        }
        input.deserialize_any(Reader)
    }
}

/// A file's mode in octal digits, `"640"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
        mode.map(Self)
            .ok_or_else(|| de::Error::custom(format!("mode `{text}` does not read as three octal digits, such as \"640\"")))
    }
}

/// A text with places to fill in, and where in the description it stands. Its syntax has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(pub(crate) String, pub(crate) usize);

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = Spanned::<String>::deserialize(input)?;
        let at = text.span().start;
        let text = text.into_inner();
        match template::check_syntax(&text) {
            Ok(()) => Ok(Self(text, at)),
            Err(error) => Err(de::Error::custom(error)),
        }
    }
}

/// A command: a list of words, or a line that is cut at single spaces or given to a shell. Every word is a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CommandLine {
    /// Program and arguments; at least the program.
    Words(Vec<Template>),
    /// One line.
    Line(Template),
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = CommandLine;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a command: a list of words or a line")
            }

            fn visit_str<E: de::Error>(self, line: &str) -> Result<CommandLine, E> {
                if line.trim().is_empty() {
                    return Err(E::custom("the command is empty"));
                }
                template::check_syntax(line).map_err(E::custom)?;
                Ok(CommandLine::Line(Template(line.to_owned(), 0)))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<CommandLine, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = items.next_element::<Template>()? {
                    words.push(word);
                }
                if words.first().is_none_or(|program| program.0.is_empty()) {
                    return Err(de::Error::custom("the command is empty"));
                }
                Ok(CommandLine::Words(words))
            }
        }

        struct Read(CommandLine);
        impl<'de> Deserialize<'de> for Read {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                input.deserialize_any(Reader).map(Self)
            }
        }

        let read = Spanned::<Read>::deserialize(input)?;
        let at = read.span().start;
        Ok(match read.into_inner().0 {
            CommandLine::Line(Template(line, _)) => CommandLine::Line(Template(line, at)),
            words => words,
        })
    }
}

/// A component, and how it is run: its file alone, or a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelPart {
    /// Relative to the description.
    pub(crate) file: PathBuf,
    /// For its hook `initialize`.
    pub(crate) settings: Map<String, Value>,
    pub(crate) memory_mib: Option<u32>,
    pub(crate) cpu: Option<Time>,
    pub(crate) timeout: Option<Time>,
}

impl<'de> Deserialize<'de> for ModelPart {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            file: PathBuf,
            #[serde(default)]
            settings: Map<String, Value>,
            memory_mib: Option<u32>,
            cpu: Option<Time>,
            timeout: Option<Time>,
        }

        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = ModelPart;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a model: its file, or a table with `file`")
            }

            fn visit_str<E: de::Error>(self, file: &str) -> Result<ModelPart, E> {
                Ok(ModelPart { file: file.into(), settings: Map::new(), memory_mib: None, cpu: None, timeout: None })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, members: A) -> Result<ModelPart, A::Error> {
                let Table { file, settings, memory_mib, cpu, timeout } =
                    Table::deserialize(de::value::MapAccessDeserializer::new(members))?;
                Ok(ModelPart { file, settings, memory_mib, cpu, timeout })
            }
        }
        input.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let read = |text: &str| Time::read(text).map(|time| time.0);
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(read("2m"), Some(Duration::from_secs(120)));
        assert_eq!(read("24h"), Some(Duration::from_secs(86_400)));
        for bad in ["", "5", "s", "-1s", "25h", "1d", "1 s s", "infs", "NaNs", "1e999s"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
