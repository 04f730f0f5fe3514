//! `inspect` and `check` on files, without any host, and what `new` and `build` refuse.

use std::fs;

use ocho_tests::programs::{guest, tool};
use serde_json::Value;

use ocho_tests::author::Author;

#[test]
fn a_component_in_a_file_is_inspected_and_checked() {
    let author = Author::new();
    let ls = tool("ls");
    let ls = ls.to_str().unwrap();
    let about = author.ocho("", &["plugin", "inspect", ls]).ok();
    for part in ["needs    ", "pods/registry, pods/observe", "contract 0.1: yes", "wasi:cli/run@0.3."] {
        assert!(about.contains(part), "{part}: {about}");
    }
    let value: Value = serde_json::from_str(&author.ocho("", &["plugin", "inspect", ls, "--json"]).ok()).unwrap();
    assert_eq!(value["component"]["wanted"], serde_json::json!(["pods/registry", "pods/observe"]));
    assert_eq!((&value["version"], &value["component"]["wasi"]), (&1.into(), &"0.3".into()));
    let checked = author.ocho("", &["plugin", "check", ls]).ok();
    assert!(checked.ends_with("contract 0.1: yes\n"), "{checked}");
    let old = author.ocho("", &["plugin", "inspect", guest("relay02").to_str().unwrap()]).ok();
    assert!(old.contains("proxy/shell-blocking") && old.contains("wasi:cli/run@0.2."), "{old}");
}

#[test]
fn what_does_not_fit_is_told_with_its_reason() {
    let author = Author::new();
    let later = r#"(component (import "ocho:pods/registry@0.2.0" (instance)) (import "wasi:cli/environment@0.4.0" (instance)))"#;
    for (name, bytes, reason) in [
        ("text.wasm", b"no component".to_vec(), "is not a WebAssembly component"),
        ("module.wasm", wat::parse_str("(module)").unwrap(), "build it for the target wasm32-wasip2"),
        ("empty.wasm", wat::parse_str("(component)").unwrap(), "exports no `wasi:cli/run`"),
        ("later.wasm", wat::parse_str(later).unwrap(), "of a contract that this host does not serve"),
        ("half.wasm", fs::read(tool("ls")).unwrap()[..50_000].to_vec(), "is not a WebAssembly component"),
    ] {
        fs::write(author.room().join(name), bytes).unwrap();
        let ended = author.ocho("", &["plugin", "check", name]);
        assert!(ended.code == 1 && ended.stderr.contains(reason), "{name}: {ended:?}");
    }
    let json: Value = serde_json::from_str(&author.ocho("", &["plugin", "check", "later.wasm", "--json"]).stdout).unwrap();
    assert_eq!((&json["ok"], &json["fits"][0]["fits"]), (&false.into(), &false.into()));
    let about = author.ocho("", &["plugin", "inspect", "later.wasm"]).ok();
    assert!(about.contains("contract 0.1: no: it ") && about.contains("wasi:cli/environment@0.4.0"), "{about}");
    let missing = author.ocho("", &["plugin", "check", "./none.wasm"]);
    assert!(missing.code == 4 && missing.stderr.contains("cannot read `./none.wasm`"), "{missing:?}");
}

#[test]
fn what_cannot_begin_is_told() {
    let author = Author::new();
    fs::create_dir(author.room().join("there")).unwrap();
    for (words, code, reason) in [
        (&["new", "there"][..], 1, "`there` is there already"),
        (&["new", "Hello"], 2, "Hello"),
        (&["new", "../x"], 2, "../x"),
        (&["new", "ocho-sdk"], 1, "the crates of the SDK begin so"),
        (&["new", "py", "--lang", "python", "--wasi", "0.2"], 1, "WASI 0.3"),
        (&["build", "there"], 1, "neither Cargo.toml nor pyproject.toml"),
        (&["install", "there"], 1, "neither Cargo.toml nor pyproject.toml"),
        (&["dev", "--folder", "there"], 1, "neither Cargo.toml nor pyproject.toml"),
        (&["grant", "x"], 2, "no interface was named"),
        (&["grant", "x", "pods"], 2, "marathon/inspect"),
        (&["limits", "x", "--memory", "much"], 2, "does not read as a size"),
    ] {
        let ended = author.ocho("", &[&["plugin"], words].concat());
        assert!(ended.code == code && ended.stderr.contains(reason), "{words:?}: {ended:?}");
    }
}
