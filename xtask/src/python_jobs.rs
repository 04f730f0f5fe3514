//! Building the example jobs in Python: `examples/jobs/python/*.py` into `<target>/jobs-python/<name>.wasm`.
//!
//! A component of Python takes ten seconds of work, so one whose sources did not change is left as it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, bail};

use crate::workspace::Workspace;
use crate::{say, setup};

const JOBS: &str = "examples/jobs/python";

/// What goes into every component, besides the job itself.
const SHARED: [&str; 5] = [
    "sdk/python/build.sh",
    "sdk/python/ocho_job.py",
    "sdk/python/requirements.txt",
    "sdk/python/wit/job.wit",
    "wit/0.1/proxy/proxy.wit",
];

/// Builds those that changed; installs componentize-py where it is needed for that.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let into = workspace.target.join("jobs-python");
    fs::create_dir_all(&into).with_context(|| format!("cannot make `{}`", into.display()))?;
    for job in sources(&workspace.root.join(JOBS))? {
        let name = job.file_stem().and_then(|stem| stem.to_str()).context("a job has an odd name")?;
        let (component, built) = (into.join(format!("{name}.wasm")), into.join(format!("{name}.sources")));
        let sources = read_all(&workspace.root, &job)?;
        if component.is_file() && fs::read(&built).is_ok_and(|there| there == sources) {
            continue;
        }
        let venv = setup::python_venv(workspace, "sdk/python/requirements.txt", "job-venv")?;
        say::step(format_args!("building the Python job {name}"));
        componentize(&workspace.root, &venv, &job, &component)?;
        // Last, so that a half-made component is made again.
        fs::write(&built, sources).with_context(|| format!("cannot write `{}`", built.display()))?;
    }
    Ok(())
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let mut jobs: Vec<PathBuf> =
        listing.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "py")).collect();
    jobs.sort();
    Ok(jobs)
}

fn read_all(root: &Path, job: &Path) -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    for file in SHARED.iter().map(|file| root.join(file)).chain([job.to_owned()]) {
        all.extend(fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?);
    }
    Ok(all)
}

fn componentize(root: &Path, venv: &Path, job: &Path, into: &Path) -> anyhow::Result<()> {
    let path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let path = env::join_paths(std::iter::once(venv.join("bin")).chain(path)).context("the PATH has odd folders")?;
    let mut build = Command::new(root.join("sdk/python/build.sh"));
    let status = build.arg(job).arg(into).env("PATH", path).status().context("cannot run sdk/python/build.sh")?;
    if !status.success() {
        bail!("sdk/python/build.sh ended with {status}");
    }
    Ok(())
}
