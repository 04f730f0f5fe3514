//! A client that sends what it is told to, right or wrong.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Server, soon};

pub(crate) const PING: i32 = 11;
pub(crate) const CREATE: i32 = 1;
pub(crate) const DELETE: i32 = 2;
pub(crate) const EXISTS: i32 = 3;
pub(crate) const CLOSE: i32 = -11;

/// Who has a session, and how to get it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) session: i64,
    pub(crate) password: Vec<u8>,
    pub(crate) seen: i64,
}

impl Pass {
    /// Asks for a new session.
    pub(crate) fn none() -> Self {
        Self { session: 0, password: vec![0; 16], seen: 0 }
    }
}

/// What came back: the header's fields and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) error: i32,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    pub(crate) pass: Pass,
    pub(crate) timeout_ms: i32,
}

impl Raw {
    pub(crate) async fn open(server: &Server, timeout_ms: i32) -> Self {
        Self::connect(server.address, timeout_ms, &Pass::none()).await.expect("a new session is granted")
    }

    /// None: the session has expired.
    pub(crate) async fn connect(address: SocketAddr, timeout_ms: i32, pass: &Pass) -> Option<Self> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut request = Vec::new();
        request.extend(0_i32.to_be_bytes());
        request.extend(pass.seen.to_be_bytes());
        request.extend(timeout_ms.to_be_bytes());
        request.extend(pass.session.to_be_bytes());
        request.extend(buffer(&pass.password));
        request.push(0);
        stream.write_all(&buffer(&request)).await.unwrap();
        let reply = frame(&mut stream).await.expect("a request for a session is answered");
        let timeout_ms = i32::from_be_bytes(reply[4..8].try_into().unwrap());
        let session = i64::from_be_bytes(reply[8..16].try_into().unwrap());
        let password = reply[20..36].to_vec();
        let pass = Pass { session, password, seen: pass.seen };
        (session != 0).then_some(Self { stream, pass, timeout_ms })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn request(&mut self, xid: i32, op: i32, body: &[u8]) {
        self.send(&request(xid, op, body)).await;
    }

    /// None: the server hung up.
    pub(crate) async fn receive(&mut self) -> Option<Frame> {
        let bytes = soon("a frame", frame(&mut self.stream)).await?;
        let number = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let zxid = i64::from_be_bytes(bytes[4..12].try_into().unwrap());
        self.pass.seen = self.pass.seen.max(zxid);
        Some(Frame { xid: number(0), zxid, error: number(12), body: bytes[16..].to_vec() })
    }

    pub(crate) async fn ask(&mut self, xid: i32, op: i32, body: &[u8]) -> Frame {
        self.request(xid, op, body).await;
        self.receive().await.expect("the server answers")
    }

    /// Creates a node; gives the error.
    pub(crate) async fn create(&mut self, path: &str, flags: i32) -> i32 {
        self.ask(7, CREATE, &create(path, flags)).await.error
    }

    pub(crate) async fn is_alive(&mut self) -> bool {
        // The other side may be gone already.
        _ = self.stream.write_all(&request(-2, PING, &[])).await;
        self.receive().await.is_some_and(|frame| frame.xid == -2 && frame.error == 0)
    }
}

async fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_i32().await.ok()?;
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

pub(crate) fn request(xid: i32, op: i32, body: &[u8]) -> Vec<u8> {
    buffer(&[&xid.to_be_bytes(), &op.to_be_bytes(), body].concat())
}

pub(crate) fn buffer(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// The body of a create with the open list.
pub(crate) fn create(path: &str, flags: i32) -> Vec<u8> {
    create_with(path, b"", flags)
}

pub(crate) fn create_with(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    let (one, all) = (1_i32.to_be_bytes(), 31_i32.to_be_bytes());
    let who = [buffer(b"world"), buffer(b"anyone")].concat();
    [&buffer(path.as_bytes()), &buffer(data), &one[..], &all[..], &who, &flags.to_be_bytes()].concat()
}

/// The body of a read of a path.
pub(crate) fn look(path: &str, watch: bool) -> Vec<u8> {
    [buffer(path.as_bytes()), vec![u8::from(watch)]].concat()
}

/// The body of a delete of any version.
pub(crate) fn delete(path: &str) -> Vec<u8> {
    [buffer(path.as_bytes()), (-1_i32).to_be_bytes().to_vec()].concat()
}
