//! `cargo test`, on this machine. `ocho plugin test` plays `scenes/` in the real engine.

use ocho_sdk::json;

use super::count;

#[test]
fn clusters_are_counted() {
    let clusters = json!({"test.web": {"status": "", "running": 1, "total": 2}});
    assert_eq!(count(&clusters, "test.web"), (1, 2));
    assert_eq!(count(&clusters, "test.db"), (0, 0));
}
