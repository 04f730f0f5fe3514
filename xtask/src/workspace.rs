//! Where things are: the root, the target folder, and the crates that become components.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cargo::{self, Profile};

/// The project's folders, and its crates by folder.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the user's configuration puts it.
    pub(crate) target: PathBuf,
    packages: Vec<Package>,
}

/// A crate of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    folder: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
        let output = cargo::command(root)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed");
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("`cargo metadata` did not print JSON")?;
        let path = |value: &Value| value.as_str().map(PathBuf::from).context("`cargo metadata` lacks a path");
        let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
        Ok(Self {
            root: path(&metadata["workspace_root"])?,
            target: path(&metadata["target_directory"])?,
            packages: packages.iter().map(read_package).collect::<anyhow::Result<_>>()?,
        })
    }

    /// The crates whose folder stands directly in `folder`, such as `plugins`.
    pub(crate) fn packages_in(&self, folder: &str) -> Vec<&Package> {
        let folder = self.root.join(folder);
        self.packages.iter().filter(|package| package.folder.parent() == Some(&folder)).collect()
    }

    /// Where the native programs of a build are.
    pub(crate) fn programs(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.folder())
    }
}

fn read_package(package: &Value) -> anyhow::Result<Package> {
    let name = package["name"].as_str().context("`cargo metadata` lists a package without a name")?;
    let manifest = package["manifest_path"].as_str().map(Path::new).and_then(Path::parent);
    let folder = manifest.with_context(|| format!("package `{name}` has no folder"))?;
    Ok(Package { name: name.to_owned(), folder: folder.to_owned() })
}
