//! A pod that does on the wire what the original does: HTTP/1.0, a registration in two steps, a lock that is given up and taken again,
//! requests without a content type.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ocho_tests::runtime::block_on;
use serde_json::{Map, Value, json};
use zookeeper_client::{Acls, Client, CreateMode};

use crate::lab::{LONG_SESSION, Lab};

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

/// What its lifecycle machine remembers.
#[derive(Debug, Default)]
struct Machine {
    asked: Vec<Asked>,
    dependencies: Option<Value>,
    /// Whether it holds a process.
    runs: bool,
    starts: usize,
    dead: bool,
}

/// An original pod of one cluster.
pub(crate) struct Original {
    pub(crate) key: String,
    session: Client,
    folder: String,
    node: String,
    lock: Mutex<Option<String>>,
    machine: Arc<Mutex<Machine>>,
    registration: Map<String, Value>,
}

impl Original {
    /// Starts one whose node stays empty for a while, as it may when the moment is unlucky.
    pub(crate) fn start(lab: &Lab, cluster: &str, nth: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let machine = Arc::new(Mutex::new(Machine::default()));
        let theirs = Arc::clone(&machine);
        // Ends with the test program: it waits for connections that never come.
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream, &theirs))));
        let (namespace, _) =
            lab.name(cluster).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("it is qualified");
        let registration = json!({
            "node": "127.0.0.1", "application": "ochopod.original", "task": format!("task_{nth}"), "fwk": "marathon", "ip": "127.0.0.1",
            "zk": lab.address(), "namespace": namespace, "ports": {"8080": port}, "cluster": cluster, "start": "true", "port": "8080",
            "debug": "true", "local": "false", "public": "",
        });
        let Value::Object(mut registration) = registration else { unreachable!("an object was written") };
        let key = format!("0000000{nth}-0000-4000-8000-000000000000");
        let folder = format!("/ochopod/clusters/{}", lab.name(cluster));
        let (session, node) = block_on(async {
            let session = Client::connector().with_session_timeout(LONG_SESSION).connect(&lab.address()).await.unwrap();
            let stays = CreateMode::Persistent.with_acls(Acls::anyone_all());
            for path in ["pods", "hash", "coordinator"] {
                session.mkdir(&format!("{folder}/{path}"), &stays).await.unwrap();
            }
            let goes = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
            let prefix = format!("{folder}/pods/{key}.");
            let (_, number) = session.create(&prefix, b"", &goes).await.unwrap();
            // What a leader sees in between is empty.
            tokio::time::sleep(Duration::from_millis(300)).await;
            registration.insert("seq".to_owned(), number.into_i64().into());
            let node = format!("{prefix}{number}");
            session.set_data(&node, &dumps(&Value::Object(registration.clone())), None).await.unwrap();
            (session, node)
        });
        Self { key, session, folder, node, lock: Mutex::new(None), machine, registration }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }

    /// How often it was asked for its state.
    pub(crate) fn looks(&self) -> usize {
        self.asked().iter().filter(|asked| asked.path == "/info").count()
    }

    /// How often it started its process, and whether it is dead.
    pub(crate) fn life(&self) -> (usize, bool) {
        let machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        (machine.starts, machine.dead)
    }

    /// Queues for the lead anew: away with the node, and another one behind all others.
    pub(crate) fn queue(&self) {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        *lock = Some(block_on(async {
            if let Some(node) = &*lock {
                self.session.delete(node, None).await.unwrap();
            }
            let goes = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
            let prefix = format!("{}/coordinator/{}__lock__", self.folder, "0123456789abcdef".repeat(2));
            let (_, number) = self.session.create(&prefix, b"", &goes).await.unwrap();
            format!("{prefix}{number}")
        }));
    }

    /// Whether it is the first in the queue, sorted by the text behind `__lock__`.
    pub(crate) fn leads(&self) -> bool {
        let own = self.lock.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut nodes = block_on(self.session.list_children(&format!("{}/coordinator", self.folder))).unwrap();
        nodes.sort_by_key(|node| node.split("__lock__").nth(1).map(str::to_owned));
        own.is_some() && own.as_deref().and_then(|own| own.rsplit('/').next()) == nodes.first().map(String::as_str)
    }

    /// Every node below `pods`, as the original reads it: anything odd would end its lead.
    pub(crate) fn local(&self) -> Map<String, Value> {
        let folder = format!("{}/pods", self.folder);
        let read = |node: &String| {
            let (content, _) = block_on(self.session.get_data(&format!("{folder}/{node}"))).ok()?;
            let pod: Value = serde_json::from_slice(&content).unwrap_or_else(|error| panic!("{node} holds no JSON: {error}"));
            Some((node.split('.').next().unwrap_or_default().to_owned(), pod))
        };
        block_on(self.session.list_children(&folder)).unwrap().iter().filter_map(read).collect()
    }

    /// One configuration as an original leader does it; the codes of each stage's answers, itself left out.
    pub(crate) fn configure(&self, dependencies: &Value) -> Vec<Vec<u16>> {
        block_on(async {
            let goes = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
            // An existing one is tolerated.
            let _ = self.session.create(&format!("{}/snapshot", self.folder), b"{}", &goes).await;
        });
        let pods = self.local();
        let stages = ["check", "on", "ok"].map(|task| {
            let others = pods.iter().filter(|(key, _)| **key != self.key);
            others.map(|(key, pod)| ask(pod, task, &json!({"dependencies": dependencies, "pods": pods, "key": key}))).collect()
        });
        block_on(async {
            let _ = self.session.set_data(&format!("{}/snapshot", self.folder), &dumps(&Value::Object(pods.clone())), None).await;
            let hash = "82:39:cf:f4:47:65:f4:fd:8b:de:cc:d3:10:e7:30:41";
            self.session.set_data(&format!("{}/hash", self.folder), hash.as_bytes(), None).await.unwrap();
        });
        stages.into()
    }

    /// Its own registration.
    pub(crate) fn registration(&self) -> &Map<String, Value> {
        &self.registration
    }

    /// Takes its node away, as the end of its session would.
    pub(crate) fn leave(self) {
        let node = self.node.clone();
        block_on(self.session.delete(&node, None)).unwrap();
    }
}

