//! Counting: reads what the test programs print.

use std::fmt;

/// What a test prints on standard error, followed by its name and the reason, when it cannot run here. The harness
/// prints it (`ocho_tests::skip`).
const SKIPPED: &str = "skipped: ";

/// Sums over all test programs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// The tests that skipped themselves, with their reasons. Each is among `passed` too.
    pub(crate) skipped: Vec<String>,
    /// Names of the tests that failed.
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    /// Takes a line of standard output.
    pub(crate) fn read_output(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
            self.passed += count(counts.1, "passed");
            self.failed += count(counts.1, "failed");
            self.ignored += count(counts.1, "ignored");
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
    }

    /// Takes a line of standard error.
    pub(crate) fn read_error(&mut self, line: &str) {
        if let Some(what) = line.strip_prefix(SKIPPED) {
            self.skipped.push(what.to_owned());
        } else if is_crash(line) {
            self.fail(line.trim());
        }
    }

    /// Counts something that is no test: a build that failed, a test program that crashed.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failed += 1;
        self.failures.push(what.into());
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed + self.ignored == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed.saturating_sub(self.skipped.len());
        write!(out, "{passed} passed, {} failed, {} skipped", self.failed, self.skipped.len() + self.ignored)
    }
}

/// Whether cargo tells of a test program that did not come to its end: one whose tests failed ends with 101.
fn is_crash(line: &str) -> bool {
    line.contains("process didn't exit successfully: ") && !line.ends_with("(exit status: 101)")
}

/// The number before `name` in `12 passed; 0 failed; 1 ignored; ...`.
fn count(counts: &str, name: &str) -> usize {
    let number = |part: &str| part.trim().strip_suffix(name)?.trim().parse().ok();
    counts.split(';').find_map(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn adds_the_test_programs_up() {
        let mut outcome = Outcome::default();
        outcome.read_output("test a::b ... ok");
        outcome.read_output("test a::c ... FAILED");
        outcome.read_output("test result: FAILED. 12 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        outcome.read_output("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.00s");
        outcome.read_error("skipped: registry::kazoo: no Python clients");
        assert_eq!(outcome.to_string(), "14 passed, 1 failed, 2 skipped");
        assert_eq!(outcome.failures, ["a::c"]);
        assert_eq!(outcome.failed(), 1);
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut outcome = Outcome::default();
        for line in ["", "test result: ", "test result: ok", "running 3 tests", "test result: ok. x passed; -1 failed"] {
            outcome.read_output(line);
            outcome.read_error(line);
        }
        assert!(outcome.is_empty());
        assert_eq!(outcome.to_string(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_crash_is_a_failure() {
        let mut outcome = Outcome::default();
        outcome.read_error("  process didn't exit successfully: `/t/deps/x-1` (exit status: 101)");
        assert_eq!(outcome.failed(), 0);
        outcome.read_error("  process didn't exit successfully: `/t/deps/x-1` (signal: 6, SIGABRT: process abort signal)");
        assert_eq!(outcome.failed(), 1);
    }

    #[test]
    fn what_is_no_test_can_fail_too() {
        let mut outcome = Outcome::default();
        outcome.fail("the build");
        assert_eq!(outcome.to_string(), "0 passed, 1 failed, 0 skipped");
    }
}
