//! A whole session with nothing but `curl` and `openssl`, against the embedded cluster, and against a real ZooKeeper
//! with the scheduler in a process of its own.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use ocho_tests::command::{Background, run};
use ocho_tests::programs::{guest, on_path, program, root, write_program};
use ocho_tests::{RealZooKeeper, TestHost, http, skip, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "s3cret";
/// What is to come gets so long: the machine may have other work.
const SOON: Duration = Duration::from_secs(120);
const WEB: &str = include_str!("../../examples/images/web/entrypoint");

/// What a person types. `$1` is the line, the rest goes to curl.
const ASK: &str = r#"
line=$1; shift
signature=$(printf '%s' "$line" | openssl dgst -sha1 -hmac "$TOKEN" | sed 's/^.* //')
exec curl --silent --show-error --max-time 150 -X POST -H "X-Shell: $line" -H "X-Signature: sha1=$signature" "$@" "http://$PORTAL/shell"
"#;

/// A terminal, so to speak: the host's address and the token, and a folder with `web.yml` in it.
struct Terminal {
    portal: String,
    folder: TempDir,
}

impl Terminal {
    fn at(host: &TestHost) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(root().join("examples/web.yml"), folder.path().join("web.yml")).unwrap();
        Self { portal: host.address("portal"), folder }
    }

    fn sh(&self, script: &str, words: &[&str]) -> String {
        let mut sh = Command::new("sh");
        sh.args(["-c", script, "sh"]).args(words).env("TOKEN", TOKEN).env("PORTAL", &self.portal).current_dir(self.folder.path());
        run(&mut sh, Duration::from_secs(400)).ok()
    }

    /// Signs and sends a line; gives `ok` and `out`.
    fn ask(&self, line: &str, more: &[&str]) -> (bool, String) {
        let words: Vec<&str> = [line].iter().chain(more).copied().collect();
        read(&self.sh(ASK, &words))
    }

    fn json(&self, line: &str) -> Value {
        let (ok, out) = self.ask(line, &[]);
        assert!(ok, "{line}: {out}");
        serde_json::from_str(&out).unwrap_or_else(|cause| panic!("{line}: {cause}: {out}"))
    }
}

fn read(body: &str) -> (bool, String) {
    let json: Value = serde_json::from_str(body).unwrap_or_else(|cause| panic!("{cause}: {body}"));
    (json["ok"].as_bool().unwrap(), json["out"].as_str().unwrap().to_owned())
}

fn has_programs(test: &str) -> bool {
    let missing: Vec<_> = ["curl", "openssl"].into_iter().filter(|name| on_path(name).is_none()).collect();
    if !missing.is_empty() {
        skip(test, &format!("not installed: {}", missing.join(", ")));
    }
    missing.is_empty()
}

/// Everything that a person can do so far, in the order in which they would.
fn session(host: &TestHost, marathon: &str) {
    let terminal = Terminal::at(host);
    who_may_call(&terminal);
    deploys_and_shows(&terminal);
    serves(marathon);
    kills_some(&terminal, marathon);
    kills_all(&terminal, marathon);
    loops_for_ever(&terminal);
    drops_a_tool_in(&terminal, host);
}

fn who_may_call(terminal: &Terminal) {
    let send = |headers: &str| read(&terminal.sh(&format!("curl -s -X POST {headers} http://$PORTAL/shell"), &[]));
    let unsigned = send("-H 'X-Shell: ls'");
    assert_eq!(unsigned, (false, "failure -> signature missing (make sure you define $OCHOPOD_TOKEN)".to_owned()));
    let wrong = send("-H 'X-Shell: ls' -H 'X-Signature: sha1=7db4d0b5fac10c9d90efe7cf277a57adc6d47ed1'");
    assert_eq!(wrong, (false, "failure -> SHA1 signature mismatch (check your token)".to_owned()));
    let (ok, help) = terminal.ask("help", &[]);
    assert!(ok && help.starts_with("available commands -> "), "{help}");
    let (ok, unknown) = terminal.ask("frobnicate", &[]);
    assert!(!ok && unknown.starts_with("unknown command (available commands -> "), "{unknown}");
}

