use ocho_sdk::json;
use ocho_sdk::pretend::{Cluster, End, Pod, Says};

use super::*;

fn on(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn pods_run_again() {
    let cluster = Cluster::new().pods([Pod::new("test.web", 0).with("process", "stopped"), Pod::new("test.web", 1)]);
    let end = on(cluster, "test.web --force");
    assert_eq!((end.out.as_str(), end.is_ok), ("100% success (2 pods on)\n", true));
    assert!(end.pods.iter().all(|pod| pod.process() == "running"));
}

#[test]
fn q18_json_lists_the_keys_of_pods() {
    let end = on(Cluster::new().pod(Pod::new("test.web", 7)), "*web -i 7 -j");
    assert_eq!(end.out, "{\"*web\": {\"ok\": true, \"on\": [\"test.web #7\"]}}\n");
}

#[test]
fn q41_the_reason_speaks_of_starting() {
    let pods = [Pod::new("test.web", 0), Pod::new("test.web", 1).says("control/on", [Says::Http(406, json!({}))])];
    let end = on(Cluster::new().pods(pods), "test.web --force");
    let expected = "0% success (1 pods on)\n\
                    test.web : failed to switch on -> 1 or more pod failed to start (test.web #1: answered HTTP 406)\n";
    assert_eq!((end.out.as_str(), end.is_ok), (expected, false));
}
