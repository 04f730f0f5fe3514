//! A small server with TLS, and the certificates for it, made by the command `openssl`.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use tempfile::TempDir;

use crate::command;

/// Two authorities, and a certificate for 127.0.0.1 that the first one vouches for.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them anew.
    ///
    /// # Panics
    /// Where `openssl` is missing or fails.
    #[must_use]
    pub fn make() -> Self {
        let made = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        for name in ["ca", "other"] {
            made.openssl(&format!("req -x509 {key} -subj /CN={name} -keyout {name}.key -out {name}.pem"));
        }
        let leaf = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        made.openssl(&format!("req -x509 {key} -subj /CN=server {leaf} -CA ca.pem -CAkey ca.key -keyout leaf.key -out leaf.pem"));
        made
    }

    fn openssl(&self, arguments: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(arguments.split(' ')).current_dir(self.folder());
        let _ = command::run(&mut openssl, Duration::from_mins(1)).ok();
    }

    /// Where they are; gone with this value.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The authority that vouches for the server.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// An authority that does not.
    #[must_use]
    pub fn other_authority(&self) -> PathBuf {
        self.folder().join("other.pem")
    }

    fn config(&self) -> ServerConfig {
        let chain = CertificateDer::pem_file_iter(self.folder().join("leaf.pem")).expect("openssl wrote it");
        let chain = chain.collect::<Result<_, _>>().expect("openssl wrote certificates");
        let key = PrivateKeyDer::from_pem_file(self.folder().join("leaf.key")).expect("openssl wrote a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("ring has all versions").with_no_client_auth();
        config.with_single_cert(chain, key).expect("the key fits")
    }

    /// Serves on a free port of the loopback until the test program ends. Who completes a handshake is answered with the
    /// status and the body that `answer` gives for the text of its request: one request a connection, of at most 16 KiB.
    ///
    /// # Panics
    /// Where the loopback has no free port.
    pub fn serve<A>(&self, answer: A) -> SocketAddr
    where
        A: Fn(&str) -> (&'static str, &'static str) + Send + Sync + 'static,
    {
        let config = Arc::new(self.config());
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        std::thread::spawn(move || {
            let answer = Arc::new(answer);
            for tcp in listener.incoming().flatten() {
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                // Somebody who says nothing must not hold up the others.
                std::thread::spawn(move || converse(tcp, config, &*answer));
            }
        });
        address
    }
}

/// One who asks and goes on to say more is listened to for so long.
const LINGER: Duration = Duration::from_secs(30);

/// Answers one request.
fn converse(mut tcp: TcpStream, config: Arc<ServerConfig>, answer: &dyn Fn(&str) -> (&'static str, &'static str)) {
    let mut session = ServerConnection::new(config).expect("the configuration is whole");
    let mut stream = rustls::Stream::new(&mut session, &mut tcp);
    let mut request = [0; 16 << 10];
    let Ok(read @ 1..) = stream.read(&mut request) else { return };
    let (status, body) = answer(&String::from_utf8_lossy(&request[..read]));
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    // Who went away needs no answer.
    let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
    // What is closed with something unread resets the connection, and the answer is lost with it: a body may come in a piece of its own.
    let _ = tcp.shutdown(Shutdown::Write);
    let _ = tcp.set_read_timeout(Some(LINGER));
    let _ = std::io::copy(&mut tcp, &mut std::io::sink());
}
