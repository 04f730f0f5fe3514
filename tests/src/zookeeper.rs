//! A real ZooKeeper: Debian's package as a plain process on a free port.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::command::Background;
use crate::programs::on_path;
use crate::server::nobody;
use crate::wait::until_so;

const JAR: &str = "/usr/share/java/zookeeper.jar";
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Two ticks.
const SHORTEST_SESSION: Duration = Duration::from_millis(200);

/// A server with an empty tree. Dropping it ends it.
#[derive(Debug)]
pub struct RealZooKeeper {
    process: Background,
    folder: TempDir,
    port: u16,
}

impl RealZooKeeper {
    /// Whether the package and a Java are installed.
    #[must_use]
    pub fn is_installed() -> bool {
        Path::new(JAR).is_file() && on_path("java").is_some()
    }

    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// Where it does not start.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::with_sessions_of(SHORTEST_SESSION)
    }

    /// The same with sessions that outlive a silence of `shortest`, whatever the clients ask for: a machine that stalls for some seconds
    /// then ends none of them.
    ///
    /// # Panics
    /// Where it does not start.
    #[track_caller]
    #[must_use]
    pub fn with_sessions_of(shortest: Duration) -> Self {
        let folder = TempDir::with_prefix("zookeeper-").expect("a temporary folder can be made");
        let port = nobody().port();
        write_configuration(folder.path(), port, shortest);
        let process = Background::start(&mut command(folder.path()));
        let server = Self { process, folder, port };
        server.wait_until_ready();
        server
    }

    /// Where it listens, `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it and starts it again with the same data and port.
    ///
    /// # Panics
    /// Where it does not start.
    #[track_caller]
    pub fn restart(&mut self) {
        // The old one first: both want the port.
        self.process.kill();
        self.process = Background::start(&mut command(self.folder.path()));
        self.wait_until_ready();
    }

    /// Stops or continues the process, as a machine that hangs would.
    pub fn freeze(&self, frozen: bool) {
        self.process.signal(if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    #[track_caller]
    fn wait_until_ready(&self) {
        // It says `imok` a moment before it takes sessions.
        until_so("ZooKeeper", READY_WITHIN, || ask(self.port, "srvr").is_ok_and(|answer| answer.contains("Mode: ")));
    }
}

/// The answer to a four-letter word.
///
/// # Errors
/// Where nobody answers within two seconds.
pub fn ask(port: u16, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn write_configuration(folder: &Path, port: u16, shortest_session: Duration) {
    let data = folder.join("data");
    fs::create_dir(&data).expect("the folder is ours");
    // With ticks of 100 ms a lost session is noticed soon.
    let lines = [
        format!("dataDir={}", data.display()),
        format!("clientPort={port}"),
        "clientPortAddress=127.0.0.1".to_owned(),
        "tickTime=100".to_owned(),
        format!("minSessionTimeout={}", shortest_session.as_millis()),
        "maxSessionTimeout=60000".to_owned(),
        "maxClientCnxns=0".to_owned(),
        "admin.enableServer=false".to_owned(),
        "4lw.commands.whitelist=*".to_owned(),
    ];
    fs::write(folder.join("zoo.cfg"), lines.join("\n")).expect("the folder is ours");
}

fn command(folder: &Path) -> Command {
    let mut java = Command::new("java");
    // Small and quick to start; it lives for some seconds. Without the compiler's second stage and a parallel collector
    // it also leaves the processors to the tests.
    java.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dzookeeper.jmx.log4j.disable=true"]);
    // Nobody pulls the plug of a test: to wait for the disk of a busy machine proves nothing and can take seconds.
    java.arg("-Dzookeeper.forceSync=no");
    // Its own classes only: the log's configuration of the machine would write into /var/log.
    java.args(["-cp", JAR, "org.apache.zookeeper.server.ZooKeeperServerMain"]).arg(folder.join("zoo.cfg"));
    java.current_dir(folder);
    java
}
