//! Finding what a program left behind: processes that still work in its data folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fmt, fs, process};

/// A process that is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its id.
    pub pid: u32,
    /// Its command line, words separated by blanks.
    pub command: String,
}

impl fmt::Display for Leftover {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "process {}: {}", self.pid, self.command)
    }
}

/// Lists the processes (other than this one) that run in `folder` or below it, or name it on their command line or in
/// their environment. A process that ended and waits for its parent is not among them: it holds nothing any more.
#[must_use]
pub fn leftovers(folder: &Path) -> Vec<Leftover> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != process::id()).filter_map(|pid| leftover(pid, folder)).collect()
}

fn leftover(pid: u32, folder: &Path) -> Option<Leftover> {
    let proc = Path::new("/proc").join(pid.to_string());
    let command = fs::read(proc.join("cmdline")).ok()?;
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    let works_there = fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    let names_it = || words.iter().any(|word| contains(word, folder.as_os_str()));
    let inherits_it = || fs::read(proc.join("environ")).is_ok_and(|environ| contains(&environ, folder.as_os_str()));
    if !works_there && !names_it() && !inherits_it() {
        return None;
    }
    let words: Vec<_> = words.into_iter().map(String::from_utf8_lossy).collect();
    Some(Leftover { pid, command: words.join(" ").trim_end().to_owned() })
}

fn contains(bytes: &[u8], text: &OsStr) -> bool {
    let text = text.as_bytes();
    bytes.windows(text.len()).any(|window| window == text)
}
