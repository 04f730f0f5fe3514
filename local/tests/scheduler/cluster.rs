//! The built cluster, in a home of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than anything in a test should take on a busy machine, and shorter than the minute that a server of files may be silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// A running cluster. Dropping it ends it and its tasks.
pub(crate) struct Cluster {
    process: Child,
    url: String,
    client: Client,
    words: Vec<String>,
    home: TempDir,
}

/// An answer: status and JSON, null where it is none.
pub(crate) type Reply = (u16, Value);

impl Cluster {
    pub(crate) async fn start(words: &[&str]) -> Self {
        Self::start_in(TempDir::with_prefix("scheduler-").expect("a folder"), words).await
    }

    pub(crate) async fn start_in(home: TempDir, words: &[&str]) -> Self {
        let ports = ["--task-ports".to_owned(), ports_of_its_own()];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).chain(ports).collect();
        let (process, url) = Self::spawn(home.path(), &words);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).no_proxy().build().expect("a client");
        Self { process, url, client, words, home }
    }

    fn spawn(home: &Path, words: &[String]) -> (Child, String) {
        let mut process = Command::new(program())
            .args(["--marathon", "127.0.0.1:0", "--zookeeper", "127.0.0.1:0", "--images"])
            .arg(home.join("images"))
            .arg("--data")
            .arg(home.join("data"))
            .args(words)
            // Nothing on the machine that runs the tests may be what an image is run by.
            .args(if words.iter().any(|word| word == "--docker") {
                &[] as &[&str]
            } else {
                &["--docker", "/nonexistent/docker.sock"]
            })
            // What it takes of memory is not to depend on the number of processors.
            .env("TOKIO_WORKER_THREADS", "2")
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example `cluster` is built with the tests");
        let mut ready = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut ready).expect("readable");
        let address = ready.split_whitespace().find_map(|word| word.strip_prefix("marathon=")).unwrap_or_default();
        assert!(!address.is_empty(), "the cluster did not become ready: `{ready}`");
        (process, format!("http://{address}"))
    }

    /// Kills the cluster as a crash would. Its tasks run on.
    pub(crate) fn crash(&mut self) {
        self.process.kill().expect("it ran");
        self.process.wait().expect("it was ours");
    }

    /// Starts it again in the same home.
    pub(crate) fn restart(&mut self) {
        (self.process, self.url) = Self::spawn(self.home.path(), &self.words);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).expect("it runs");
    }

    /// Asks it to stop and says how it ended.
    pub(crate) async fn stop(&mut self) -> std::process::ExitStatus {
        self.signal(Signal::SIGTERM);
        until("the cluster to stop", async || self.process.try_wait().expect("ours")).await
    }

    /// The memory that it uses now, without its tasks.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel writes it");
        line.trim().trim_end_matches("kB").trim().parse().expect("a number")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn tasks_folder(&self) -> PathBuf {
        self.home().join("data/tasks")
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("it is one")
    }

    /// Makes a local image.
    pub(crate) fn image(&self, name: &str, entrypoint: &str) {
        let folder = self.home().join("images").join(name);
        fs::create_dir_all(&folder).expect("ours");
        write_program(&folder.join("entrypoint"), entrypoint);
    }

    /// What a server of a task says.
    pub(crate) async fn fetch(&self, url: &str) -> String {
        self.client.get(url).send().await.expect("an answer").text().await.expect("text")
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let reply = request.send().await.expect("an answer");
        let status = reply.status().as_u16();
        let text = reply.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// Creates an application; its id is in the body.
    pub(crate) async fn create(&self, app: Value) -> String {
        let (status, body) = self.send(Method::POST, "/v2/apps", Some(app)).await;
        assert_eq!(status, 201, "{body}");
        body["deployments"][0]["id"].as_str().expect("a deployment").to_owned()
    }

    /// Creates an application and waits until it is deployed.
    pub(crate) async fn deploy(&self, app: Value) {
        self.create(app).await;
        self.settled().await;
    }

    /// Changes an application.
    pub(crate) async fn put(&self, id: &str, change: Value) {
        let (status, body) = self.send(Method::PUT, &format!("/v2/apps{id}"), Some(change)).await;
        assert_eq!(status, 200, "{body}");
    }

    /// Waits until no deployment runs.
    pub(crate) async fn settled(&self) {
        until_so("all deployments to finish", async || self.get("/v2/deployments").await == json!([])).await;
    }

    pub(crate) async fn app(&self, id: &str) -> Value {
        self.get(&format!("/v2/apps{id}")).await["app"].clone()
    }

    /// Tasks of an application that run.
    pub(crate) async fn running(&self, id: &str) -> Vec<Value> {
        let tasks = self.get(&format!("/v2/apps{id}/tasks")).await["tasks"].clone();
        let tasks = tasks.as_array().cloned().unwrap_or_default();
        tasks.into_iter().filter(|task| task["state"] == "TASK_RUNNING").collect()
    }

    /// Waits until so many tasks run.
    pub(crate) async fn wait_running(&self, id: &str, count: usize) -> Vec<Value> {
        until("tasks to run", async || Some(self.running(id).await).filter(|tasks| tasks.len() == count)).await
    }

    /// The last failure of an application, once there is one.
    pub(crate) async fn failure(&self, id: &str) -> Value {
        until("a failure", async || Some(self.app(id).await["lastTaskFailure"].clone()).filter(|failure| !failure.is_null()))
            .await
    }

    /// A file in the folder of a task, once it has `part` in it.
    pub(crate) async fn output(&self, task: &Value, file: &str, part: &str) -> String {
        let path = self.tasks_folder().join(text(&task["id"])).join("sandbox").join(file);
        until(&format!("`{part}` in {}", path.display()), async || {
            Some(fs::read_to_string(&path).unwrap_or_default()).filter(|text| text.contains(part))
        })
        .await
    }

    /// Processes that were started here and still run: everything that has the home in its environment or its command.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        processes_of(self.home())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM);
            let _ = self.process.wait();
        }
        for (pid, _) in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

