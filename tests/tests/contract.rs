//! The standard tools as files: what they import, which is what they may do, and how large they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use ocho_tests::programs::{target, tool};
use wasmparser::{Parser, Payload};

const LARGEST: u64 = 400 * 1024;

fn tools() -> Vec<PathBuf> {
    let folder = fs::read_dir(target().join("tools")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The interfaces that the component itself imports, without their versions.
fn imports(component: &[u8]) -> BTreeSet<String> {
    let mut depth = 0_u32;
    let mut names = BTreeSet::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                names.extend(imports.into_iter().map(|import| import.unwrap().name.name.split('@').next().unwrap().to_owned()));
            }
            _ => {}
        }
    }
    names
}

fn of_ours(tool: &str) -> Vec<String> {
    let imports = imports(&fs::read(self::tool(tool)).unwrap());
    imports.into_iter().filter(|name| name.starts_with("ocho:") && !name.ends_with("/types")).collect()
}

#[test]
fn a_tool_imports_only_the_system_and_the_contract() {
    assert!(!tools().is_empty());
    for file in tools() {
        let imports = imports(&fs::read(&file).unwrap());
        assert!(imports.iter().any(|name| name == "wasi:cli/environment"), "{}: {imports:?}", file.display());
        for name in imports {
            assert!(name.starts_with("wasi:") || name.starts_with("ocho:"), "{}: {name}", file.display());
        }
    }
}

#[test]
fn a_tool_asks_for_what_it_uses_and_no_more() {
    for (tool, expected) in [
        ("ls", &["ocho:pods/observe", "ocho:pods/registry"][..]),
        ("grep", &["ocho:pods/observe", "ocho:pods/registry"]),
        ("poll", &["ocho:pods/registry", "ocho:pods/secrets"]),
        ("deploy", &["ocho:marathon/inspect", "ocho:marathon/operate", "ocho:pods/observe", "ocho:pods/registry"]),
        (
            "kill",
            &["ocho:marathon/inspect", "ocho:marathon/operate", "ocho:pods/control", "ocho:pods/observe", "ocho:pods/registry"],
        ),
    ] {
        assert_eq!(of_ours(tool), expected, "{tool}");
    }
}

#[test]
fn a_tool_is_small() {
    for file in tools() {
        let bytes = fs::metadata(&file).unwrap().len();
        assert!(bytes <= LARGEST, "{}: {bytes} bytes", file.display());
    }
}
