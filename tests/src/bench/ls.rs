//! `ocho cli HOST ls` from start to exit: on a small cluster, on a thousand pods, and with some of them silent.
//!
//! Budgets: 30 ms with 5 pods, 250 ms with 1,000, and with 20 silent ones among them no more on top than their time-out of 5 s.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ocho_tests::{PodScript, Pods, TestHost, ocho};

const SILENT: u32 = 20;

pub(crate) fn run() {
    // Each pod is a port, and each question a connection, in this process too.
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        println!("the limit of open files stays as it is: {error}");
    }
    let host = TestHost::up().start();
    let mut pods = Pods::join(&host.address("zookeeper"));
    (0..5).for_each(|seq| pods.add("bench.web", seq, PodScript::running()));
    measure(&host, "5 pods", "5 pods and the host's own", 41, Duration::from_millis(30));
    for cluster in 0..10 {
        (0..100).for_each(|seq| pods.add(&format!("bench.many-{cluster}"), seq, PodScript::running()));
    }
    (0..5).for_each(|seq| pods.remove("bench.web", seq));
    measure(&host, "1,000 pods", "1,000 pods", 15, Duration::from_millis(250));
    (0..SILENT).for_each(|seq| pods.remove("bench.many-0", seq));
    (0..SILENT).for_each(|seq| pods.add("bench.many-0", seq + 100, PodScript::running().silent()));
    measure(&host, "20 silent", "980 pods and 20 silent ones", 3, Duration::from_millis(5250));
}

fn measure(host: &TestHost, name: &str, what: &str, times: usize, budget: Duration) {
    let portal = host.address("portal");
    let mut took: Vec<Duration> = (0..=times).map(|_| once(host, &portal)).skip(1).collect();
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    // What the program itself costs, before it asks anybody.
    let mut idle: Vec<Duration> =
        (0..times).map(|_| timed(Command::new(ocho_tests::programs::program("ocho")).arg("--version"))).collect();
    idle.sort();
    let verdict = if at(50) <= budget { "within" } else { "OVER" };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "  {name:<12} {what:<28} median {:>8.1} ms  p90 {:>8.1} ms   {verdict} the budget of {:.0} ms   (`ocho --version`: {:.1} ms)",
        ms(at(50)),
        ms(at(90)),
        ms(budget),
        ms(idle[idle.len() / 2]),
    );
}

fn once(host: &TestHost, portal: &str) -> Duration {
    timed(&mut ocho::cli(portal, None, &host.work(), &["ls"]))
}

/// Not through the harness: it looks for the end every ten milliseconds.
fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    let ended = command.output().expect("a built program starts");
    let took = started.elapsed();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    took
}
