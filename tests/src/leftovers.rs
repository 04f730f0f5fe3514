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
/// their environment. A process that ended and waits for its parent is not among them: it holds nothing any more. Nor is one that was
/// killed and has not had its turn since: on a busy machine that takes a moment.
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
    if !works_there && !names_it() && !inherits_it() || is_ending(&proc) {
        return None;
    }
    let words: Vec<_> = words.into_iter().map(String::from_utf8_lossy).collect();
    Some(Leftover { pid, command: words.join(" ").trim_end().to_owned() })
}

/// Whether a process is on its way out, and nothing can hold it.
fn is_ending(proc: &Path) -> bool {
    /// The bit of SIGKILL in a set of signals.
    const KILL: u64 = 1 << 8;
    /// The kernel's `PF_EXITING`.
    const EXITING: u64 = 0x4;
    let status = fs::read_to_string(proc.join("status")).unwrap_or_default();
    let pending = |line: &str| {
        let set = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(set.trim(), 16).ok()
    };
    // `pid (name) state parent group session terminal foreground flags ...`; the name may hold anything.
    let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    let flags = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6)?.parse::<u64>().ok());
    status.lines().filter_map(pending).any(|set| set & KILL != 0) || flags.is_none_or(|flags| flags & EXITING != 0)
}

fn contains(bytes: &[u8], text: &OsStr) -> bool {
    let text = text.as_bytes();
    bytes.windows(text.len()).any(|window| window == text)
}
