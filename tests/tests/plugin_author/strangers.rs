//! Components that know the published contract and nothing of our SDK, as `docs/plugins.md` has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ocho_tests::TestHost;
use ocho_tests::author::{Author, BUILT_WITHIN, componentize, guide, has_python};
use ocho_tests::command;
use ocho_tests::programs::{root, target};

const MANIFEST: &str = "[package]\nname = \"stranger\"\nversion = \"0.1.0\"\nedition = \"2024\"\n
[lib]\ncrate-type = [\"cdylib\"]\n\n[dependencies]\nwit-bindgen = \"0.61\"\n\n[workspace]\n";

/// The folder `stranger`, with the world and the files that it stands on.
fn begin(author: &Author) -> PathBuf {
    let folder = author.room().join("stranger");
    fs::create_dir_all(folder.join("wit/deps")).unwrap();
    fs::write(folder.join("wit/tool.wit"), guide("wit raw")).unwrap();
    let _ = author.ocho("", &["plugin", "new", "anything", "--lang", "python"]).ok();
    for file in fs::read_dir(author.room().join("anything/wit/deps")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join("wit/deps").join(file.file_name())).unwrap();
    }
    folder
}

/// Installed, it waits for the grant of what it imports beyond the default; with it, it runs.
#[track_caller]
fn is_fenced_and_runs(host: &TestHost, author: &Author, component: &Path) {
    let component = component.to_str().unwrap();
    let ocho = |words: &[&str]| author.ocho("", words);
    assert_eq!(ocho(&["plugin", "check", component]).code, 0);
    let waits = ocho(&["plugin", "install", component, "--as", "stranger"]);
    assert!(waits.code == 1 && waits.stderr.contains("it imports pods/control, which it was not granted"), "{waits:?}");
    assert!(!host.shell("stranger").ok);
    assert!(ocho(&["plugin", "grant", "stranger", "pods/control"]).ok().contains("revision 1 is active"));
    assert_eq!(ocho(&["cli", "stranger"]).ok(), "2 pods\n");
}

#[test]
fn a_stranger_in_rust() {
    let host = TestHost::up().start();
    let author = Author::of(&host);
    let folder = begin(&author);
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), guide("rust raw")).unwrap();
    fs::write(folder.join("Cargo.toml"), MANIFEST).unwrap();
    // The versions that are here already; cargo drops what the crate does not need.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut cargo = author.dress(Command::new("cargo"), "stranger");
    let built = command::run(cargo.args(["build", "--release", "--target", "wasm32-wasip2"]), BUILT_WITHIN);
    assert_eq!(built.code, 0, "{built:?}");
    is_fenced_and_runs(&host, &author, &target().join("scaffolds/wasm32-wasip2/release/stranger.wasm"));
}

#[test]
fn a_stranger_in_python() {
    if !has_python("a_stranger_in_python") {
        return;
    }
    let host = TestHost::up().start();
    let author = Author::of(&host);
    let folder = begin(&author);
    fs::write(folder.join("app.py"), guide("python raw")).unwrap();
    let mut componentize = author.dress(Command::new(componentize().unwrap()), "stranger");
    componentize.args(["--wit-path", "wit", "--world", "tool", "componentize", "app", "--output", "tool.wasm"]);
    let built = command::run(&mut componentize, BUILT_WITHIN);
    assert_eq!(built.code, 0, "{built:?}");
    is_fenced_and_runs(&host, &author, &folder.join("tool.wasm"));
}
