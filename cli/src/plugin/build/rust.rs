//! Plugins in Rust: `cargo build --release --target wasm32-wasip2`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use serde::Deserialize;

use super::unstartable;
use crate::plugin::PluginError;
use crate::plugin::project::Project;
use crate::screen::Screen;

const TARGET: &str = "wasm32-wasip2";
/// Cargo's variable for what the compiler is told when it compiles for WebAssembly.
const WASM_FLAGS: &str = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";
/// Where Debian's package puts the C library that Rust's standard library stands on.
const DEBIAN_WASI_LIBC: &str = "/usr/lib/wasm32-wasip2";
const NO_CARGO: &str = "plugins in Rust need Rust, 1.95 or newer; rustup installs it";
const NO_COMPONENT: &str = "it needs `crate-type = [\"cdylib\"]` below [lib], or a `main.rs`";

/// Builds the project's crate and gives its component.
pub(super) fn build(project: &Project, screen: Screen) -> Result<Vec<u8>, PluginError> {
    add_target(screen);
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    if env::var_os("OCHO_BUILD_STD").is_some_and(|value| value == "1") {
        build_std(&mut cargo);
    }
    cargo.current_dir(project.folder()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(|cause| unstartable("cargo", NO_CARGO, cause))?;
    let messages = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    let file = messages.filter_map(|line| component_in(&line, project.name().as_str())).last();
    let status = child.wait().map_err(|cause| unstartable("cargo", NO_CARGO, cause))?;
    if !status.success() {
        return Err(PluginError::Build {
            command: format!("cargo build --release --target {TARGET}"),
            status: status.to_string(),
        });
    }
    let file = file.ok_or_else(|| PluginError::NoProject {
        folder: project.folder().to_owned(),
        why: format!("its crate makes no component; {NO_COMPONENT}"),
    })?;
    fs::read(&file).map_err(|cause| PluginError::Read { path: file, cause })
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// For toolchains without the target's standard library: it is compiled along (`docs/wasm-target.md`).
fn build_std(cargo: &mut Command) {
    // The flag is unstable; this switch is how a stable compiler of a distribution is allowed to take it.
    cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"]);
    if env::var_os(WASM_FLAGS).is_none() {
        cargo.env(WASM_FLAGS, format!("-L native={DEBIAN_WASI_LIBC}"));
    }
}

/// Adds the target where rustup manages the toolchain. Cargo says what is wrong if it is still not there.
fn add_target(screen: Screen) {
    let rustup = |words: &[&str]| Command::new("rustup").args(words).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let Ok(installed) = rustup(&["target", "list", "--installed"]) else { return };
    let is_there = String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == TARGET);
    if !is_there && installed.status.success() {
        screen.note(&format!("adding the target {TARGET}"));
        let _ = rustup(&["target", "add", TARGET]);
    }
}

/// One of cargo's messages, as far as it tells of files.
#[derive(Debug, Deserialize)]
struct Artifact {
    target: Target,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    package_id: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// The component that a message tells of, if it is that of the package `name`.
fn component_in(line: &str, name: &str) -> Option<PathBuf> {
    let artifact: Artifact = serde_json::from_str(line).ok()?;
    let is_ours = {
        let (url, fragment) = artifact.package_id.rsplit_once('#')?;
        // `path+file:///folder/hello#0.1.0` where the folder is called like the package, else `...#hello@0.1.0`.
        let called = fragment.split_once('@').map_or_else(|| url.rsplit('/').next(), |(called, _)| Some(called));
        called == Some(name)
    };
    let runs = artifact.target.kind.iter().any(|kind| kind == "cdylib" || kind == "bin");
    let file = artifact.filenames.into_iter().find(|file| file.extension().is_some_and(|end| end == "wasm"));
    file.filter(|_| is_ours && runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_cargo() {
        let line = |id: &str, kind: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","target":{{"kind":["{kind}"]}},"filenames":["/t/a.d","/t/a.wasm"]}}"#
            )
        };
        for id in ["path+file:///p/a#0.1.0", "path+file:///p/other#a@0.1.0"] {
            for kind in ["cdylib", "bin"] {
                assert_eq!(component_in(&line(id, kind), "a"), Some("/t/a.wasm".into()));
            }
            assert_eq!(component_in(&line(id, "lib"), "a"), None);
            assert_eq!(component_in(&line(id, "bin"), "b"), None);
        }
        for other in ["", "{", "{}", "null", r#"{"package_id":"x","target":{"kind":[]}}"#] {
            assert_eq!(component_in(other, "a"), None);
        }
    }
}
