//! `cargo xtask docs`: writes the pages of `docs/reference/` anew. The tests compare them with the sources.

use anyhow::{Context, ensure};

use crate::workspace::Workspace;
use crate::{cargo, say, tools};

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    say::start();
    tools::build_all(workspace)?;
    for arguments in [&["build", "--workspace", "--bins"][..], &["test", "--workspace", "--test", "docs", "pages"]] {
        let mut cargo = cargo::command(&workspace.root);
        let status = cargo.args(arguments).env("OCHO_UPDATE_DOCS", "1").status().context("cannot run cargo")?;
        ensure!(status.success(), "`cargo {}` ended with {status}", arguments.join(" "));
    }
    say::step("docs/reference is current");
    Ok(())
}
