//! The hostile set of `tests/hostile/`: tools that take all that they can get, and what ends each of them.
//!
//! The tests see that each ends as it should, the benchmark measures how long that takes and what it costs others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::Plan;
use crate::programs::{guest, root, target};
use crate::{TestHost, http, wait};

/// One way to do harm, and what comes of it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it does.
    pub name: &'static str,
    /// What ends it.
    pub limit: &'static str,
    /// How it is done.
    pub way: Way,
    /// What the caller is told: each of these is part of it.
    pub says: &'static [&'static str],
}

/// How harm is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A line for the portal.
    Line(&'static str),
    /// A run that its caller cancels once it said that it is there.
    Cancelled(&'static str),
    /// An upload.
    Upload(Upload),
}

/// What is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// A good component with this much code.
    Large(usize),
    /// Not a component.
    Garbage,
    /// A component in the text format, under `tests/hostile/`.
    Text(&'static str),
}

const MIB: usize = 1 << 20;

/// Every way of the set.
pub const ROWS: &[Row] = &[
    line("memory, by growing", "memory: 64 MiB", "guest memory", &["ran out of its 64 MiB of memory"]),
    line("memory, by tables", "table elements", "tables", &["asked for more table elements than it may have"]),
    line("memory, by instances", "memory: all of a run's together", "memories", &["ran out of its 64 MiB of memory"]),
    line("CPU, by a loop", "CPU: 1 s", "guest loop", &["used more than its 1 s of CPU time"]),
    line("CPU, by asking the clock", "CPU: 1 s", "guest clock-calls", &["used more than its 1 s of CPU time"]),
    line("CPU, by asking for chance", "CPU: 1 s", "guest random-calls", &["used more than its 1 s of CPU time"]),
    line("CPU, by asking the registry", "CPU: 1 s, or wall: 60 s", "guest find-calls", &["its ", " s"]),
    line("CPU, by writing a file anew", "CPU: 1 s, or wall: 60 s", "guest file-calls", &["its ", " s"]),
    line("recursion", "stack", "guest recursion", &["trapped: "]),
    line("output", "output: 16 MiB", "guest output", &["printed more than it may"]),
    line("work folder, one file", "work folder: 256 MiB", "writer folder", &["wrote more into its working folder"]),
    line("work folder, many files", "work folder: 10,000 entries", "writer entries", &["wrote more into its working folder"]),
    line(
        "work folder, a file that is removed",
        "work folder: 256 MiB",
        "writer removed-file",
        &["wrote more into its working folder"],
    ),
    line("streams never read", "streams: 100", "guest streams-unread", &["opened more than 100 streams of the host"]),
    line("streams of its own", "handles: 10,000", "guest streams-of-its-own", &["held more than 10000 handles"]),
    line("tasks never awaited", "handles: 10,000", "guest tasks", &["held more than 10000 handles"]),
    line("calls never awaited", "calls: 1,000, or handles: 10,000", "guest calls", &["more than "]),
    line("resources leaked", "handles: 10,000", "guest resources", &["held more than 10000 handles"]),
    Row {
        name: "a guest that ignores cancel",
        limit: "the caller",
        way: Way::Cancelled("guest ignores-cancel"),
        says: &["here to stay"],
    },
    line("runs that start runs", "depth: 4, places: 64 a depth", "recurse storm 3", &["3 of 3 failed"]),
    upload("a component of 50 MiB", "size: 32 MiB", Upload::Large(50 * MIB), &["413"]),
    upload("no component", "the compiler", Upload::Garbage, &["400"]),
    upload("a component of too many instances", "instances: 40", Upload::Text("instances"), &["400", "61 core module instances"]),
    upload("a component for a later WASI", "the linker", Upload::Text("later"), &["422", "of a WASI later than"]),
];

const fn line(name: &'static str, limit: &'static str, line: &'static str, says: &'static [&'static str]) -> Row {
    Row { name, limit, way: Way::Line(line), says }
}

const fn upload(name: &'static str, limit: &'static str, upload: Upload, says: &'static [&'static str]) -> Row {
    Row { name, limit, way: Way::Upload(upload), says }
}

/// How one of them ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// What the caller was told.
    pub said: String,
    /// From its start to its end.
    pub elapsed: Duration,
}

