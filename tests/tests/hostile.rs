//! The hostile set of `tests/hostile/` behind the real portal: each limit ends its tool with a sentence, and honest runs beside
//! it succeed.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::hostile::{ROWS, Row, Upload, Way, host, hundred, start};

/// What takes so long goes on for ever, also on a machine that is slow and has other work.
const HANGS: Duration = Duration::from_secs(240);

/// Plays a row with a hundred honest runs beside it.
fn play(host: &ocho_tests::TestHost, row: &Row) {
    let portal = host.address("portal");
    let (ending, (together, slowest)) = thread::scope(|scope| {
        let hostile = scope.spawn(|| row.play(host));
        let honest = hundred(&portal);
        (hostile.join().unwrap(), honest)
    });
    for part in row.says {
        assert!(ending.said.contains(part), "{}: `{part}` is not in: {}", row.name, shortened(&ending.said));
    }
    // How long things take is the benchmark's; nothing here may hang.
    assert!(ending.elapsed < HANGS, "{} took {:?}", row.name, ending.elapsed);
    assert!(together < HANGS, "{}: honest runs took {together:?}, the slowest {slowest:?}", row.name);
}

fn shortened(text: &str) -> String {
    let end: String = text.chars().rev().take(600).collect();
    end.chars().rev().collect()
}

#[test]
fn each_is_ended_by_its_limit_and_honest_runs_go_on() {
    let host = start(host());
    let before = resident(host.pid());
    for row in ROWS.iter().filter(|row| !matches!(row.way, Way::Upload(_))) {
        play(&host, row);
    }
    // Nothing of them is left: neither memory, nor open files, nor folders.
    let grown = resident(host.pid()).saturating_sub(before);
    assert!(grown < 512, "the host grew by {grown} MiB");
    let folders = || left_below(&host.home().join("tmp"));
    let end = Instant::now() + HANGS;
    while !folders().is_empty() {
        assert!(Instant::now() < end, "left behind: {:?}", folders());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!hundred(&host.address("portal")).0.is_zero());
}

#[test]
fn each_upload_is_refused_and_honest_runs_go_on() {
    let host = start(host());
    for row in ROWS.iter().filter(|row| matches!(row.way, Way::Upload(_))) {
        play(&host, row);
    }
}

#[test]
fn a_large_component_is_a_component() {
    // What the limit on size refuses is no garbage: a smaller one of the same kind runs.
    let host = start(host());
    let row = Row { name: "large", limit: "none", way: Way::Upload(Upload::Large(128 << 10)), says: &["200"] };
    play(&host, &row);
    assert_eq!(host.shell("uploaded").success(), "");
}

/// The working folders of runs that are still there. The host has them all in one folder, which stays.
fn left_below(folder: &Path) -> Vec<OsString> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    let below = entries(folder).into_iter().flat_map(|all| entries(&all.path()));
    below.filter(|entry| entry.path().is_dir()).map(|run| run.file_name()).collect()
}

/// Resident memory of a process in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}
