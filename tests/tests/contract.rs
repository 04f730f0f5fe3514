//! The contract: what was released stays, and is served. The standard tools as files: what they import, and how large they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use ocho_core::signature::{hex, sha256};
use ocho_tests::programs::{guest, root, target, tool};
use ocho_tests::{TestHost, http};
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

/// The lines of `wit/FROZEN`: a digest and a file.
fn frozen() -> Vec<(String, PathBuf)> {
    let list = fs::read_to_string(root().join("wit/FROZEN")).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split_once("  ").expect("`<digest>  <file>`"))
        .map(|(digest, file)| (digest.into(), file.into()))
        .collect()
}

#[test]
fn what_was_released_did_not_change() {
    let frozen = frozen();
    assert!(!frozen.is_empty());
    for (digest, file) in &frozen {
        let content = fs::read(root().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(hex(&sha256(&content)), *digest, "`{}` was released and must stay as it was", file.display());
    }
    let fixtures = fs::read_dir(root().join("tests/fixtures")).unwrap().map(|entry| entry.unwrap().path());
    let releases = fixtures.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("contract-"));
    for file in releases.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()) {
        let listed = frozen.iter().any(|(_, frozen)| root().join(frozen) == file);
        assert!(listed, "`{}` is part of a release and is not in wit/FROZEN", file.display());
    }
}

/// What a file of WIT says, without comments and blank lines; the version of a package may grow.
fn statements(wit: &str) -> Vec<String> {
    let code = wit.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    code.filter(|line| !line.is_empty()).map(|line| line.split('@').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn within_a_version_things_are_added_and_none_changes() {
    for (_, file) in frozen().into_iter().filter(|(_, file)| file.extension().is_some_and(|kind| kind == "wit")) {
        let package = file.file_stem().unwrap().to_string_lossy().into_owned();
        let released = statements(&fs::read_to_string(root().join(&file)).unwrap());
        let now = statements(&fs::read_to_string(root().join(format!("wit/0.1/{package}/{package}.wit"))).unwrap());
        let mut rest = now.iter();
        for statement in released {
            assert!(rest.any(|one| *one == statement), "{package}: `{statement}` was released, and is gone or stands elsewhere");
        }
    }
}

#[test]
fn a_component_of_the_first_0_1_0_still_runs() {
    let text = fs::read(root().join("tests/fixtures/contract-0.1.0/everything.wat")).unwrap();
    let component = wat::parse_bytes(&text).unwrap().into_owned();
    let host = TestHost::up().tool("hello", &guest("hello")).start();
    let every = "marathon/inspect,marathon/operate,pods/registry,pods/observe,pods/secrets,pods/control,pods/exec,proxy/shell,\
        proxy/shell-blocking";
    let url = format!("http://{}/v1/tools/everything?grant={every}", host.address("portal"));
    let done = http::send("POST", &url, &[], component);
    assert_eq!((done.status, done.json()["state"].as_str()), (200, Some("active")), "{}", done.body);
    assert_eq!(done.json()["plan"]["imports"].as_array().unwrap().len(), 9);
    assert!(host.shell("everything").ok, "it runs `hello` through `ocho:proxy/shell-blocking@0.1.0`");
}