pub(crate) fn processes_of(home: &Path) -> Vec<(i32, String)> {
    let mark = home.to_str().expect("UTF-8");
    let entries = fs::read_dir("/proc").expect("a Linux");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (command, environment) = (read("cmdline"), read("environ"));
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let ours = command.contains(mark) || String::from_utf8_lossy(&environment).contains(mark);
        (ours && !command.is_empty()).then_some((pid, command))
    })
    .collect()
}

/// Writes a program that is about to be started. A process of its own does it: what we have open for writing, a process that
/// another test starts at the same time has open too for a moment, and a program that somebody writes does not start.
pub(crate) fn write_program(path: &Path, content: &str) {
    let script = "cat > \"$0\" && chmod 755 \"$0\"";
    let mut shell = Command::new("sh").arg("-c").arg(script).arg(path).stdin(Stdio::piped()).spawn().expect("there is a shell");
    shell.stdin.take().expect("piped").write_all(content.as_bytes()).expect("it reads");
    assert!(shell.wait().expect("ours").success());
}

/// A part of the ports of tasks for each cluster: a port that one chose, and that its task did not open yet, is free to another.
fn ports_of_its_own() -> String {
    const FIRST: u32 = 21_000;
    const COUNT: u32 = 200;
    const PARTS: u32 = 58;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = FIRST + COUNT * ((std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed)) % PARTS);
    format!("{first}-{}", first + COUNT - 1)
}

/// A port that is free now and stays so: nobody gets it who asks for any, neither to listen nor to connect from.
pub(crate) fn quiet_port() -> u16 {
    let ports = std::iter::repeat_with(|| rand::random_range(12_000..20_000));
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    ports.take(1000).find(free).expect("a port is free")
}

/// An address where nobody listens, held so that nobody will.
pub(crate) fn nobody() -> (tokio::net::TcpSocket, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

/// Whether a process is over. A zombie still has its number until its parent looks.
pub(crate) fn is_gone(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) || state.contains(") Z ")
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

/// The first port of a task.
pub(crate) fn port(task: &Value) -> u64 {
    task["ports"][0].as_u64().unwrap_or_else(|| panic!("no port in {task}"))
}

/// Asks every 20 ms until there is a value.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn until_so(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !look().await {
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its program");
    let profile = test.parent().and_then(Path::parent).expect("`<profile>/deps/<test>`");
    profile.join("examples/cluster")
}

/// A test that cannot run on this machine says so.
pub(crate) fn skip(name: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "`{name}` cannot be skipped here: {why}");
    let _ = std::io::stderr().write_all(format!("skipped: {name}: {why}\n").as_bytes());
}
