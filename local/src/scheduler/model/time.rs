//! Points in time as the interface writes them: `2015-04-09T12:30:00.000Z`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the epoch, UTC. Written with exactly three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Timestamp(pub(crate) i64);

/// The latest point that has four digits for its year, so that every value can be written.
const LATEST_MS: i64 = 253_402_300_799_999;

/// A text that is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid timestamp provided '{0}'. Expecting ISO-8601 datetime string.")]
pub(crate) struct NotATimestamp(pub(crate) String);

impl Timestamp {
    /// The present.
    pub(crate) fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// This point moved into the future.
    #[must_use]
    pub(crate) fn plus(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_millis()).unwrap_or(LATEST_MS);
        Self(self.0.saturating_add(by).min(LATEST_MS))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let wrong = || NotATimestamp(text.to_owned());
        let moment = DateTime::parse_from_rfc3339(text)
            .map(|moment| moment.timestamp_millis())
            .or_else(|_| text.parse::<NaiveDateTime>().map(|moment| moment.and_utc().timestamp_millis()))
            .or_else(|_| text.parse::<NaiveDate>().map(|day| day.and_time(Default::default()).and_utc().timestamp_millis()))
            .map_err(|_| wrong())?;
        if moment.abs() > LATEST_MS { Err(wrong()) } else { Ok(Self(moment)) }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn written_with_milliseconds() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_428_582_600_000).to_string(), "2015-04-09T12:30:00.000Z");
    }

    #[test]
    fn read_in_the_forms_that_clients_send() {
        let want = Ok(Timestamp(1_428_582_600_000));
        for text in ["2015-04-09T12:30:00.000Z", "2015-04-09T12:30:00Z", "2015-04-09T14:30:00+02:00", "2015-04-09T12:30:00"] {
            assert_eq!(text.parse(), want, "{text}");
        }
        assert_eq!("2015-04-09".parse(), Ok(Timestamp(1_428_537_600_000)));
        assert_eq!("yesterday".parse::<Timestamp>(), Err(NotATimestamp("yesterday".into())));
        assert!("".parse::<Timestamp>().is_err());
    }

    proptest! {
        #[test]
        fn reads_back(ms in 0..LATEST_MS) {
            prop_assert_eq!(Timestamp(ms).to_string().parse(), Ok(Timestamp(ms)));
        }

        #[test]
        fn any_text_is_an_answer_not_a_panic(text in ".*") {
            let _ = text.parse::<Timestamp>().map(|t| t.to_string());
        }
    }
}