/// Python's separators.
fn dumps(value: &Value) -> Vec<u8> {
    ocho_core::json::to_line(value).into_bytes()
}

/// `requests.post` without headers of its own: no content type.
pub(crate) fn ask(pod: &Value, task: &str, body: &Value) -> u16 {
    // As the original does: the leader's control port, and an integer.
    let port = pod["ports"]["8080"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port is an integer");
    let mut stream = TcpStream::connect((pod["ip"].as_str().expect("`ip` is a text"), port)).expect("the pod listens");
    let body = dumps(body);
    let head = format!(
        "POST /control/{task}/60 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\nUser-Agent: python-requests/2.8.1\r\n\
         Connection: keep-alive\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).expect("the pod reads");
    let mut reply = [0; 512];
    let length = stream.read(&mut reply).expect("the pod answers");
    let reply = String::from_utf8_lossy(&reply[..length]);
    reply.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {reply}"))
}

fn answer(mut stream: TcpStream, machine: &Mutex<Machine>) -> std::io::Result<()> {
    let (path, content_type, body) = read(&mut stream)?;
    // Its server takes forms apart before the pod sees their text.
    let form = content_type.starts_with("application/x-www-form-urlencoded") || content_type.starts_with("multipart/form-data");
    let body: Value = if form { json!({}) } else { serde_json::from_slice(&body).unwrap_or_else(|_| json!({})) };
    let (code, body) = machine.lock().unwrap_or_else(PoisonError::into_inner).answer(Asked { path, content_type, body });
    let head = format!(
        "HTTP/1.0 {code} X\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nServer: Werkzeug/0.11.2 Python/2.7.18\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)
}

fn read(stream: &mut TcpStream) -> std::io::Result<(String, String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut one)? == 1 {
        bytes.push(one[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let header = |name: &str| {
        let value = head.lines().find_map(|line| line.split_once(':').filter(|(found, _)| found.eq_ignore_ascii_case(name)));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok((head.split(' ').nth(1).unwrap_or_default().to_owned(), header("content-type"), body))
}

impl Machine {
    fn answer(&mut self, asked: Asked) -> (u16, Vec<u8>) {
        if asked.path == "/info" {
            self.asked.push(asked);
            return (200, dumps(&json!({"process": self.process(), "state": "follower", "status": "", "metrics": {}})));
        }
        (self.obey(asked), b"{}".to_vec())
    }

    fn process(&self) -> &'static str {
        match self {
            Self { dead: true, .. } => "dead",
            Self { runs: true, .. } => "running",
            _ => "stopped",
        }
    }

    /// Its answers to orders, for a pod that is not strict.
    fn obey(&mut self, asked: Asked) -> u16 {
        let task = asked.path.split('/').nth(2).unwrap_or_default().to_owned();
        let body = asked.body.clone();
        self.asked.push(asked);
        let usable = body["pods"][body["key"].as_str().unwrap_or_default()]["seq"].is_u64() && body["dependencies"].is_object();
        match task.as_str() {
            _ if self.dead => 410,
            "check" => {
                if usable {
                    200
                } else {
                    406
                }
            }
            "ok" => {
                if usable {
                    200
                } else {
                    500
                }
            }
            "kill" => {
                self.dead = true;
                200
            }
            "off" => {
                self.runs = false;
                200
            }
            // A person's: whoever runs goes on, whoever has been configured starts again.
            "on" if body == json!({}) && self.dependencies.is_some() => {
                self.starts += usize::from(!self.runs);
                self.runs = true;
                200
            }
            "on" if !usable => {
                self.dead = true;
                406
            }
            "on" => {
                if !self.runs || self.dependencies.as_ref() != Some(&body["dependencies"]) {
                    self.starts += 1;
                    self.runs = true;
                    self.dependencies = Some(body["dependencies"].clone());
                }
                200
            }
            _ => 404,
        }
    }
}
