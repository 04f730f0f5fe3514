//! Collects what `ocho plugin new` writes beside a new plugin: the SDKs, the contract, WASI's WIT files and the pinned versions.
//!
//! The output is `embedded.rs`: lists of paths and texts, and `Cargo.lock` as far as the SDK needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::Opts;

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")).parent().expect("the crate stands in the project").to_owned();
    let sdk = manifest(&root.join("sdk/rust/Cargo.toml"));
    let core = manifest(&root.join("core/Cargo.toml"));
    let mut lists = String::new();

    let mut rust = Vec::new();
    for folder in ["core/src", "sdk/rust/src", "wit"] {
        collect(&root.join(folder), &["rs", "wit"], &mut rust);
    }
    rust.extend(["core/Cargo.toml", "sdk/rust/Cargo.toml"].map(|file| root.join(file)));
    // What the macro in it stands for is written in its place.
    let before = rust.len();
    rust.retain(|file| !file.ends_with("sdk/rust/src/generated.rs"));
    assert_eq!(rust.len() + 1, before, "the SDK generates its side of the contract in one file");
    list(&mut lists, "RUST", &root, &rust);
    text(&mut lists, "BINDINGS", &bindings(&root.join("wit/0.1")));

    let mut wit = Vec::new();
    collect(&root.join("wit/0.1"), &["wit"], &mut wit);
    list_flat(&mut lists, "CONTRACT", &wit);
    let mut wasi = Vec::new();
    collect(&wasip3_folder(&root).join("wit/deps"), &["wit"], &mut wasi);
    assert!(!wasi.is_empty(), "the crate wasip3 carries no WIT files any more");
    list_flat(&mut lists, "WASI", &wasi);

    let mut python = Vec::new();
    collect(&root.join("sdk/python"), &["py"], &mut python);
    list_flat(&mut lists, "PYTHON", &python);

    let workspace = read(&root.join("Cargo.toml"));
    text(&mut lists, "WORKSPACE", &sdk_workspace(&workspace, &sdk.all.union(&core.all).cloned().collect()));
    let lock = sdk_lock(&read(&root.join("Cargo.lock")), &sdk.needed, &core.needed);
    text(&mut lists, "LOCK", &lock);
    let out = PathBuf::from(variable("OUT_DIR")).join("embedded.rs");
    fs::write(&out, lists).expect("the output folder is cargo's");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Reads a file, and has this program run again when it changes.
fn read(file: &Path) -> String {
    println!("cargo::rerun-if-changed={}", file.display());
    fs::read_to_string(file).unwrap_or_else(|cause| panic!("cannot read {}: {cause}", file.display()))
}

/// Files below a folder with one of these endings, sorted. The folder itself is watched too: files may come and go.
fn collect(folder: &Path, endings: &[&str], into: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder).unwrap_or_else(|cause| panic!("cannot list {}: {cause}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, endings, into);
        } else if path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted)) {
            into.push(path);
        }
    }
}

fn list(lists: &mut String, name: &str, root: &Path, files: &[PathBuf]) {
    entries(lists, name, files, |file| file.strip_prefix(root).expect("it is of the project").display().to_string());
}

fn list_flat(lists: &mut String, name: &str, files: &[PathBuf]) {
    entries(lists, name, files, |file| file.file_name().expect("it is a file").to_string_lossy().into_owned());
}

fn entries(lists: &mut String, name: &str, files: &[PathBuf], shown: impl Fn(&Path) -> String) {
    writeln!(lists, "pub(super) const {name}: &[(&str, &str)] = &[").expect("a text grows");
    for file in files {
        writeln!(lists, "    ({:?}, include_str!({:?})),", shown(file), file.display().to_string()).expect("a text grows");
    }
    lists.push_str("];\n");
}

fn text(lists: &mut String, name: &str, text: &str) {
    writeln!(lists, "pub(super) const {name}: &str = {text:?};").expect("a text grows");
}

/// The names of a crate's dependencies: all, and those that are there without a feature.
struct Manifest {
    all: BTreeSet<String>,
    needed: BTreeSet<String>,
}

/// Each dependency stands on a line of its own in this project.
fn manifest(file: &Path) -> Manifest {
    let (mut all, mut needed, mut section) = (BTreeSet::new(), BTreeSet::new(), "");
    let text = read(file);
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let Some(end) = line.find([' ', '=', '.']).filter(|_| section.ends_with("dependencies]") && !line.starts_with('#'))
        else {
            continue;
        };
        let name = line[..end].to_owned();
        if !section.contains("dev-dependencies") && !line.contains("optional = true") {
            needed.insert(name.clone());
        }
        all.insert(name);
    }
    Manifest { all, needed }
}

/// The contract's guest side, as `wit_bindgen::generate!` in the SDK makes it: with it, plugins need not compile the generator.
fn bindings(contract: &Path) -> String {
    let mut resolve = Resolve::default();
    let mut package = |name: &str| resolve.push_path(contract.join(name)).expect("the contract reads").0;
    let packages = ["marathon", "pods", "proxy", "plugin"].map(&mut package);
    let world = resolve.select_world(&packages, Some("ocho:plugin/imports")).expect("the world is there");
    let mut files = Files::default();
    let options = Opts { generate_all: true, ..Opts::default() };
    options.build().generate(&mut resolve, world, &mut files).expect("the contract has bindings");
    let (_, code) = files.iter().next().expect("a world is one file");
    let code = std::str::from_utf8(code).expect("it is Rust");
    format!(
        "//! The contract's guest side, generated once for every plugin. Functions that a plugin does not call leave no import in it.\n\
         #![allow(warnings, clippy::all, clippy::pedantic, reason = \"generated\")]\n\n{code}"
    )
}

