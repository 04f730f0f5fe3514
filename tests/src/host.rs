//! The built `ochod`, in a home of its own, on free ports.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Background, Ended, run};
use crate::leftovers::{Leftover, leftovers};
use crate::programs::{folder, program};
use crate::shell::{Call, Reply};
use crate::{http, ocho, programs, wait};

/// The first start compiles all tools, on a machine that may have other work.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// A stop gives the tasks time to end.
const STOPPED_WITHIN: Duration = Duration::from_secs(120);
/// Longer than any command in a test.
const COMMAND_WITHIN: Duration = Duration::from_secs(400);

/// What to start.
#[derive(Debug)]
#[must_use]
pub struct Plan {
    words: Vec<String>,
    environment: BTreeMap<String, String>,
    token: Option<String>,
    on_one_core: bool,
    home: TempDir,
}

impl Plan {
    fn new(mode: &str) -> Self {
        let home = TempDir::with_prefix("ochod-").expect("a temporary folder can be made");
        for name in ["data", "tools", "images", "work", "tmp"] {
            fs::create_dir(home.path().join(name)).expect("the folder is ours");
        }
        let plan = Self { words: vec![mode.to_owned()], environment: BTreeMap::new(), token: None, on_one_core: false, home };
        let (data, tools) = (plan.path("data"), plan.path("tools"));
        // Compiled tools are shared: each test would compile them all again.
        let cache = programs::target().join("test-cache").display().to_string();
        plan.face("portal").face("servo").words(&["--data", &data, "--tools", &tools, "--cache", &cache])
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn face(self, name: &str) -> Self {
        self.words(&[&format!("--{name}"), "127.0.0.1:0"])
    }

    /// Lets a face listen elsewhere than on a free port.
    pub fn listen(mut self, face: &str, address: &str) -> Self {
        let flag = self.words.iter().position(|word| *word == format!("--{face}")).expect("every plan has its faces");
        address.clone_into(&mut self.words[flag + 1]);
        self
    }

    /// Adds words to the command line.
    pub fn words(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Lets it run on the first core only.
    pub fn on_one_core(mut self) -> Self {
        self.on_one_core = true;
        self
    }

    /// Sets a token, as an operator should: not on the command line.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self.env("OCHOD_TOKEN", token)
    }

    /// Sets a variable of the daemon's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a local image: the script that starts its tasks.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn image(self, name: &str, entrypoint: &str) -> Self {
        let folder = self.home.path().join("images").join(name);
        fs::create_dir_all(&folder).expect("the folder is ours");
        programs::write_program(&folder.join("entrypoint"), entrypoint);
        self
    }

    /// Puts a component into the folder of the tools before the start.
    ///
    /// # Panics
    /// Where it cannot be copied.
    pub fn tool(self, name: &str, component: &Path) -> Self {
        self.tool_bytes(name, &fs::read(component).expect("a component can be read"))
    }

    /// As [`Plan::tool`], with the component itself.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn tool_bytes(self, name: &str, component: &[u8]) -> Self {
        place(&self.home.path().join("tools"), name, component);
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> TestHost {
        let mut process = Background::start(&mut self.command());
        let ready = process.wait_for_line("ready ", READY_WITHIN);
        let faces = ready.split(' ').filter_map(|word| word.split_once('='));
        let faces = faces.map(|(name, address)| (name.to_owned(), address.to_owned())).collect();
        TestHost { process: Some(process), faces, plan: self }
    }

    /// Runs it where it is expected to end by itself.
    ///
    /// # Panics
    /// Where it does not end.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Ended {
        run(&mut self.command(), READY_WITHIN)
    }

    fn command(&self) -> Command {
        let mut ochod = if self.on_one_core { one_core(&program("ochod")) } else { Command::new(program("ochod")) };
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(is_of_ocho) {
                ochod.env_remove(name);
            }
        }
        let ours = std::iter::once(folder());
        let path = env::join_paths(ours.chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())));
        ochod.env("PATH", path.expect("the target folder fits into a PATH"));
        // Everything that it starts inherits these, so whatever is left behind can be told by them.
        ochod.env("HOME", self.home.path()).env("TMPDIR", self.path("tmp")).current_dir(self.home.path());
        ochod.envs(&self.environment).args(&self.words);
        ochod
    }
}

/// A program that is kept on the first core; `taskset` becomes the program, so its process id is the program's.
fn one_core(program: &Path) -> Command {
    let mut taskset = Command::new("taskset");
    taskset.args(["-c", "0"]).arg(program);
    taskset
}

