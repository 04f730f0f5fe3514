//! Runs of the built `ocho` command.

use std::path::Path;
use std::process::Command;

use crate::programs::program;

/// `ocho cli <host> <words>` in `folder`, with nothing of the user's environment in it.
#[must_use]
pub fn cli(host: &str, token: Option<&str>, folder: &Path, words: &[&str]) -> Command {
    let mut ocho = bare(folder);
    ocho.arg("cli").arg(host).args(words);
    if let Some(token) = token {
        ocho.env("OCHOPOD_TOKEN", token);
    }
    ocho
}

/// The `ocho` command without arguments, in `folder`.
#[must_use]
pub fn bare(folder: &Path) -> Command {
    let mut ocho = Command::new(program("ocho"));
    // A history or a setting of the user is not to be read, let alone written.
    ocho.current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder).env("XDG_DATA_HOME", folder);
    ocho.env("XDG_STATE_HOME", folder).env("XDG_CACHE_HOME", folder).env("COLUMNS", "80").env("LANG", "C.UTF-8");
    for name in ["OCHOPOD_PROXY", "OCHOPOD_TOKEN", "NO_COLOR", "CLICOLOR_FORCE"] {
        ocho.env_remove(name);
    }
    ocho
}
