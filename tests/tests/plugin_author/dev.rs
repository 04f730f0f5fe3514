//! `ocho plugin dev`: a file is saved, and the running host has the new answer.

use std::fs;

use ocho_tests::command::Background;
use ocho_tests::{TestHost, ocho, wait};

use ocho_tests::author::{Author, BUILT_WITHIN};

#[track_caller]
fn until_it_says(dev: &Background, text: &str) {
    wait::until_so(&format!("`{text}`\n{}\n{}", dev.stdout(), dev.stderr()), BUILT_WITHIN, || dev.stdout().contains(text));
}

#[test]
fn a_change_is_there_at_once() {
    let host = TestHost::up().start();
    let author = Author::of(&host);
    let _ = author.ocho("", &["plugin", "new", "watched"]).ok();
    let mut command = author.dress(ocho::bare(author.room()), "watched");
    command.args(["plugin", "dev", "--", "*.portal"]);
    let mut dev = Background::start(&mut command);
    until_it_says(&dev, "hello, 1 pods: 1 of you run\n");

    let source = author.room().join("watched/src/lib.rs");
    let text = fs::read_to_string(&source).unwrap();
    let broken = text.replace("Report::text(format!(", "Report::text(format(");
    fs::write(&source, broken).unwrap();
    wait::until_so("the compiler's complaint", BUILT_WITHIN, || dev.stderr().contains("waiting for a change"));
    assert_eq!(host.shell("watched '*.portal'").out.trim_end(), "hello, 1 pods: 1 of you run", "a broken build changes nothing");

    fs::write(&source, text.replace("hello, {} pods", "good morning, {} pods")).unwrap();
    until_it_says(&dev, "good morning, 1 pods: 1 of you run\n");
    assert_eq!(host.shell("watched '*.servo'").out.trim_end(), "good morning, 1 pods: 1 of you run");
    assert!(dev.status().is_none(), "it goes on");
    assert!(dev.stderr().contains("watched: revision 2 is active"), "{}", dev.stderr());
}
