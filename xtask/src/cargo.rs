//! Cargo, started from a program that cargo started.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// A cargo command in `root`, with the environment that the user's shell gave.
pub(crate) fn command(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_of_this_run) {
            cargo.env_remove(name);
        }
    }
    // Of a thousand downloads some fail at first; what the user's environment sets stays.
    if env::var_os("CARGO_NET_RETRY").is_none() {
        cargo.env("CARGO_NET_RETRY", "10");
    }
    cargo
}

/// One selection for building and for running the tests, so that the two agree on features and nothing is compiled twice.
/// `--bins` makes the programs that the tests start.
pub(crate) const TESTED: [&str; 4] = ["--workspace", "--lib", "--bins", "--tests"];

/// How the native programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As they are used.
    Release,
    /// As the tests want them.
    Dev,
}

impl Profile {
    /// Where cargo puts them, in its target folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// Builds all native programs. One selection for each profile: another one has other features, and compiles wasmtime anew.
pub(crate) fn build_programs(root: &Path, profile: Profile) -> anyhow::Result<()> {
    let selection: &[&str] = match profile {
        Profile::Release => &["--workspace", "--bins", "--release"],
        Profile::Dev => &TESTED,
    };
    let status = command(root).arg("build").args(selection).status().context("cannot run cargo")?;
    ensure!(status.success(), "the programs do not compile: cargo ended with {status}");
    Ok(())
}

/// Whether `cargo run` set this variable for xtask. Some build scripts (ring's) watch these and would run again, and
/// everything above them be compiled again, each time that cargo is started the other way.
fn is_of_this_run(name: &str) -> bool {
    const NAMES: [&str; 4] = ["CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    NAMES.contains(&name) || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::is_of_this_run;

    #[test]
    fn keeps_the_users_settings() {
        for own in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION_MAJOR", "OUT_DIR"] {
            assert!(is_of_this_run(own), "{own}");
        }
        for users in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE", "RUSTFLAGS", "PATH"] {
            assert!(!is_of_this_run(users), "{users}");
        }
    }
}
