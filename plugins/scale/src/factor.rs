//! `-f`: from how many pods to how many.

use std::fmt;
use std::str::FromStr;

/// How the number of pods changes: `@5`, `x1.5`, `+2`, `-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor {
    /// To so many.
    To(Decimal),
    /// To so many times as many.
    Times(Decimal),
    /// By so many more.
    More(Decimal),
    /// By so many fewer.
    Fewer(Decimal),
}

/// A number of digits with a point: `tenths` of a power of ten, so that `x1.2` of 5 is 6 and not a little less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u64,
    /// By what the digits are to be divided: 1, 10, 100, ...
    scale: u64,
}

/// A text that is no factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FactorError {
    Operator,
    Number(String),
}

impl std::error::Error for FactorError {}

impl fmt::Display for FactorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => write!(out, "invalid operator"),
            Self::Number(text) => write!(out, "invalid factor `{text}`: use @<n>, x<n>, +<n> or -<n>"),
        }
    }
}

impl FromStr for Factor {
    type Err = FactorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let make = match text.chars().next() {
            Some('@') => Self::To,
            Some('x') => Self::Times,
            Some('+') => Self::More,
            Some('-') => Self::Fewer,
            _ => return Err(FactorError::Operator),
        };
        Decimal::read(&text[1..]).map(make).ok_or_else(|| FactorError::Number(text.to_owned()))
    }
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
        Some(Self { digits: digits.parse().ok()?, scale })
    }

    /// So many times as much, rounded down.
    fn of(self, whole: u64) -> u64 {
        let product = u128::from(self.digits) * u128::from(whole) / u128::from(self.scale);
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

impl Factor {
    /// How many pods there are to be, at least one.
    pub(crate) fn target(self, total: usize) -> usize {
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let target = match self {
            Self::To(number) => number.of(1),
            Self::Times(number) => number.of(total),
            Self::More(number) => total.saturating_add(number.of(1)),
            Self::Fewer(number) => total.saturating_sub(number.of(1)),
        };
        // Marathon counts instances in 32 bits.
        usize::try_from(target.clamp(1, i32::MAX.unsigned_abs().into())).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(factor: &str, total: usize, target: usize) {
        assert_eq!(factor.parse::<Factor>().unwrap().target(total), target, "{factor} of {total}");
    }

    #[test]
    fn targets() {
        check("@5", 1, 5);
        check("@2.9", 1, 2);
        check("@0", 3, 1);
        check("x1.2", 5, 6);
        check("x0.5", 5, 2);
        check("x0.29", 100, 29);
        check("x.5", 4, 2);
        check("x3", 2, 6);
        check("x0", 2, 1);
        check("@99999999999999", 2, 2_147_483_647);
    }

    #[test]
    fn q16_plus_and_minus_count_from_what_is_there() {
        check("+1", 2, 3);
        check("+0", 2, 2);
        check("-1", 3, 2);
        check("-5", 3, 1);
    }

    #[test]
    fn what_is_no_factor() {
        for text in ["", "5", "*2", "é5", "=5"] {
            assert_eq!(text.parse::<Factor>().unwrap_err().to_string(), "invalid operator", "{text}");
        }
        for text in ["@", "x", "@x", "@-1", "x1.2.3", "+1e3", "@é", "@.", "@99999999999999999999", "x0.00000000000000000001"] {
            assert!(text.parse::<Factor>().unwrap_err().to_string().starts_with("invalid factor"), "{text}");
        }
    }
}
