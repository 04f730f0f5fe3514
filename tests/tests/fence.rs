//! Hostile tools behind the real portal: each limit ends its run with a sentence, and the others go on.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ocho_tests::host::Plan;
use ocho_tests::programs::guest;
use ocho_tests::{TestHost, http, wait};

fn with(guests: &[&str]) -> Plan {
    guests.iter().fold(TestHost::up(), |plan, name| plan.tool(name, &guest(name)))
}

/// Each wait is for something that takes a moment where the machine has no other work.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_tool_that_loops_for_ever_ends_at_its_cpu_limit() {
    let host = with(&["spin", "hello"]).words(&["--cpu-limit", "1"]).start();
    let spun: Vec<_> = thread::scope(|scope| {
        let spins: Vec<_> = (0..3).map(|_| scope.spawn(|| host.shell("spin before"))).collect();
        spins.into_iter().map(|spin| spin.join().unwrap()).collect()
    });
    for reply in spun {
        let said = reply.failure();
        assert!(said.starts_with("before\ntool 'spin' used more than its 1 s of CPU time (revision "), "{said}");
    }
    assert_eq!(host.shell("hello").success(), "hello");
}

#[test]
fn others_go_on_beside_tools_that_loop_for_ever() {
    // Half a minute of processor time for each. Without turns the neighbours would wait for the end of at least one of them.
    let host = with(&["spin", "hello"]).start();
    thread::scope(|scope| {
        let spins: Vec<_> = (0..3).map(|_| scope.spawn(|| host.shell("spin"))).collect();
        wait::until_so("the spinning", PATIENCE, || host.running().len() == spins.len());
        for _ in 0..12 {
            assert_eq!(host.shell("hello").success(), "hello");
        }
        assert!(!spins.iter().any(thread::ScopedJoinHandle::is_finished), "somebody waited for the end of a spinning tool");
        host.cancel_all();
        for spin in spins {
            assert!(!spin.join().unwrap().ok);
        }
    });
}

#[test]
fn a_tool_that_waits_is_not_charged_for_cpu() {
    // A minute of short waits, with a limit far below; the guest's own work is some milliseconds a second.
    let host = with(&["sleeper"]).words(&["--cpu-limit", "25"]).start();
    let started = Instant::now();
    let said = host.shell("sleeper 60 1000").success();
    assert!(said.starts_with("waited ") && started.elapsed() >= Duration::from_secs(60), "{said}");
}

#[test]
fn a_tool_that_waits_too_long_ends_at_its_wall_limit() {
    let host = with(&["sleeper"]).words(&["--wall-limit", "1"]).start();
    // Far longer than the caller waits for an answer.
    for line in ["sleeper 10000 0", "sleeper 10000 200"] {
        let said = host.shell(line).failure();
        assert!(said.starts_with("tool 'sleeper' ran longer than its limit of 1 s (revision "), "{said}");
    }
}

#[test]
fn a_tool_that_takes_memory_gets_no_more_than_its_limit() {
    let host = with(&["hog", "hello"]).words(&["--memory-limit", "32"]).start();
    let said = host.shell("hog").failure();
    assert!(said.starts_with("tool 'hog' ran out of its 32 MiB of memory (revision "), "{said}");
    assert_eq!(host.shell("hog 16").success(), "holds 16 MiB");
    assert_eq!(host.shell("hello").success(), "hello");
}

#[test]
fn a_tool_that_prints_for_ever_is_cut_with_a_note() {
    let host = with(&["flood"]).words(&["--cpu-limit", "20"]).start();
    for line in ["flood", "flood --err"] {
        let reply = host.shell(line);
        assert!(!reply.ok && reply.body.len() < 40 << 20, "{} bytes", reply.body.len());
        let note = reply.out.lines().last().unwrap_or_default();
        assert!(note.starts_with("tool 'flood' printed more than "), "{note}");
    }
    let within = host.shell("flood 1000000").success();
    // 15,625 lines of 64 bytes; the end of the last one is not part of the reply.
    assert_eq!(within.len(), 999_999);
}

