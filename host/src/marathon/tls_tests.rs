//! A master with `https`. Its certificates are made by the command `openssl`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use ocho_runtime::host::MarathonError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;

fn openssl(folder: &Path, arguments: &str) {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let run = run.expect("this test needs the command `openssl`");
    assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Writes `ca.pem`, and `leaf.pem` with `leaf.key` for 127.0.0.1, which that authority vouches for.
fn make_certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder, &format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem"));
    let san = "subjectAltName=IP:127.0.0.1";
    let usage = "basicConstraints=critical,CA:FALSE";
    openssl(
        folder,
        &format!(
            "req -x509 {key} -subj /CN=master -addext {san} -addext {usage} -CA ca.pem -CAkey ca.key -keyout leaf.key -out leaf.pem"
        ),
    );
}

/// Answers `{}` to whoever completes a handshake; ends with the test program.
fn serve(folder: &Path) -> String {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(folder.join("leaf.pem")).unwrap().collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain.unwrap(), key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut tcp in listener.incoming().flatten() {
            let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut tcp);
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
            }
        }
    });
    format!("https://{address}")
}

#[tokio::test]
async fn only_the_given_authority_vouches() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let master = serve(folder.path());
    let ask = async |ca: Option<&str>| {
        let ca_file = ca.map(|file| folder.path().join(file));
        MarathonClient::new(MarathonConfig { ca_file, ..MarathonConfig::new([&master]) }).unwrap().queue().await
    };
    assert_eq!(ask(Some("ca.pem")).await.as_deref(), Ok("{}"));
    let other = tempfile::tempdir().unwrap();
    make_certificates(other.path());
    std::fs::copy(other.path().join("ca.pem"), folder.path().join("other.pem")).unwrap();
    let error = ask(Some("other.pem")).await.unwrap_err();
    assert!(matches!(&error, MarathonError::Unreachable(text) if text.contains("certificate")), "{error}");
}
