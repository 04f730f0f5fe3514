//! A trivial tool through `POST /shell`, beside the same handler in plain axum, and beside `wasmtime serve`.
//!
//! Budget: at most 80 µs more server CPU a run than axum, at least 10,000 runs on one core.

use std::env;
use std::process::Command;
use std::time::Duration;

use ocho_tests::TestHost;
use ocho_tests::command::Background;
use ocho_tests::programs::{guest, on_path};
use ocho_tests::server::nobody;
use ocho_tests::wait::until_so;

use crate::load::Target;
use crate::rounds::{Server, compare};

const READY_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn run() {
    let native = Native::start();
    let host = TestHost::up().tool("hello", &guest("hello")).words(&["--runs", "256"]).start();
    let wasmtime = Wasmtime::start();
    let mut servers = vec![
        Server { name: "plain axum", pid: native.process.id(), target: shell(native.address.clone()) },
        Server { name: "ochod, a fresh instance each", pid: host.pid(), target: shell(host.address("portal")) },
    ];
    match &wasmtime {
        Some(wasmtime) => servers.push(wasmtime.server()),
        None => println!("`wasmtime` is not installed: `wasmtime serve` is left out"),
    }
    for connections in [1, 32] {
        compare(&servers, connections);
    }
}

fn shell(address: String) -> Target {
    let request = format!("POST /shell HTTP/1.1\r\nHost: {address}\r\nX-Shell: hello\r\nContent-Length: 0\r\n\r\n");
    Target { address, request, expect: "hello\"" }
}

/// This program again, as a server.
pub(crate) struct Native {
    process: Background,
    address: String,
}

impl Native {
    pub(crate) fn start() -> Self {
        let this = env::current_exe().expect("a program knows its file");
        let mut process = Background::start(Command::new(this).arg("native-server"));
        let ready = process.wait_for_line("ready ", READY_WITHIN);
        let address = ready.rsplit('=').next().unwrap_or_default().to_owned();
        Self { process, address }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// `wasmtime serve` with a handler that says hello, a fresh instance for each request.
struct Wasmtime {
    process: Background,
    address: String,
}

impl Wasmtime {
    fn start() -> Option<Self> {
        let wasmtime = on_path("wasmtime")?;
        let address = nobody().to_string();
        let mut command = Command::new(wasmtime);
        command.args(["serve", "-Wcomponent-model-async", "-Sp3", "-Scli", "--max-instance-reuse-count", "1"]);
        let process = Background::start(command.args(["--addr", &address]).arg(guest("http")));
        until_so("wasmtime serve", READY_WITHIN, || std::net::TcpStream::connect(&address).is_ok());
        Some(Self { process, address })
    }

    fn server(&self) -> Server {
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        let target = Target { address: self.address.clone(), request, expect: "hello" };
        Server { name: "wasmtime serve", pid: self.process.id(), target }
    }
}
