use ocho_sdk::pretend::{Cluster, End, Pod};

use super::*;

fn two_pods() -> Cluster {
    Cluster::new().pods([Pod::new("test.web", 12).logged(["x"]), Pod::new("test.web", 3).logged(["line 4", "line 5"])])
}

fn log(cluster: Cluster, line: &str) -> End {
    cluster.run(&usage(), run, line)
}

#[test]
fn q40_pods_come_in_their_order() {
    let expected = [
        "<*web*> -> 100% replies (2 pods total) ->",
        "- test.web #3",
        "",
        "  line 4",
        "  line 5",
        "",
        "- test.web #12",
        "",
        "  x",
        "",
        "",
    ];
    assert_eq!(log(two_pods(), "*web*").out, expected.join("\n"));
}

#[test]
fn an_empty_log_is_a_line_of_two_blanks() {
    let end = log(Cluster::new().pod(Pod::new("a.b", 0)), "");
    assert_eq!(end.out, "<*> -> 100% replies (1 pods total) ->\n- a.b #0\n\n  \n");
}

#[test]
fn the_last_sixteen_lines_or_all() {
    let pod = || Pod::new("a.b", 0).logged((0..20).map(|nth| format!("line {nth}")));
    let lines = |line| log(Cluster::new().pod(pod()), line).out.lines().filter(|line| line.contains("line ")).count();
    assert_eq!((lines(""), lines("-l"), lines("-l a.b -i 0"), lines("-i 1")), (16, 20, 20, 0));
    let last = log(Cluster::new().pod(pod()), "").out;
    assert!(last.contains("\n\n  line 4\n  line 5\n") && last.ends_with("  line 19\n\n"), "{last}");
}

#[test]
fn q22_json_is_accepted() {
    assert_eq!(log(two_pods(), "-j").out, "{\"test.web #3\": [\"line 4\", \"line 5\"], \"test.web #12\": [\"x\"]}\n");
    assert_eq!(log(two_pods(), "nobody -j").out, "{}\n");
    assert_eq!(log(two_pods(), "nobody").out, "");
}

#[test]
fn q07_silent_pods_count_and_are_named() {
    let end = log(two_pods().pod(Pod::new("test.web", 4).silent()), "");
    assert!(end.out.starts_with("<*> -> 66% replies (2 pods total) ->\n"), "{}", end.out);
    assert_eq!((end.err.as_str(), end.is_ok), ("test.web #4: no answer within 5 s\n", true));
}