#[test]
fn a_long_reply_is_one_line_of_json() {
    let host = with(&["flood"]).start();
    let reply = host.shell("flood 5000000");
    let text = serde_json::to_string(&reply.out).unwrap();
    let (head, rest) = reply.body.split_once(&text).expect("the text stands in the line as it was printed");
    assert!(head.starts_with(r#"{"ok": true, "ms": "#) && head.ends_with(r#", "out": "#) && rest == "}\n", "{head} {rest}");
}

#[test]
fn a_trap_does_not_make_the_host_read_its_own_stack() {
    let host = with(&["trap"]).env("RUST_BACKTRACE", "1").start();
    let reply = host.shell("trap stack");
    let url = format!("http://{}/v1/runs/{}", host.address("portal"), reply.run);
    wait::until_so("the record", PATIENCE, || http::request("GET", &url, &[]).json()["run"]["state"] == "ended");
    let record = http::request("GET", &url, &[]).json();
    let backtrace = record["run"]["backtrace"].as_str().unwrap_or_default();
    assert!(backtrace.contains("wasm backtrace") && !backtrace.contains("Stack backtrace"), "{backtrace}");
}

#[test]
fn a_trap_is_told_with_revision_and_run() {
    let host = with(&["trap", "hello"]).start();
    for (kind, why) in [("unreachable", "wasm `unreachable` instruction executed"), ("bounds", "out of bounds memory access")] {
        let reply = host.shell(&format!("trap {kind}"));
        let run = reply.run.clone();
        assert_eq!(reply.failure(), format!("before\ntool 'trap' trapped: {why} (revision 1, run {run})"));
    }
    for kind in ["stack", "panic"] {
        let said = host.shell(&format!("trap {kind}")).failure();
        assert!(said.contains("tool 'trap' trapped: "), "{said}");
    }
    assert_eq!(host.shell("hello").success(), "hello");
    wait::until_so("the line in the log", PATIENCE, || host.log().matches("tool=trap").count() >= 4);
}

#[test]
fn a_tool_sees_its_own_folder_and_nothing_else() {
    let host = with(&["files"]).start();
    let outside = host.home().join("outside");
    fs::write(&outside, "not for tools").unwrap();
    for path in ["/etc/passwd", "../outside", "./../../outside", outside.to_str().unwrap(), "/proc/self/environ"] {
        let said = host.shell(&format!("files read {path}")).failure();
        assert!(said.starts_with("refused: "), "{path}: {said}");
        assert!(host.shell(&format!("files write {path} x")).failure().starts_with("refused: "), "{path}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "not for tools");
}

#[test]
fn a_tool_that_fills_its_folder_is_ended() {
    let host = with(&["files"]).start();
    for (line, limit) in [("files many 1000000", "10000"), ("files fill 8000000000", "256 MiB")] {
        let said = host.shell(line).failure();
        assert!(
            said.starts_with("tool 'files' wrote more into its working folder than ") && said.contains(limit),
            "{line}: {said}"
        );
    }
    // What it wrote is gone with it.
    let inside = |place: fs::DirEntry| fs::read_dir(place.path()).unwrap().flatten();
    let left = || {
        let entries = fs::read_dir(host.home().join("tmp")).unwrap().flatten().flat_map(inside);
        entries.filter(|entry| entry.file_name() != "lock").count()
    };
    wait::until_so("the folders to go", PATIENCE, || left() == 0);
}

#[test]
fn a_tool_inherits_nothing_of_the_daemon() {
    let host = with(&["echo"]).token("s3cret").env("AWS_SECRET_ACCESS_KEY", "leaked").start();
    let seen = host.shell("echo --environment").success();
    assert!(!seen.contains("s3cret") && !seen.contains("leaked") && !seen.contains("PATH="), "{seen}");
    assert!(seen.contains("OCHO_RUN="), "{seen}");
}

#[test]
fn exit_codes_make_failures() {
    let host = with(&["echo"]).start();
    assert_eq!(host.shell("echo a").success(), "echo\n[a]");
    for code in ["1", "2", "255"] {
        assert_eq!(host.shell(&format!("echo a --exit {code}")).failure(), "echo\n[a]");
    }
}

#[test]
fn runs_that_start_runs_go_only_so_deep() {
    let host = with(&["recurse", "hello"]).words(&["--grant", "recurse=proxy/shell"]).start();
    assert_eq!(host.shell("recurse start hello").success(), "hello");
    let said = host.shell("recurse").failure();
    let depths: Vec<_> = said.lines().filter(|line| line.starts_with("at depth ")).collect();
    assert_eq!(depths, ["at depth 0", "at depth 1", "at depth 2", "at depth 3", "at depth 4"], "{said}");
    assert!(said.contains("too-deep") || said.contains("TooDeep"), "{said}");
    let unknown = host.shell("recurse start nothing").failure();
    assert!(unknown.contains("NoSuchTool"), "{unknown}");
}

#[test]
fn what_was_not_granted_does_not_run() {
    let host = with(&["recurse"]).start();
    let said = host.shell("recurse").failure();
    assert!(said.contains("imports proxy/shell, which it was not granted") && said.contains("--grant recurse="), "{said}");
}

#[test]
fn runs_that_start_runs_do_not_wait_for_each_other_for_ever() {
    let host = with(&["recurse", "hello"]).words(&["--grant", "recurse=proxy/shell", "--runs", "2"]).start();
    let replies: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| host.shell("recurse start hello"))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for reply in replies {
        assert_eq!(reply.success(), "hello");
    }
}

#[test]
fn a_full_queue_refuses() {
    // One runs and four wait, until the one is ended.
    let host = with(&["sleeper"]).words(&["--runs", "1"]).start();
    let replies: Vec<_> = thread::scope(|scope| {
        let holds = scope.spawn(|| host.shell("sleeper 500 0"));
        wait::until_so("the run", PATIENCE, || host.running().len() == 1);
        let runs: Vec<_> = (0..12).map(|_| scope.spawn(|| host.shell("sleeper 0 1"))).collect();
        let refused = || runs.iter().filter(|run| run.is_finished()).count();
        wait::until_so("the refusals", PATIENCE, || refused() == 8);
        host.cancel_all();
        assert!(!holds.join().unwrap().ok);
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let refused: Vec<_> = replies.iter().filter(|reply| !reply.ok).collect();
    assert_eq!(refused.len(), 8, "{replies:?}");
    for reply in refused {
        assert!(reply.out.contains("try again later"), "{}", reply.out);
    }
}
