//! A web server that says which pod answers. It listens where its pod was told to: on the loopback, at `$PORT_80`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, thread};

/// So many visitors are served at once; others wait.
const WORKERS: usize = 8;
/// A visitor who says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(5);
/// No request that we answer is longer.
const REQUEST_BYTES: u64 = 8 * 1024;

fn main() -> Result<(), String> {
    let port = port(env::var("PORT_80").ok())?;
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|cause| format!("cannot listen on port {port}: {cause}"))?;
    let page = Page { task: env::var("MESOS_TASK_ID").unwrap_or_default(), visits: AtomicU64::new(0) };
    println!("serving on 127.0.0.1:{port}");
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&listener, &page));
        }
    });
    Ok(())
}

fn port(variable: Option<String>) -> Result<u16, String> {
    let text = variable.ok_or("`PORT_80` is not set: the port that the pod was given for port 80")?;
    text.parse().map_err(|_| format!("`PORT_80` is `{text}`, not a port"))
}

fn work(listener: &TcpListener, page: &Page) {
    loop {
        match listener.accept() {
            // A visitor who leaves midway is no trouble of ours.
            Ok((visitor, _)) => drop(answer(&visitor, page)),
            // Out of file descriptors, as a rule: they come back.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn answer(mut visitor: &TcpStream, page: &Page) -> io::Result<()> {
    visitor.set_read_timeout(Some(PATIENCE))?;
    visitor.set_write_timeout(Some(PATIENCE))?;
    let request = read_request(visitor)?;
    visitor.write_all(page.respond(&request).as_bytes())
}

/// Reads the head of a request, and gives its first line.
fn read_request(from: impl Read) -> io::Result<String> {
    let mut lines = BufReader::new(from.take(REQUEST_BYTES)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(first)
}

/// What there is to see.
struct Page {
    task: String,
    visits: AtomicU64,
}

impl Page {
    /// The whole response to a request line.
    fn respond(&self, request: &str) -> String {
        match request.split(' ').collect::<Vec<_>>()[..] {
            ["GET", "/", _version] => {
                let visit = self.visits.fetch_add(1, Ordering::Relaxed) + 1;
                response("200 OK", &format!("task {}, visit {visit}\n", self.task))
            }
            ["GET", "/health", _version] => response("200 OK", "well\n"),
            ["GET", "/ping", _version] => response("200 OK", "pong\n"),
            ["GET", _path, _version] => response("404 Not Found", "no such page\n"),
            [_method, _path, _version] => response("405 Method Not Allowed", "only GET\n"),
            _ => response("400 Bad Request", "that is no request\n"),
        }
    }
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, status: &str, body: &str) {
        let page = Page { task: "t1".to_owned(), visits: AtomicU64::new(6) };
        let response = page.respond(request);
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")) && response.ends_with(body), "{response}");
    }

    #[test]
    fn answers() {
        check("GET / HTTP/1.1", "200 ", "\r\n\r\ntask t1, visit 7\n");
        check("GET /health HTTP/1.0", "200 ", "well\n");
        check("GET /x HTTP/1.1", "404 ", "no such page\n");
        check("POST / HTTP/1.1", "405 ", "only GET\n");
        check("", "400 ", "that is no request\n");
        check("\u{0} ", "400 ", "that is no request\n");
    }

    #[test]
    fn reads_the_first_line_and_no_more_than_a_request() {
        assert_eq!(read_request(&b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore"[..]).unwrap(), "GET / HTTP/1.1");
        assert_eq!(read_request(&b""[..]).unwrap(), "");
        assert_eq!(read_request(io::repeat(b'a')).unwrap().len() as u64, REQUEST_BYTES);
        assert!(read_request(&b"\xff\xfe\n"[..]).is_err());
    }

    #[test]
    fn the_port_comes_from_the_environment() {
        assert_eq!(port(Some("31080".to_owned())), Ok(31080));
        assert_eq!(port(Some("x".to_owned())), Err("`PORT_80` is `x`, not a port".to_owned()));
        assert!(port(None).is_err());
    }
}
