//! `cargo test`: the tool against a pretend cluster, on this machine. `ocho plugin test` plays `scenes/` in the real engine.

use ocho_sdk::pretend::{Cluster, Pod};

use super::*;

#[test]
fn pods_that_run_are_counted() {
    let pods = [Pod::new("test.web", 1), Pod::new("test.web", 2).with("process", "stopped"), Pod::new("test.db", 0)];
    let end = Cluster::new().pods(pods).run(&usage(), run, "*web");
    assert_eq!((end.out.as_str(), end.is_ok), ("hello, 2 pods: 1 of you run\n", true));
}

#[test]
fn silent_pods_are_named() {
    let end = Cluster::new().pod(Pod::new("test.web", 7).silent()).run(&usage(), run, "-j");
    assert_eq!(end.out, "{\"pods\": 1, \"running\": 0}\n");
    assert!(end.err.starts_with("test.web #7: no answer"), "{}", end.err);
}
