//! Values of scenes: spans of time, answers of pods, and what an author may spell in more than one way.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A span of time: `250ms`, `3s`, `1.5m`, `1h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

/// No clock of ours goes further.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` does not read as a span of time such as `250ms`, `3s`, `10m` or `1h`");
        let unit = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let seconds = match &text[unit..] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = text[..unit].parse().map_err(|_| wrong())?;
        let span = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        // What has no exact binary form is meant to the microsecond.
        let span = Duration::from_micros(u64::try_from((span + Duration::from_nanos(500)).as_micros()).map_err(|_| wrong())?);
        if span > LONGEST { Err(format!("`{text}` is more than a year")) } else { Ok(Self(span)) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A span as an author would write it.
pub(crate) fn in_words(span: Duration) -> String {
    if span.subsec_millis() == 0 && span >= Duration::from_secs(1) {
        format!("{}s", span.as_secs())
    } else {
        format!("{}ms", span.as_millis())
    }
}

/// A date with its time, since 1970: `2026-01-01T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeOfDay(pub(crate) Duration);

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = chrono::DateTime::parse_from_rfc3339(&text).ok().and_then(|time| u64::try_from(time.timestamp_millis()).ok());
        let wrong = || D::Error::custom(format!("`{text}` does not read as a time such as `2026-01-01T00:00:00Z`"));
        time.map(|millis| Self(Duration::from_millis(millis))).ok_or_else(wrong)
    }
}

/// Until when something lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Moment(Duration),
    Forever,
}

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "forever" => Ok(Self::Forever),
            span => span.parse::<Span>().map(|span| Self::Moment(span.0)).map_err(D::Error::custom),
        }
    }
}

/// What a pod says to one question.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "AnswerWords")]
pub(crate) struct Answer {
    pub(crate) says: Says,
    pub(crate) after: Duration,
}

/// The kinds of answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Says {
    Http { status: u16, body: String },
    Nothing,
    Refused,
    NoPort,
    Left,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected `silent`, `gone`, `refused`, `no-port`, `left`, `garbage`, or { status, body, after }")]
enum AnswerWords {
    Word(String),
    Reply(ReplyWords),
    Late { is: String, after: Span },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyWords {
    status: u16,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    after: Span,
}

impl TryFrom<AnswerWords> for Answer {
    type Error = String;

    fn try_from(words: AnswerWords) -> Result<Self, String> {
        match words {
            AnswerWords::Word(word) => Ok(Self { says: says(&word)?, after: Duration::ZERO }),
            AnswerWords::Late { is, after } => Ok(Self { says: says(&is)?, after: after.0 }),
            AnswerWords::Reply(reply) => {
                Ok(Self { says: Says::Http { status: reply.status, body: text_of(&reply.body) }, after: reply.after.0 })
            }
        }
    }
}

fn says(word: &str) -> Result<Says, String> {
    Ok(match word {
        "silent" => Says::Nothing,
        "gone" => Says::Http { status: 410, body: "{}".to_owned() },
        "garbage" => Says::Http { status: 200, body: "<html>\u{fffd}".to_owned() },
        "refused" => Says::Refused,
        "no-port" => Says::NoPort,
        "left" => Says::Left,
        other => return Err(format!("a pod cannot be `{other}`; use silent, gone, refused, no-port, left or garbage")),
    })
}

/// A body: a text stays as it is, anything else is JSON; what is missing is `{}`.
pub(crate) fn text_of(body: &Value) -> String {
    match body {
        Value::Null => "{}".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One text or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub(crate) struct Texts(pub(crate) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Texts {
    fn from(texts: OneOrMore) -> Self {
        match texts {
            OneOrMore::One(text) => Self(vec![text]),
            OneOrMore::More(texts) => Self(texts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, millis) in [("250ms", 250), ("3s", 3000), ("1.5m", 90_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        for wrong in ["", "3", "s", "-1s", "3 d", "1e30s", "NaNs", "infs", "9000h"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert_eq!((in_words(Duration::from_secs(90)), in_words(Duration::from_millis(1500))), ("90s".into(), "1500ms".into()));
    }

    #[test]
    fn answers() {
        let read = |text: &str| {
            toml::from_str::<std::collections::BTreeMap<String, Answer>>(text).map(|mut all| all.remove("a").unwrap())
        };
        assert_eq!(read("a = 'silent'").unwrap().says, Says::Nothing);
        let late = read("a = { status = 200, body = { x = 1 }, after = '3s' }").unwrap();
        assert_eq!(late, Answer { says: Says::Http { status: 200, body: "{\"x\":1}".into() }, after: Duration::from_secs(3) });
        assert_eq!(read("a = { is = 'gone', after = '1s' }").unwrap().after, Duration::from_secs(1));
        for wrong in ["a = 'angry'", "a = 7", "a = { status = 70000 }", "a = {}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
