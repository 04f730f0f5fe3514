//! Embeds the standard tools that `cargo xtask tools` built into `<target>/tools`.
//!
//! Without them the daemon still builds (for checks and lints), starts, and says what it lacks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut list = String::from("&[\n");
    if let Some(folder) = tools_folder(&out) {
        // A folder is newer when a file appears or goes; each file for itself when its content changes.
        println!("cargo::rerun-if-changed={}", folder.display());
        for path in wasm_files(&folder)? {
            println!("cargo::rerun-if-changed={}", path.display());
            let name = path.file_stem().expect("a wasm file has a name").to_string_lossy();
            writeln!(list, "    ({name:?}, include_bytes!({path:?})),").expect("a String takes everything");
        }
    }
    list.push_str("]\n");
    fs::write(out.join("builtin.rs"), list)
}

/// `OUT_DIR` is `<target>/[<triple>/]<profile>/build/...`, the triple there only with `--target`; the tools lie in `<target>`.
fn tools_folder(out: &Path) -> Option<PathBuf> {
    let build = out.ancestors().find(|folder| folder.ends_with("build"))?;
    let above_profile = build.parent()?.parent()?;
    let is_of_triple = above_profile.file_name() == env::var_os("TARGET").as_deref();
    let folder = if is_of_triple { above_profile.parent()? } else { above_profile }.join("tools");
    if !folder.is_dir() {
        // So that the first `cargo xtask tools` is noticed.
        fs::create_dir_all(&folder).ok()?;
    }
    Some(folder)
}

fn wasm_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    files.sort();
    Ok(files)
}
