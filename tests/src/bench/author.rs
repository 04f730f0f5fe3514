//! From nothing to a tool that answers in a running host: the five commands of `docs/plugins.md`, in both languages.

use std::time::{Duration, Instant};

use ocho_tests::TestHost;
use ocho_tests::author::{Author, componentize, guide};

const BUDGET: Duration = Duration::from_secs(180);

/// Crates and packages are downloaded. The first time nothing is compiled yet, the second time the SDK is.
pub(crate) fn run() {
    println!("\nfrom `ocho plugin new` to the answer, budget {} s", BUDGET.as_secs());
    let compiled = tempfile::tempdir().expect("a temporary folder can be made");
    report("Rust, nothing compiled", measure("sh rust", compiled.path()));
    report("Rust, SDK compiled", measure("sh rust", compiled.path()));
    if componentize().is_some() {
        report("Python", measure("sh python", compiled.path()));
    } else {
        println!("  {:<24} componentize-py is not installed", "Python");
    }
}

/// A host of its own each time: the tool is new to it. The compiled code of a component may be in the cache.
fn measure(fence: &str, compiled: &std::path::Path) -> Duration {
    let host = TestHost::up().start();
    let author = Author::of(&host).compiling_into(compiled);
    let since = Instant::now();
    let said = author.follow(&guide(fence)).ok();
    let elapsed = since.elapsed();
    assert_eq!(said.lines().last(), Some("hello, 2 pods: 2 of you run"), "{said}");
    elapsed
}

fn report(what: &str, elapsed: Duration) {
    let verdict = if elapsed <= BUDGET { "within" } else { "over" };
    println!("  {what:<24} {:>7.1} s   {verdict} the budget", elapsed.as_secs_f64());
}
