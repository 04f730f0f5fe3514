//! All cases of the scheduler's contract, against the built `ochod`.

use ocho_tests::cases::run_all;

const CASES: &str = include_str!("../fixtures/marathon-cases.jsonl");

/// The cases mostly wait.
const AT_ONCE: usize = 4;

#[test]
fn every_case_holds() {
    let outcomes = run_all(CASES, AT_ONCE);
    let failed: Vec<String> =
        outcomes.iter().filter_map(|outcome| Some(format!("{}\n    {}", outcome.name, outcome.wrong.as_ref()?))).collect();
    println!("{} cases, {} failed", outcomes.len(), failed.len());
    assert_eq!(outcomes.len(), CASES.lines().count());
    assert!(failed.is_empty(), "{} of {} cases failed:\n  {}", failed.len(), outcomes.len(), failed.join("\n  "));
}