/// Whether a variable of the user's would change what the daemon does.
fn is_of_ocho(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["ocho", "marathon", "port", "mesos", "host", "rust_log"].iter().any(|start| name.starts_with(start))
}

/// A running daemon. Dropping it stops it and everything that it started.
#[derive(Debug)]
pub struct TestHost {
    process: Option<Background>,
    faces: BTreeMap<String, String>,
    plan: Plan,
}

impl TestHost {
    /// The whole cluster in one: `ochod up`.
    pub fn up() -> Plan {
        let plan = Plan::new("up");
        let images = plan.path("images");
        plan.face("marathon").face("zookeeper").words(&["--images", &images])
    }

    /// The host alone, on another scheduler and registry: `ochod serve`.
    pub fn serve(marathon: &str, zookeeper: &str) -> Plan {
        Plan::new("serve").words(&["--marathon", marathon, "--zookeeper", zookeeper])
    }

    /// The host alone, on another registry, which has to find its scheduler by itself.
    pub fn serve_alone(zookeeper: &str) -> Plan {
        Plan::new("serve").words(&["--zookeeper", zookeeper])
    }

    /// The host alone, which has to find scheduler and registry by itself.
    pub fn serve_bare() -> Plan {
        Plan::new("serve")
    }

    /// Runs `ochod` with these words alone, where it is expected to end by itself.
    ///
    /// # Panics
    /// Where it does not end.
    #[track_caller]
    #[must_use]
    pub fn refused(words: &[&str]) -> Ended {
        let mut plan = Plan::new("up");
        plan.words.clear();
        plan.words(words).run()
    }

