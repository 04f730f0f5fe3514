//! `ocho plugin dev`: a file is saved, and the running host has the new answer.

use std::fs;
use std::path::{Path, PathBuf};

use ocho_tests::command::Background;
use ocho_tests::{TestHost, ocho, wait};

use ocho_tests::author::{Author, BUILT_WITHIN, has_python};

/// Begins a tool and leaves `dev` to it; gives it with the file of the tool's code.
fn begin(author: &Author, name: &str, lang: &str, source: &str) -> (Background, PathBuf) {
    let _ = author.ocho("", &["plugin", "new", name, "--lang", lang]).ok();
    let mut command = author.dress(ocho::bare(author.room()), name);
    command.args(["plugin", "dev", "--", "*.portal"]);
    (Background::start(&mut command), author.room().join(name).join(source))
}

/// Saves a file in one step, as editors do: half a file could be built as well.
fn save(file: &Path, text: &str) {
    let beside = file.with_file_name(".saving");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

#[track_caller]
fn until_it_complains(dev: &Background, text: &str) {
    wait::until_so(&format!("`{text}` on standard error"), BUILT_WITHIN, || dev.stderr().contains(text));
}

#[test]
fn a_change_is_there_at_once() {
    let host = TestHost::up().start();
    let author = Author::of(&host);
    let (mut dev, source) = begin(&author, "watched", "rust", "src/lib.rs");
    let _ = dev.wait_for_line("hello, 1 pods: 1 of you run", BUILT_WITHIN);

    let text = fs::read_to_string(&source).unwrap();
    let broken = text.replace("Report::text(format!(", "Report::text(format(");
    save(&source, &broken);
    until_it_complains(&dev, "waiting for a change");
    assert_eq!(host.shell("watched '*.portal'").out.trim_end(), "hello, 1 pods: 1 of you run", "a broken build changes nothing");

    save(&source, &text.replace("hello, {} pods", "good morning, {} pods"));
    let _ = dev.wait_for_line("good morning, 1 pods: 1 of you run", BUILT_WITHIN);
    assert_eq!(host.shell("watched '*.servo'").out.trim_end(), "good morning, 1 pods: 1 of you run");
    assert!(dev.status().is_none(), "it goes on");
    until_it_complains(&dev, "watched: revision 2 is active");
}

#[test]
fn in_python_a_change_during_a_build_counts() {
    if !has_python("in_python_a_change_during_a_build_counts") {
        return;
    }
    let host = TestHost::up().start();
    let author = Author::of(&host);
    let (mut dev, source) = begin(&author, "watched-py", "python", "src/app.py");
    let dist = author.room().join("watched-py/dist");
    wait::until_so("the first build to begin", BUILT_WITHIN, || dist.is_dir());

    let text = fs::read_to_string(&source).unwrap();
    save(&source, &text.replace("hello, {", "good morning, {"));
    let _ = dev.wait_for_line("good morning, 1 pods: 1 of you run", BUILT_WITHIN);
    assert_eq!(host.shell("watched-py '*.servo'").out.trim_end(), "good morning, 1 pods: 1 of you run");

    save(&source, &text.replace("def count(infos):", "def count(infos:"));
    until_it_complains(&dev, "waiting for a change");
    let told = dev.stderr();
    assert!(told.contains("SyntaxError") && !told.contains("Stack backtrace"), "{told}");
    assert_eq!(host.shell("watched-py '*.portal'").out.trim_end(), "good morning, 1 pods: 1 of you run");
}
