//! `docs/plugins.md` to the letter: five commands from nothing to a tool that answers.

use ocho_tests::TestHost;

use ocho_tests::author::{Author, guide, has_python};

fn five_commands(fence: &str) {
    let lines = guide(fence);
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let host = TestHost::up().start();
    let author = Author::of(&host);
    let ended = author.follow(&lines);
    assert_eq!(ended.code, 0, "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout.lines().last(), Some("hello, 2 pods: 2 of you run"), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("hello: revision 1 is active"), "{}", ended.stdout);
    // And to anybody else, as a tool like the built-in ones.
    let reply = host.shell("hello -j '*.portal'");
    assert_eq!((reply.ok, reply.out.trim_end()), (true, r#"{"pods": 1, "running": 1}"#));
    assert!(host.shell("hello --help").out.starts_with("usage: hello"));
    // What it says about itself came along.
    let about = author.ocho("hello", &["plugin", "inspect", "hello"]).ok();
    assert!(about.contains("Says hello to the pods of clusters") && about.contains("0.1.0"), "{about}");
}

#[test]
fn five_commands_in_rust() {
    five_commands("sh rust");
}

#[test]
fn five_commands_in_python() {
    if has_python("five_commands_in_python") {
        five_commands("sh python");
    }
}
