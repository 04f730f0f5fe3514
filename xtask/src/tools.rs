//! Building guests: `plugins/*` into `<target>/tools/<name>.wasm`, `tests/guests/*` into `<target>/guests/<name>.wasm`,
//! `examples/jobs/rust/*` into `<target>/jobs/<name>.wasm`, `examples/models/*` into `<target>/models/<name>.wasm`.
//!
//! The build of the host embeds `<target>/tools`, so this comes first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::prerequisites::{WASM_TARGET, WasmStd, check_c_compiler, wasm_std};
use crate::workspace::{Package, Workspace};
use crate::{cargo, say};

/// A kind of guests: where their crates are, how they are called, where the components go.
struct Kind {
    crates: &'static str,
    prefix: &'static str,
    into: &'static str,
}

const TOOLS: Kind = Kind { crates: "plugins", prefix: "ocho-tool-", into: "tools" };
const GUESTS: Kind = Kind { crates: "tests/guests", prefix: "ocho-guest-", into: "guests" };
const HOSTILE: Kind = Kind { crates: "tests/hostile", prefix: "ocho-hostile-", into: "hostile" };
const MODELS: Kind = Kind { crates: "examples/models", prefix: "ocho-model-", into: "models" };
const JOBS: Kind = Kind { crates: "examples/jobs/rust", prefix: "ocho-job-", into: "jobs" };

/// Builds the standard tools.
pub(crate) fn build_tools(workspace: &Workspace) -> anyhow::Result<()> {
    build(workspace, &[TOOLS])
}

/// Builds the standard tools, the example jobs and models, and the guests of the tests.
pub(crate) fn build_all(workspace: &Workspace) -> anyhow::Result<()> {
    build(workspace, &[TOOLS, GUESTS, HOSTILE, JOBS, MODELS])
}

fn build(workspace: &Workspace, kinds: &[Kind]) -> anyhow::Result<()> {
    check_c_compiler()?;
    let std = wasm_std(&workspace.root)?;
    for kind in kinds {
        let packages = workspace.packages_in(kind.crates);
        if packages.is_empty() {
            say::step(format_args!("no crates in {}/", kind.crates));
            continue;
        }
        say::step(format_args!("building {} components of {}/", packages.len(), kind.crates));
        let components = compile(workspace, &packages, std)?;
        let folder = workspace.target.join(kind.into);
        let changed = collect(&components, kind, &folder)?;
        say::note(format_args!("{} in {}, {changed} changed", components.len(), folder.display()));
    }
    Ok(())
}

/// Cargo's variable for what the compiler is told when it compiles for WebAssembly.
const WASM_FLAGS: &str = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";
/// Where Debian's package puts the C library that Rust's standard library stands on.
const DEBIAN_WASI_LIBC: &str = "/usr/lib/wasm32-wasip2";

/// A component that cargo made, with the name of its package.
struct Component {
    package: String,
    file: PathBuf,
}

fn compile(workspace: &Workspace, packages: &[&Package], std: WasmStd) -> anyhow::Result<Vec<Component>> {
    let mut cargo = cargo::command(&workspace.root);
    cargo.args(["build", "--target", WASM_TARGET, "--profile", "tool", "--message-format=json-render-diagnostics"]);
    if std == WasmStd::Built {
        // The flag is unstable; this switch is how a stable compiler of a distribution is allowed to take it.
        cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"]);
        if env::var_os(WASM_FLAGS).is_none() {
            cargo.env(WASM_FLAGS, format!("-L native={DEBIAN_WASI_LIBC}"));
        }
    }
    for package in packages {
        cargo.args(["--package", &package.name]);
    }
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the components do not compile");
    }
    let wanted: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let components: Vec<Component> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(read_artifact)
        .filter(|c| wanted.contains(c.package.as_str()))
        .collect();
    for package in packages {
        if !components.iter().any(|component| component.package == package.name) {
            bail!("package `{}` makes no component: it needs a `cdylib` or a `main`", package.name);
        }
    }
    Ok(components)
}

/// Reads one of cargo's messages; the component in it, if it tells of one.
fn read_artifact(line: &[u8]) -> Option<Component> {
    let message: Value = serde_json::from_slice(line).ok()?;
    let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    let file = files.into_iter().find(|file| file.ends_with(".wasm"))?;
    Some(Component { package: package_name(message["package_id"].as_str()?)?.to_owned(), file: file.into() })
}

/// The name in a package id: `path+file:///folder/ls#ocho-tool-ls@0.1.0`, or `path+file:///folder/ls#0.1.0` where the
/// folder is called like the package.
fn package_name(id: &str) -> Option<&str> {
    let (url, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => url.rsplit('/').next(),
    }
}

/// Copies components that changed (a file that stays keeps its time, so nothing is built again because of it) and
/// removes those whose crate is gone. Gives the number of changes.
fn collect(components: &[Component], kind: &Kind, folder: &Path) -> anyhow::Result<usize> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut changed = 0;
    let mut expected = BTreeSet::new();
    for component in components {
        let name = component.package.strip_prefix(kind.prefix);
        let name = name.with_context(|| format!("package `{}` should be called `{}…`", component.package, kind.prefix))?;
        let file = folder.join(format!("{name}.wasm"));
        changed += usize::from(copy_if_changed(&component.file, &file)?);
        expected.insert(file);
    }
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        if !expected.contains(&file) {
            fs::remove_file(&file).with_context(|| format!("cannot remove `{}`", file.display()))?;
            changed += 1;
        }
    }
    Ok(changed)
}

fn copy_if_changed(from: &Path, to: &Path) -> anyhow::Result<bool> {
    let bytes = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    // Written beside and renamed: a host that watches this folder never sees half a file.
    let beside = to.with_extension("new");
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, to))
        .with_context(|| format!("cannot write `{}`", to.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages() {
        assert_eq!(package_name("path+file:///p/plugins/ls#ocho-tool-ls@0.1.0"), Some("ocho-tool-ls"));
        assert_eq!(package_name("path+file:///p/ocho-tool-ls#0.1.0"), Some("ocho-tool-ls"));
        assert_eq!(package_name("ls"), None);
    }

    #[test]
    fn messages_of_cargo() {
        let line = br#"{"reason":"compiler-artifact","package_id":"path+file:///p/ls#ocho-tool-ls@0.1.0","filenames":["/t/ls.d","/t/ls.wasm"]}"#;
        let component = read_artifact(line).unwrap();
        assert_eq!((component.package.as_str(), component.file), ("ocho-tool-ls", PathBuf::from("/t/ls.wasm")));
        for other in [&b""[..], b"{", b"{}", br#"{"filenames":["a.rlib"],"package_id":"x#y@1"}"#, br#"{"filenames":["a.wasm"]}"#]
        {
            assert!(read_artifact(other).is_none());
        }
    }
}
