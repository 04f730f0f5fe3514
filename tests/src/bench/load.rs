//! The load generator: connections that send one prepared request after the other. It reads no more of a reply than
//! it must, so that it costs less than any server that it measures.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ocho_tests::runtime::block_on;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// No reply that is measured is longer.
const REPLY_BYTES: usize = 64 * 1024;

/// What to send, and what a good reply holds.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `host:port`.
    pub(crate) address: String,
    /// The whole request as bytes.
    pub(crate) request: String,
    /// Text of every good reply.
    pub(crate) expect: &'static str,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Requests answered.
    pub(crate) requests: u64,
    /// From the first request to the last reply.
    pub(crate) elapsed: Duration,
    /// How long each took, sorted.
    pub(crate) latencies: Vec<Duration>,
}

/// Sends requests over `connections` connections for so long.
///
/// # Panics
/// Where a reply is not what is expected.
pub(crate) fn send(target: &Target, connections: usize, time: Duration) -> Measured {
    let target = Arc::new(target.clone());
    let started = Instant::now();
    let end = started + time;
    let mut latencies = block_on(async {
        let mut tasks: JoinSet<io::Result<Vec<Duration>>> = JoinSet::new();
        for _ in 0..connections {
            tasks.spawn(connection(Arc::clone(&target), end));
        }
        let mut latencies = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            let measured = joined.expect("a connection does not panic");
            latencies.extend(measured.unwrap_or_else(|cause| panic!("`{}`: {cause}", target.address)));
        }
        latencies
    });
    let elapsed = started.elapsed();
    latencies.sort();
    Measured { requests: latencies.len() as u64, elapsed, latencies }
}

async fn connection(target: Arc<Target>, end: Instant) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(&target.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; REPLY_BYTES];
    let mut latencies = Vec::new();
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(latencies);
        }
        stream.write_all(target.request.as_bytes()).await?;
        let length = reply(&mut stream, &mut buffer).await?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        if !text.contains(target.expect) {
            return Err(io::Error::other(format!("an unexpected reply: {text}")));
        }
        latencies.push(asked.elapsed());
    }
}

/// Reads one reply into the buffer; gives its length.
async fn reply(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::Error::other("the connection ended, or the reply is too long"));
        }
        filled += read;
        if is_complete(&buffer[..filled]) {
            return Ok(filled);
        }
    }
}

/// Whether these bytes are a whole reply.
fn is_complete(bytes: &[u8]) -> bool {
    let Some(head) = find(bytes, b"\r\n\r\n") else { return false };
    let body = &bytes[head + 4..];
    match content_length(&bytes[..head]) {
        Some(length) => body.len() >= length,
        // In chunks: an empty one is the last.
        None => body.ends_with(b"0\r\n\r\n"),
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(value)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    #[test]
    fn a_reply_is_complete_when_its_body_is() {
        for (bytes, complete) in [
            ("", false),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", false),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        ] {
            assert_eq!(is_complete(bytes.as_bytes()), complete, "{bytes}");
        }
    }
}