impl Row {
    /// Does it, and waits for its end.
    ///
    /// # Panics
    /// Where it does not end.
    #[must_use]
    pub fn play(&self, host: &TestHost) -> Ending {
        let started = Instant::now();
        let said = match self.way {
            Way::Line(line) => host.shell(line).out,
            Way::Cancelled(line) => cancel(host, line),
            Way::Upload(what) => {
                let url = format!("http://{}/v1/tools/uploaded", host.address("portal"));
                let component = what.bytes();
                // What counts is the host's time, not the making of the file.
                let started = Instant::now();
                let reply = http::send("POST", &url, &[("content-type", "application/wasm")], component);
                return Ending { said: format!("{} {}", reply.status, reply.body), elapsed: started.elapsed() };
            }
        };
        Ending { said, elapsed: started.elapsed() }
    }
}

/// Starts a run, waits until it is there, cancels it, and waits until it is gone.
fn cancel(host: &TestHost, line: &str) -> String {
    let portal = host.address("portal");
    let mut stream = TcpStream::connect(&portal).expect("the portal listens");
    let request = format!("POST /v1/runs HTTP/1.1\r\nHost: {portal}\r\nX-Shell: {line}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the portal reads");
    stream.set_read_timeout(Some(Duration::from_secs(180))).expect("a socket has a time-out");
    let mut said = String::new();
    while !said.contains("here to stay") {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("it says that it is there");
        assert!(read > 0, "it ended: {said}");
        said.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    let id = said.split("\"run\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the first event names the run");
    let is_running = || {
        let runs = host.portal("GET", "/v1/runs", &[]).json();
        runs["running"].as_array().is_some_and(|runs| runs.iter().any(|run| run["run"] == id))
    };
    assert!(is_running(), "it is there");
    let reply = http::request("DELETE", &format!("http://{portal}/v1/runs/{id}"), &[]);
    assert_eq!(reply.status, 202, "{}", reply.body);
    wait::until_so("the run to go", Duration::from_secs(120), || !is_running());
    said
}

/// Starts a host with the whole set.
///
/// # Panics
/// Where it does not take the limits of the tool that fills disks: that takes longer than the others may.
#[must_use]
pub fn start(plan: Plan) -> TestHost {
    let host = plan.start();
    let url = format!("http://{}/v1/tools/writer/limits", host.address("portal"));
    let limits = br#"{"cpu_ms": 50000}"#.to_vec();
    let reply = http::send("PUT", &url, &[("content-type", "application/json")], limits);
    assert_eq!(reply.status, 200, "{}", reply.body);
    host
}

/// What such a host is given: the set, and limits that make it short.
pub fn host() -> Plan {
    TestHost::up()
        .tool("guest", &component())
        .tool("writer", &component())
        .tool_bytes("tables", &compiled("tables"))
        .tool_bytes("memories", &compiled("memories"))
        .tool("recurse", &guest("recurse"))
        .tool("hello", &guest("hello"))
        .words(&["--memory-limit", "64", "--cpu-limit", "1", "--wall-limit", "60", "--grant", "recurse=proxy/shell"])
}

/// The component with most of the ways.
///
/// # Panics
/// Where it is not built.
#[must_use]
pub fn component() -> PathBuf {
    let file = target().join("hostile").join("guest.wasm");
    assert!(file.is_file(), "`{}` is not there: `cargo xtask test` builds it", file.display());
    file
}

fn compiled(name: &str) -> Vec<u8> {
    let file = root().join("tests/hostile").join(format!("{name}.wat"));
    wat::parse_file(&file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()))
}