    /// Ids of the runs under way.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let runs = http::request("GET", &format!("http://{}/v1/runs", self.address("portal")), &[]).json();
        let ids = runs["running"].as_array().into_iter().flatten().filter_map(|run| run["run"].as_str());
        ids.map(str::to_owned).collect()
    }

    /// Cancels the runs under way.
    ///
    /// # Panics
    /// Where one of them ended meanwhile.
    pub fn cancel_all(&self) {
        for run in self.running() {
            let reply = http::request("DELETE", &format!("http://{}/v1/runs/{run}", self.address("portal")), &[]);
            assert_eq!(reply.status, 202, "{}", reply.body);
        }
    }

    /// The address of a face, `127.0.0.1:<port>`: `portal`, `servo`, `marathon`, `zookeeper`.
    ///
    /// # Panics
    /// Where the daemon did not name it when it was ready.
    #[track_caller]
    #[must_use]
    pub fn address(&self, face: &str) -> String {
        self.faces.get(face).unwrap_or_else(|| panic!("no `{face}` in {:?}", self.faces)).clone()
    }

    /// The process id of the daemon.
    ///
    /// # Panics
    /// Where it was stopped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Runs a line through `POST /shell`, signed where there is a token.
    #[track_caller]
    #[must_use]
    pub fn shell(&self, line: &str) -> Reply {
        self.call(line).send()
    }

    /// Signs from now on with a token that the host has from elsewhere.
    pub fn signs_with(&mut self, token: &str) {
        self.plan.token = Some(token.to_owned());
    }

    /// Prepares a line for `POST /shell`, signed where there is a token; files can be added.
    pub fn call(&self, line: &str) -> Call {
        let call = self.unsigned();
        match &self.plan.token {
            Some(token) => call.signed(line, token),
            None => call.line(line),
        }
    }

    /// Prepares a request to `POST /shell` without any header.
    pub fn unsigned(&self) -> Call {
        Call::to(&self.address("portal"))
    }

    /// Sends a request without a body to the portal's port.
    #[track_caller]
    #[must_use]
    pub fn portal(&self, method: &str, path: &str, headers: &[(&'static str, &str)]) -> http::Response {
        http::request(method, &format!("http://{}{path}", self.address("portal")), headers)
    }

    /// Runs a line through `ocho cli`, in the folder [`TestHost::work`].
    #[track_caller]
    #[must_use]
    pub fn ocho(&self, words: &[&str]) -> Ended {
        let token = self.plan.token.as_deref();
        run(&mut ocho::cli(&self.address("portal"), token, &self.work(), words), COMMAND_WITHIN)
    }

    /// The folder in which `ocho` runs: files to upload go here.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.plan.home.path().join("work")
    }

    /// The folder with all that the daemon writes.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.plan.home.path()
    }

    /// Puts a component into the folder of the tools, in one step as an operator's `mv` would.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn add_tool(&self, name: &str, component: &[u8]) {
        place(&self.plan.home.path().join("tools"), name, component);
    }

    /// Takes a component out of the folder of the tools.
    ///
    /// # Panics
    /// Where it is not there.
    pub fn remove_tool(&self, name: &str) {
        let file = self.plan.home.path().join("tools").join(format!("{name}.wasm"));
        fs::remove_file(file).expect("the tool is there");
    }

    /// What the scheduler answers to a `GET`: status and JSON (null where it is none).
    ///
    /// # Panics
    /// Where it does not answer.
    #[track_caller]
    #[must_use]
    pub fn marathon(&self, path: &str) -> (u16, Value) {
        let answer = http::request("GET", &format!("http://{}{path}", self.address("marathon")), &[]);
        (answer.status, answer.json())
    }

    /// What the daemon wrote on standard error so far.
    ///
    /// # Panics
    /// Where it was stopped.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().expect("it runs").stderr()
    }

    /// Sends the daemon a signal.
    ///
    /// # Panics
    /// Where it was stopped.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// Asks it to stop, waits for that, and gives what it left: its exit and the processes that still run.
    ///
    /// # Panics
    /// Where it does not stop.
    #[track_caller]
    #[must_use]
    pub fn stop(mut self) -> (Ended, Vec<Leftover>) {
        let process = self.process.take().expect("it runs until it is stopped");
        process.signal(Signal::SIGTERM);
        let ended = process.wait(STOPPED_WITHIN);
        let left = leftovers(self.home());
        end(&left);
        (ended, left)
    }

    /// Whether the daemon is gone without having been asked.
    ///
    /// # Panics
    /// Where it was stopped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        // A zombie until somebody waits for it, which `crash` and `restart` do.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    }

    /// Sets a variable of the daemon's environment for its next start.
    #[must_use]
    pub fn set_env(mut self, name: &str, value: &str) -> Self {
        self.plan.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Kills it as a crash would; what it started runs on.
    ///
    /// # Panics
    /// Where it was stopped.
    pub fn crash(&mut self) {
        self.process.as_mut().expect("it runs").kill();
    }

    /// Starts it again after a crash, with the same home.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[track_caller]
    #[must_use]
    pub fn restart(mut self) -> Self {
        let mut process = Background::start(&mut self.plan.command());
        let ready = process.wait_for_line("ready ", READY_WITHIN);
        let faces = ready.split(' ').filter_map(|word| word.split_once('='));
        self.faces = faces.map(|(name, address)| (name.to_owned(), address.to_owned())).collect();
        self.process = Some(process);
        self
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let said = (process.stdout(), process.stderr());
        if process.status().is_none() {
            process.signal(Signal::SIGTERM);
            let stopped = wait_quietly(STOPPED_WITHIN, || process.status().is_some());
            assert!(stopped || std::thread::panicking(), "ochod did not stop\n{}", process.stderr());
        }
        process.kill();
        let left = leftovers(self.home());
        end(&left);
        if std::thread::panicking() {
            eprintln!("what ochod wrote:\n{}\n{}", said.0, said.1);
        } else {
            assert!(left.is_empty(), "ochod left behind: {left:?}");
        }
    }
}

fn wait_quietly(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + within;
    while !is_so() {
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Writes beside and renames: the daemon never sees half a file.
fn place(folder: &Path, name: &str, component: &[u8]) {
    let beside = folder.join(format!(".{name}.part"));
    fs::write(&beside, component).expect("the folder is ours");
    fs::rename(&beside, folder.join(format!("{name}.wasm"))).expect("the folder is ours");
}

/// Kills what a daemon left behind, so that one failing test does not disturb the next.
fn end(left: &[Leftover]) {
    for process in left {
        let pid = Pid::from_raw(process.pid.try_into().expect("process ids are small"));
        // Fails where it has ended by now.
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Waits until a tool answers, or does not any more: `help` lists it or not.
///
/// # Panics
/// Where that takes longer than two minutes.
#[track_caller]
pub fn until_listed(host: &TestHost, tool: &str, listed: bool) {
    let lists = |help: &str| help.split([' ', ',']).any(|word| word == tool);
    wait::until_so("the list of tools", Duration::from_secs(120), || lists(&host.shell("help").out) == listed);
}
