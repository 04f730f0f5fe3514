//! The scheduler's contract, case by case, against the built `ochod`.

use ocho_tests::cases::run_all;

/// The cases that the contract came with.
const GIVEN: &str = include_str!("../fixtures/marathon-cases.jsonl");

/// Sentences of the contract that none of those checks, in the same form.
const FURTHER: &str = include_str!("../fixtures/more-cases.jsonl");

/// The cases mostly wait.
const AT_ONCE: usize = 4;

#[test]
fn every_case_holds() {
    check(GIVEN);
}

#[test]
fn every_further_case_holds() {
    check(FURTHER);
}

#[track_caller]
fn check(cases: &str) {
    let outcomes = run_all(cases, AT_ONCE);
    let failed: Vec<String> =
        outcomes.iter().filter_map(|outcome| Some(format!("{}\n    {}", outcome.name, outcome.wrong.as_ref()?))).collect();
    println!("{} cases, {} failed", outcomes.len(), failed.len());
    assert_eq!(outcomes.len(), cases.lines().count());
    assert!(failed.is_empty(), "{} of {} cases failed:\n  {}", failed.len(), outcomes.len(), failed.join("\n  "));
}
