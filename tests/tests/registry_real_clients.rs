//! The embedded registry beside a real ZooKeeper: the same clients do the same on both, and see the same.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ocho_local::registry::{Registry, RegistryConfig};
use ocho_tests::command::{Background, run};
use ocho_tests::programs::{python, root};
use ocho_tests::runtime::{Task, block_on, spawn};
use ocho_tests::wait::until_so;
use ocho_tests::{RealZooKeeper, skip};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const WITHIN: Duration = Duration::from_secs(600);

const NO_PYTHON: &str = "kazoo is not installed";
const NO_ZOOKEEPER: &str = "Debian's packages `zookeeper` and `default-jre-headless` are not installed";

/// A fresh registry without anything of a host in it. Dropping it ends it.
struct Fresh {
    address: SocketAddr,
    _serving: Task,
}

impl Fresh {
    fn start() -> Self {
        let config = RegistryConfig::new("127.0.0.1:0".parse().unwrap());
        let registry = block_on(Registry::bind(config)).unwrap();
        let address = registry.local_addr();
        Self { address, _serving: spawn(registry.serve(CancellationToken::new())) }
    }

    fn address(&self) -> String {
        self.address.to_string()
    }
}

/// The Python and the real server, where both are there.
fn both(name: &str) -> Option<(PathBuf, RealZooKeeper)> {
    let Some(python) = python() else {
        skip(name, NO_PYTHON);
        return None;
    };
    if !RealZooKeeper::is_installed() {
        skip(name, NO_ZOOKEEPER);
        return None;
    }
    Some((python, RealZooKeeper::start()))
}

#[track_caller]
fn script(python: &Path, name: &str, words: &[&str]) -> String {
    let mut script = Command::new(python);
    // No compiled files between the sources.
    script.arg("-B").arg(root().join("tests/python").join(name)).args(words);
    run(&mut script, WITHIN).ok()
}

#[test]
fn recipes_see_the_same() {
    let Some((python, real)) = both("recipes_see_the_same") else { return };
    let ours = Fresh::start();
    let real = script(&python, "registry_transcript.py", &[&real.address()]);
    let ours = script(&python, "registry_transcript.py", &[&ours.address()]);
    for part in ["Lock", "Election", "Party", "ChildrenWatch", "DataWatch", "Barrier", "Counter", "transactions"] {
        assert!(real.contains(&format!("== {part}\n")), "`{part}` in:\n{real}");
    }
    assert_eq!(ours, real);
}

#[test]
fn random_requests_are_answered_alike() {
    for seed in ["1", "2", "3"] {
        let Some((python, real)) = both("random_requests_are_answered_alike") else { return };
        let ours = Fresh::start();
        let words = [&real.address(), &ours.address(), "--seed", seed, "--steps", "1500"];
        let said = script(&python, "registry_compare.py", &words);
        assert_eq!(said, format!("1500 requests were answered alike, seed {seed}\n"));
    }
}

/// What a person types into ZooKeeper's own command line, one watch of each sort among it.
const TYPED: &str = "\
create /cli one
get -w -s /cli
ls -w /cli
create -e -s /cli/e- x
ls /
set /cli two
addWatch -m PERSISTENT_RECURSIVE /cli
set /cli three
getAllChildrenNumber /
getEphemerals
getAcl /cli
create -c /box
create -t 1000 /late x
delete /cli
deleteall /cli
stat /cli
";

/// The last that comes of it: the answer, and what was watched. The two are printed by two threads.
const LAST: [&str; 2] = ["Node does not exist: /cli", "type:NodeDeleted path:/cli\n"];

#[test]
fn zookeepers_own_command_line_works() {
    if !RealZooKeeper::is_installed() {
        return skip("zookeepers_own_command_line_works", NO_ZOOKEEPER);
    }
    let (real, ours) = (RealZooKeeper::start(), Fresh::start());
    let told = type_in(&ours.address());
    for line in [
        "Created /cli",
        "Created /cli/e-0000000000",
        "[cli, zookeeper]",
        "dataLength = 3",
        "WatchedEvent state:SyncConnected type:NodeDataChanged path:/cli",
        "WatchedEvent state:SyncConnected type:NodeChildrenChanged path:/cli",
        "[/cli/e-0000000000]",
        "KeeperErrorCode = Unimplemented for /late",
        "Node not empty: /cli",
        "WatchedEvent state:SyncConnected type:NodeDeleted path:/cli",
        "Node does not exist: /cli",
    ] {
        assert!(told.contains(&line.to_owned()), "`{line}` in {told:#?}");
    }
    assert_eq!(told, type_in(&real.address()));
}

/// What it prints, sorted (events come when they come), without transactions and times.
fn type_in(address: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("typed"), TYPED).unwrap();
    let mut java = Command::new("sh");
    // A person who quits has seen what came; a program that read all of it at once would leave in the middle of it.
    let typing = "(cat typed; while ! test -e seen; do sleep 0.1; done; echo quit)";
    let client = "java -cp /usr/share/java/zookeeper.jar org.apache.zookeeper.ZooKeeperMain -server $0";
    java.args(["-c", &format!("{typing} | {client}")]).arg(address).current_dir(folder.path());
    let client = Background::start(&mut java);
    let printed = || format!("{}{}", client.stdout(), client.stderr());
    until_so("all that it prints", WITHIN, || LAST.iter().all(|last| printed().contains(last)));
    std::fs::write(folder.path().join("seen"), "").unwrap();
    let ended = client.wait(WITHIN);
    let varies = ["Zxid", "time =", "Connecting to", "SLF4J", "JLine"];
    let all = format!("{}{}", ended.stdout, ended.stderr);
    let mut lines: Vec<String> =
        all.lines().filter(|line| !varies.iter().any(|word| line.contains(word))).map(str::to_owned).collect();
    lines.sort();
    lines
}