impl Upload {
    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::Large(bytes) => large(bytes),
            Self::Garbage => vec![0xA5; MIB],
            Self::Text(name) => compiled(name),
        }
    }
}

/// A command whose core module has functions of this many bytes together.
#[must_use]
pub fn large(bytes: usize) -> Vec<u8> {
    const FUNCTION: usize = 16 * 1024;
    let count = bytes / FUNCTION;
    // Each function adds one to its argument, again and again, and gives 0: `run` is the first of them.
    let mut body = vec![0x00];
    while body.len() < FUNCTION - 4 {
        body.extend([0x20, 0x00, 0x41, 0x01, 0x6a, 0x21, 0x00]);
    }
    body.extend([0x41, 0x00, 0x0b]);
    let function = [number(body.len()), body].concat();
    let run = [number(4), vec![0x00, 0x41, 0x00, 0x0b]].concat();
    let types = [&[2][..], &[0x60, 0, 1, 0x7f], &[0x60, 1, 0x7f, 1, 0x7f]].concat();
    let kinds = [number(count + 1), vec![0], vec![1; count]].concat();
    let exports = [&[1][..], &[3], b"run", &[0, 0]].concat();
    let code = [number(count + 1), run, function.repeat(count)].concat();
    let module = [b"\0asm\x01\0\0\0".to_vec(), section(1, &types), section(3, &kinds), section(7, &exports), section(10, &code)];
    with_module(&module.concat())
}

/// A component around a core module that exports `run`.
fn with_module(module: &[u8]) -> Vec<u8> {
    let frame = wat::parse_str(
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $exported (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $exported)))"#,
    )
    .expect("the text is a component");
    // Eight bytes of the component's own, then its first section: the module.
    let (head, rest) = frame.split_at(8);
    assert_eq!(rest[0], 1, "the module comes first");
    let rest = &rest[2 + usize::from(rest[1])..];
    [head, &section(1, module), rest].concat()
}

fn section(kind: u8, content: &[u8]) -> Vec<u8> {
    [vec![kind], number(content.len()), content.to_vec()].concat()
}

/// LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Runs a hundred honest tools, ten at a time; gives how long all of them took and the slowest.
///
/// # Panics
/// Where one does not answer as it should.
#[must_use]
pub fn hundred(portal: &str) -> (Duration, Duration) {
    let started = Instant::now();
    let slowest = thread::scope(|scope| {
        let callers: Vec<_> = (0..10).map(|_| scope.spawn(|| ten(portal))).collect();
        callers.into_iter().map(|caller| caller.join().expect("an honest run succeeds")).max().unwrap_or_default()
    });
    (started.elapsed(), slowest)
}

/// Ten runs on one connection; gives the slowest.
fn ten(portal: &str) -> Duration {
    let mut stream = TcpStream::connect(portal).expect("the portal listens");
    stream.set_nodelay(true).expect("a socket sends at once");
    stream.set_read_timeout(Some(Duration::from_secs(180))).expect("a socket has a time-out");
    let request = format!("POST /shell HTTP/1.1\r\nHost: {portal}\r\nX-Shell: hello\r\nContent-Length: 0\r\n\r\n");
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let started = Instant::now();
        stream.write_all(request.as_bytes()).expect("the portal reads");
        let mut reply = Vec::new();
        let mut piece = [0; 4096];
        while !reply.trim_ascii_end().ends_with(b"}") {
            let read = stream.read(&mut piece).expect("the portal answers");
            assert!(read > 0, "the portal hung up: {}", String::from_utf8_lossy(&reply));
            reply.extend_from_slice(&piece[..read]);
        }
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.contains("\"out\":\"hello\"") || reply.contains("\"out\": \"hello\""), "an honest run failed: {reply}");
        slowest = slowest.max(started.elapsed());
    }
    slowest
}
