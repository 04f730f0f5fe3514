//! Time: how long something may take, and pauses.

use std::time::Duration;

/// Time on a clock that only goes forward.
#[must_use]
pub(crate) fn now() -> Duration {
    #[cfg(target_family = "wasm")]
    return Duration::from_nanos(wasip3::clocks::monotonic_clock::now());
    #[cfg(not(target_family = "wasm"))]
    return crate::pretend::now();
}

/// The time of day, in seconds since 1970.
fn unix_seconds() -> u64 {
    #[cfg(target_family = "wasm")]
    return std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // 2026-11-20 19:12:59
    #[cfg(not(target_family = "wasm"))]
    return 1_795_201_979 + now().as_secs();
}

/// A word that stands for this moment and no other: date and time (UTC), then four digits by chance (`2026-11-20-19-12-59-3f9a`).
#[must_use]
pub fn moment() -> String {
    #[cfg(target_family = "wasm")]
    let chance = wasip3::random::random::get_random_u64();
    #[cfg(not(target_family = "wasm"))]
    let chance = crate::pretend::chance();
    format!("{}-{:04x}", date_and_time(unix_seconds()), chance & 0xffff)
}

/// `YYYY-MM-DD-HH-MM-SS` in UTC.
fn date_and_time(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}-{:02}-{:02}-{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The date so many days after 1970-01-01. Years are counted from March, so that a leap day ends its year.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let from_march_0 = days + 719_468;
    let (era, day_of_era) = (from_march_0 / DAYS_IN_400_YEARS, from_march_0 % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Waits; other parts of the tool go on.
pub async fn pause(time: Duration) {
    #[cfg(target_family = "wasm")]
    wasip3::clocks::monotonic_clock::wait_for(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).await;
    #[cfg(not(target_family = "wasm"))]
    crate::pretend::pause(time).await;
}

/// The end of the time that something has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// So much time from now on.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(now().saturating_add(time))
    }

    /// What is left, zero where it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.0.saturating_sub(now())
    }

    /// What is left, but no more than `at_most`.
    #[must_use]
    pub fn left_within(&self, at_most: Duration) -> Duration {
        self.left().min(at_most)
    }

    /// What one request may take: what is left, no more than `at_most`, but a second even at the very end.
    #[must_use]
    pub fn for_request(&self, at_most: Duration) -> Duration {
        self.left().max(Duration::from_secs(1)).min(at_most)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

/// Looks again and again until there is something to see, `pause` apart; none once the time is over.
///
/// The last look comes when the time is over, so that what happens in the last pause still counts.
pub async fn until<T>(deadline: Deadline, pause_between: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    loop {
        let is_last = deadline.is_over();
        if let Some(seen) = look().await {
            return Some(seen);
        }
        if is_last {
            return None;
        }
        pause(deadline.left_within(pause_between)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::date_and_time;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01-00-00-00"),
            (951_782_399, "2000-02-28-23-59-59"),
            (951_782_400, "2000-02-29-00-00-00"),
            (1_709_251_200, "2024-03-01-00-00-00"),
            (1_795_201_979, "2026-11-20-19-12-59"),
            (4_102_444_799, "2099-12-31-23-59-59"),
        ] {
            assert_eq!(date_and_time(seconds), text);
        }
    }
}
