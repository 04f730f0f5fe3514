//! `cargo xtask dist`: the pod agent as one static program that fits into any container.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::workspace::Workspace;
use crate::{cargo, say};

/// A container pulls it each time that it is placed somewhere.
const LARGEST: u64 = 10 << 20;
/// What the agent is built with: small first, since it waits most of the time.
const PROFILE: &str = "small";
/// A word that every program with a WebAssembly engine in it has somewhere.
const ENGINE: &[u8] = b"wasmtime";

/// Builds `ochopod`, checks it, and puts it into `<target>/dist/`.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    say::start();
    let target = host_target(&workspace.root)?;
    say::step("building a static ochopod (the first time takes some minutes)");
    let folder = workspace.target.join("dist");
    build(workspace, &target, &folder)?;
    let built = folder.join(&target).join(PROFILE).join("ochopod");
    say::step("checking it");
    check(&built)?;
    let place = folder.join("ochopod");
    fs::copy(&built, &place).with_context(|| format!("cannot write `{}`", place.display()))?;
    println!("{} ({} bytes, static)", place.display(), fs::metadata(&place)?.len());
    Ok(())
}

/// In a target folder and with a selection of its own: in the workspace's, features of other crates would come in.
fn build(workspace: &Workspace, target: &str, folder: &Path) -> anyhow::Result<()> {
    let mut cargo = cargo::command(&workspace.root);
    cargo.args(["build", "--package", "ochopod", "--bin", "ochopod", "--profile", PROFILE, "--target", target]);
    cargo.arg("--target-dir").arg(folder);
    // With a target named, these flags are for the program alone and not for what runs while it is built.
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    cargo.env("RUSTFLAGS", format!("{flags} -C target-feature=+crt-static").trim());
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "ochopod does not compile: cargo ended with {status}");
    Ok(())
}

/// The machine's own target, as the compiler names it.
fn host_target(root: &Path) -> anyhow::Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").current_dir(root).output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

fn check(program: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read `{}`", program.display()))?;
    check_bytes(&bytes)?;
    let ldd = Command::new("ldd").arg(program).output().context("cannot run ldd")?;
    let said = [ldd.stdout, ldd.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(is_static(&said), "it needs libraries of the machine that it runs on:\n{said}");
    let version = Command::new(program).arg("--version").output().context("it does not start")?;
    ensure!(version.status.success(), "it does not even tell its version: {}", version.status);
    Ok(())
}

fn check_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let size = bytes.len() as u64;
    if size >= LARGEST {
        bail!("it has {size} bytes, which is more than {LARGEST}");
    }
    if bytes.windows(ENGINE.len()).any(|window| window == ENGINE) {
        bail!("there is a WebAssembly engine in it: a feature that it is built with pulls it in (`cargo tree -p ochopod`)");
    }
    Ok(())
}

/// What `ldd` says of a program that needs nothing: one text for each of the two kinds.
fn is_static(said: &str) -> bool {
    said.contains("statically linked") || said.contains("not a dynamic executable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_says() {
        assert!(is_static("\tstatically linked\n") && is_static("\tnot a dynamic executable\n"));
        assert!(!is_static("\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n"));
    }

    #[test]
    fn what_is_too_large_or_holds_an_engine_is_refused() {
        assert!(check_bytes(b"\x7fELF").is_ok());
        assert!(check_bytes(b"\x7fELF wasmtime 48").unwrap_err().to_string().starts_with("there is a WebAssembly engine"));
        let large = vec![0; usize::try_from(LARGEST).unwrap()];
        assert_eq!(check_bytes(&large).unwrap_err().to_string(), "it has 10485760 bytes, which is more than 10485760");
    }
}