/// What is left of the generator's crate when its work is done.
const BINDINGS_NEED: &str = "wit-bindgen = { version = \"@\", default-features = false, features = [\"async-spawn\", \"bitflags\", \"realloc\", \"std\"] }";

/// The workspace of `.ocho/`: what the crates in it inherit, and no more.
fn sdk_workspace(workspace: &str, dependencies: &BTreeSet<String>) -> String {
    let section = |name: &'static str| {
        let lines = workspace.lines().skip_while(move |line| *line != name).skip(1);
        lines.take_while(|line| !line.starts_with('[')).filter(move |line| !line.is_empty() && !line.starts_with('#'))
    };
    let package: Vec<&str> = section("[workspace.package]").collect();
    let is_wanted = |line: &&str| line.find(" = ").is_some_and(|end| dependencies.contains(&line[..end]));
    let shared = section("[workspace.dependencies]").filter(is_wanted).map(|line| match line.strip_prefix("wit-bindgen = ") {
        Some(rest) => BINDINGS_NEED.replace('@', rest.split('"').nth(1).unwrap_or_default()),
        None => line.to_owned(),
    });
    let shared: Vec<String> = shared.collect();
    assert_eq!(
        shared.len(),
        dependencies.len(),
        "each dependency of the SDK stands on a line of the workspace: {dependencies:?}"
    );
    format!(
        "# What `ocho plugin new` wrote: the SDK as that version of `ocho` carried it. Not to be edited.\n\
         [workspace]\nresolver = \"3\"\nmembers = [\"core\", \"sdk/rust\"]\n\n\
         [workspace.package]\n{}\n\n[workspace.dependencies]\n{}\n\n[workspace.lints.rust]\n",
        package.join("\n"),
        shared.join("\n"),
    )
}

/// One package of a lock file.
struct Locked<'a> {
    name: &'a str,
    version: &'a str,
    block: &'a str,
    dependencies: Vec<&'a str>,
}

/// The part of the lock file that the SDK reaches. What cargo finds too much in it, it takes away.
fn sdk_lock(lock: &str, of_sdk: &BTreeSet<String>, of_core: &BTreeSet<String>) -> String {
    let packages: Vec<Locked<'_>> = lock.split("[[package]]\n").skip(1).map(locked).collect();
    let mut by_name: BTreeMap<&str, Vec<&Locked<'_>>> = BTreeMap::new();
    for package in &packages {
        by_name.entry(package.name).or_default().push(package);
    }
    let find = |spelled: &str| {
        let mut words = spelled.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let found = by_name.get(name).into_iter().flatten().find(|package| version.is_none_or(|v| v == package.version));
        *found.unwrap_or_else(|| panic!("`{spelled}` is not in Cargo.lock"))
    };
    let mut kept = BTreeMap::new();
    let mut waiting = vec![find("ocho-sdk")];
    while let Some(package) = waiting.pop() {
        let only = match package.name {
            "ocho-sdk" => Some(of_sdk),
            "ocho-core" => Some(of_core),
            _ => None,
        };
        let name_of = |spelled: &&&str| only.is_none_or(|only| only.contains(spelled.split(' ').next().unwrap_or_default()));
        let dependencies: Vec<&str> = package.dependencies.iter().filter(name_of).copied().collect();
        if kept.insert((package.name, package.version), (package, dependencies.clone())).is_none() {
            waiting.extend(dependencies.into_iter().map(find));
        }
    }
    let mut text = String::new();
    for (package, dependencies) in kept.values() {
        let head = package.block.split("dependencies = [").next().unwrap_or_default().trim_end();
        write!(text, "[[package]]\n{head}\n").expect("a text grows");
        if !dependencies.is_empty() {
            let lines: Vec<String> = dependencies.iter().map(|name| format!(" \"{name}\",\n")).collect();
            write!(text, "dependencies = [\n{}]\n", lines.concat()).expect("a text grows");
        }
        text.push('\n');
    }
    text
}

fn locked(block: &str) -> Locked<'_> {
    let value = |key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key} in Cargo.lock"));
        line.trim_matches(['"', ' ', '='])
    };
    let list = block.split_once("dependencies = [\n").map_or("", |(_, rest)| rest);
    let dependencies = list.lines().take_while(|line| *line != "]").map(|line| line.trim_matches([' ', '"', ',']));
    Locked { name: value("name"), version: value("version"), block, dependencies: dependencies.collect() }
}

/// Where cargo keeps the crate that carries WASI's WIT files.
fn wasip3_folder(root: &Path) -> PathBuf {
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--filter-platform", &variable("HOST")]).current_dir(root);
    let output = cargo.output().expect("cargo runs a second time");
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    // The one path that ends so; a reader of JSON would have to be compiled for this alone.
    let manifest = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let is_wasip3 = |path: &&str| path.contains("/wasip3-") && path.ends_with("/Cargo.toml");
    let manifest = manifest.into_iter().find(is_wasip3).expect("the crate wasip3 is a dependency of the SDK");
    Path::new(manifest).parent().expect("a manifest is in a folder").to_owned()
}
