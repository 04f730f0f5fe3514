//! What the tests need beside Rust: programs of the distribution, and Python clients in a folder of their own.
//!
//! What cannot be installed is told, and the tests that need it skip themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::prerequisites::on_path;
use crate::say;
use crate::workspace::Workspace;

/// Something that tests use, and the Debian package that brings it.
struct Need {
    package: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 9] = [
    Need { package: "curl", is_there: || on_path("curl").is_some() },
    Need { package: "openssl", is_there: || on_path("openssl").is_some() },
    Need { package: "tmux", is_there: || on_path("tmux").is_some() },
    Need { package: "iproute2", is_there: || on_path("ip").is_some() },
    Need { package: "default-jre-headless", is_there: || on_path("java").is_some() },
    Need { package: "redis-server", is_there: || on_path("redis-server").is_some() },
    Need { package: "minisign", is_there: || on_path("minisign").is_some() },
    // The server itself, without the package `zookeeper`, which would bring a desktop with it.
    Need { package: "libzookeeper-java", is_there: || Path::new("/usr/share/java/zookeeper.jar").is_file() },
    Need { package: "python3-venv", is_there: has_python_venv },
];

/// Installs what is missing, as far as that can be done without asking.
pub(crate) fn for_tests(workspace: &Workspace) {
    if let Err(problem) = install_packages() {
        say::note(format_args!("{problem:#}"));
    }
    if let Err(problem) = python_venv(workspace, "tests/python/requirements.txt", "venv") {
        say::note(format_args!("no Python clients: {problem:#}"));
    }
}

fn install_packages() -> anyhow::Result<()> {
    let missing: Vec<_> = NEEDS.iter().filter(|need| !(need.is_there)()).map(|need| need.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("to have them: `apt-get install {}`", missing.join(" "));
    say::step(format_args!("installing {}", missing.join(", ")));
    if on_path("apt-get").is_none() {
        bail!("no apt-get here; the tests that need {} are skipped", missing.join(", "));
    }
    // The lists of packages may be absent or old: refreshed only where the first try fails.
    if apt_get("install", &missing).is_err() {
        steadily(|| apt_get("update", &[]).and_then(|()| apt_get("install", &missing))).context(by_hand)?;
    }
    Ok(())
}

fn apt_get(verb: &str, packages: &[&str]) -> anyhow::Result<()> {
    let mut command = if nix::unistd::geteuid().is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        // `-n`: never asks for a password.
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    // A single download that fails is tried again, and another apt-get that is at work is waited for.
    let patience = ["-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"];
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y", "--no-install-recommends"]).args(patience);
    command.arg(verb).args(packages);
    run(&mut command)
}

/// Makes `<target>/<name>`, a folder of Python packages in the versions of a file of requirements; does nothing where it is up
/// to date.
pub(crate) fn python_venv(workspace: &Workspace, requirements: &str, name: &str) -> anyhow::Result<PathBuf> {
    let wanted = workspace.root.join(requirements);
    let venv = workspace.target.join(name);
    let installed = venv.join("requirements.txt");
    let text = fs::read(&wanted).with_context(|| format!("cannot read `{}`", wanted.display()))?;
    if fs::read(&installed).is_ok_and(|there| there == text) {
        return Ok(venv);
    }
    say::step(format_args!("installing the Python packages of {requirements}"));
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut pip = Command::new(python(&venv));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "60", "--requirement"]).arg(&wanted);
    steadily(|| run(&mut pip))?;
    // Last, so that a half-made folder is made again.
    fs::write(&installed, text).with_context(|| format!("cannot write `{}`", installed.display()))?;
    Ok(venv)
}

/// How long to wait before another try.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];

/// Does what needs the network: a server that is slow, or away for a moment, must not cost all the tests that stand on it.
pub(crate) fn steadily(mut step: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    for pause in PAUSES {
        let Err(problem) = step() else { return Ok(()) };
        say::note(format_args!("{problem:#}; once more in {} s", pause.as_secs()));
        thread::sleep(pause);
    }
    step()
}

fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

fn has_python_venv() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}
