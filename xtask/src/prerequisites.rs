//! What a build needs on the machine: a C compiler, and the standard library for WebAssembly.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::say;
use crate::setup::steadily;

/// What the guests are compiled for.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// Makes sure that the C compiler is there (SQLite and the cryptography need one). Only says what to do: it cannot be
/// installed without asking.
pub(crate) fn check_c_compiler() -> anyhow::Result<()> {
    let set = env::var_os("CC").map(PathBuf::from);
    let found = set.or_else(|| ["cc", "gcc", "clang"].iter().find_map(|name| on_path(name)));
    if found.is_none() {
        bail!(
            "no C compiler on the PATH: install one (Debian, Ubuntu: `apt-get install build-essential`; Fedora: `dnf install gcc`)"
        );
    }
    Ok(())
}

/// How the guests get their standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WasmStd {
    /// The toolchain has it.
    Installed,
    /// The toolchain has its sources and the user asked to build it.
    Built,
}

/// Makes sure that Rust can compile for WebAssembly: looks into the toolchain, else asks rustup to add the target.
pub(crate) fn wasm_std(root: &Path) -> anyhow::Result<WasmStd> {
    if env::var_os("OCHO_BUILD_STD").is_some_and(|value| value == "1") {
        return Ok(WasmStd::Built);
    }
    if is_installed(root)? {
        return Ok(WasmStd::Installed);
    }
    if on_path("rustup").is_some() {
        say::step(format_args!("adding the Rust target {WASM_TARGET}"));
        let added = steadily(|| {
            let status = Command::new("rustup").args(["target", "add", WASM_TARGET]).current_dir(root).status();
            let status = status.context("cannot run rustup")?;
            ensure!(status.success(), "rustup ended with {status}");
            Ok(())
        });
        if added.is_ok() && is_installed(root)? {
            return Ok(WasmStd::Installed);
        }
    }
    bail!(
        "Rust cannot compile for {WASM_TARGET} here.\n\
         With rustup and a network: `rustup target add {WASM_TARGET}`.\n\
         Without: docs/wasm-target.md says how to build the standard library from a distribution's packages."
    )
}

fn is_installed(root: &Path) -> anyhow::Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .current_dir(root)
        .output()
        .context("cannot run rustc")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(output.status.success() && holds_std(&folder))
}

fn holds_std(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
    })
}

/// The file that the PATH gives for a command.
pub(crate) fn on_path(command: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
}