fn deploys_and_shows(terminal: &Terminal) {
    let (ok, out) = terminal.ask("deploy web.yml -p 3 --strict -t 120 -j", &["-F", "web.yml=@web.yml"]);
    assert!(ok, "{out}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!({"web.yml": {"ok": true, "up": [0, 1, 2]}}));
    let pods = terminal.json("grep *web -j");
    assert_eq!(pods.as_object().unwrap().keys().collect::<Vec<_>>(), ["marathon.web #0", "marathon.web #1", "marathon.web #2"]);
    let states: BTreeSet<_> = pods.as_object().unwrap().values().map(|pod| pod["process"].as_str().unwrap()).collect();
    assert_eq!(states, BTreeSet::from(["running"]));
    let leaders = pods.as_object().unwrap().values().filter(|pod| pod["state"].as_str().unwrap().starts_with("leader"));
    assert_eq!(leaders.count(), 1);
    let cluster = &terminal.json("ls -j")["marathon.web"];
    assert_eq!((&cluster["running"], &cluster["total"]), (&json!(3), &json!(3)));
    assert_eq!(terminal.json("poll *web -j").as_object().unwrap().len(), 3);
}

/// The only app whose id names the cluster.
fn app(marathon: &str) -> Option<Value> {
    let apps = http::request("GET", &format!("http://{marathon}/v2/apps?embed=apps.tasks"), &[]).json();
    apps["apps"].as_array().unwrap().iter().find(|app| app["id"].as_str().unwrap().starts_with("/ochopod.marathon.web-")).cloned()
}

/// The pods are real: each serves on the port that the scheduler gave it for its port 80.
fn serves(marathon: &str) {
    let app = app(marathon).unwrap();
    let tasks = app["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 3);
    for task in tasks {
        let port = u16::try_from(task["ports"][1].as_u64().unwrap()).unwrap();
        // Its process runs, and opens the port as soon as it has its turn.
        wait::until_so("an open port", SOON, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let page = http::request("GET", &format!("http://127.0.0.1:{port}/"), &[]);
        assert_eq!((page.status, page.body), (200, format!("task {}, visit 1\n", task["id"].as_str().unwrap())));
    }
}

fn kills_some(terminal: &Terminal, marathon: &str) {
    let (ok, careful) = terminal.ask("kill *web", &[]);
    assert!(!ok && careful == "shutting down <- you must specify --force if -i is not set", "{careful}");
    assert_eq!(terminal.json("kill *web -j -i 1"), json!({"*web": {"ok": true, "down": [1]}}));
    let left = terminal.json("grep *web -j");
    let running = left.as_object().unwrap().iter().filter(|(_, pod)| pod["process"] == "running").map(|(key, _)| key.as_str());
    assert_eq!(running.collect::<Vec<_>>(), ["marathon.web #0", "marathon.web #2"]);
    assert_eq!(app(marathon).unwrap()["instances"], 2);
}

fn kills_all(terminal: &Terminal, marathon: &str) {
    let (ok, out) = terminal.ask("kill *web --force", &[]);
    assert_eq!((ok, out.as_str()), (true, "100% success (-2 pods)"));
    wait::until_so("the app to go", SOON, || app(marathon).is_none());
    let none = || terminal.json("grep *web -j").as_object().unwrap().is_empty();
    wait::until_so("the registrations to go", SOON, none);
    let (ok, out) = terminal.ask("kill *web --force", &[]);
    assert!(!ok && out.starts_with("0% success (-0 pods)\n"), "{out}");
}

fn loops_for_ever(terminal: &Terminal) {
    // Each of these ends long before curl gives up.
    let (ok, out) = std::thread::scope(|scope| {
        let spin = scope.spawn(|| terminal.ask("spin", &[]));
        while !spin.is_finished() {
            assert!(terminal.ask("help", &[]).0);
        }
        spin.join().unwrap()
    });
    assert!(!ok && out.starts_with("tool 'spin' used more than its 2 s of CPU time"), "{out}");
}

fn drops_a_tool_in(terminal: &Terminal, host: &TestHost) {
    host.add_tool("greet", &fs::read(guest("hello")).unwrap());
    wait::until_so("the new tool", SOON, || terminal.ask("greet", &[]) == (true, "hello".to_owned()));
}

#[test]
fn a_session_with_curl_on_the_embedded_cluster() {
    if !has_programs("a_session_with_curl_on_the_embedded_cluster") {
        return;
    }
    let host = TestHost::up().token(TOKEN).image("web", WEB).tool("spin", &guest("spin")).words(&["--cpu-limit", "2"]).start();
    session(&host, &host.address("marathon"));
    let (ended, left) = host.stop();
    assert_eq!((ended.code, left), (0, Vec::new()), "{}", ended.stderr);
}

/// The scheduler of `ochod`, alone, for tasks that register in another ZooKeeper.
struct Scheduler {
    process: Background,
    address: String,
    _folder: TempDir,
}

impl Scheduler {
    fn start(zookeeper: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        fs::create_dir_all(images.join("web")).unwrap();
        write_program(&images.join("web/entrypoint"), WEB);
        let path = format!("{}:{}", ocho_tests::programs::folder().display(), std::env::var("PATH").unwrap());
        let mut ochod = Command::new(program("ochod"));
        ochod.args(["cluster", "--marathon", "127.0.0.1:0", "--external-zookeeper", zookeeper, "--images"]).arg(images);
        ochod.arg("--data").arg(folder.path().join("data")).env("PATH", path).env("HOME", folder.path());
        let mut process = Background::start(&mut ochod);
        let ready = process.wait_for_line("ready ", SOON);
        let address = ready.split(' ').find_map(|word| word.strip_prefix("marathon=")).unwrap().to_owned();
        Self { process, address, _folder: folder }
    }
}

#[test]
fn a_session_with_curl_on_a_real_zookeeper() {
    let test = "a_session_with_curl_on_a_real_zookeeper";
    if !has_programs(test) {
        return;
    }
    if !RealZooKeeper::is_installed() {
        return skip(test, "no ZooKeeper: install libzookeeper-java and default-jre-headless");
    }
    // Pods whose sessions end come back under other numbers.
    let zookeeper = RealZooKeeper::with_sessions_of(Duration::from_secs(30));
    let scheduler = Scheduler::start(&zookeeper.address());
    let host = TestHost::serve(&scheduler.address, &zookeeper.address()).token(TOKEN).tool("spin", &guest("spin"));
    let host = host.words(&["--cpu-limit", "2"]).start();
    session(&host, &scheduler.address);
    let (ended, left) = host.stop();
    assert_eq!((ended.code, left), (0, Vec::new()), "{}", ended.stderr);
    scheduler.process.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(scheduler.process.wait(SOON).code, 0);
}

#[test]
fn an_image_that_dies_at_once_leaves_no_application() {
    if !has_programs("an_image_that_dies_at_once_leaves_no_application") {
        return;
    }
    let host = TestHost::up().token(TOKEN).image("web", "#!/bin/sh\nexit 3\n").start();
    let terminal = Terminal::at(&host);
    let (ok, out) = terminal.ask("deploy web.yml -p 2 -t 15", &["-F", "web.yml=@web.yml"]);
    let expected = "0% success (+0 pods)\nweb.yml : failed to deploy -> 0/2 pods came up within 15 s: the last task failed: Command exited with status 3";
    assert_eq!((ok, out.trim_end()), (false, expected));
    let apps = format!("http://{}/v2/apps", host.address("marathon"));
    wait::until_so("the application is gone", SOON, || {
        http::request("GET", &apps, &[]).json()["apps"].as_array().is_some_and(Vec::is_empty)
    });
    let _ = host.stop();
}
