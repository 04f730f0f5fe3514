//! How `ochod serve` finds its Marathon and shows who it is: from the environment, by a name, over TLS, from a file.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ocho_tests::marathon::Answer;
use ocho_tests::programs::on_path;
use ocho_tests::{FakeMarathon, TestHost, skip};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use serde_json::json;

/// What Marathon says to a deployment.
fn said(host: &TestHost) -> String {
    let said = host.call("deploy c.yml").file("c.yml", "cluster: c\nimage: i\n").send().failure();
    said.rsplit("failed to deploy -> ").next().unwrap().to_owned()
}

fn refusing(word: &'static str) -> FakeMarathon {
    FakeMarathon::start(move |_| Answer::Json(409, json!({"message": word})))
}

#[test]
fn the_seeds_environment_is_enough() {
    let registry = TestHost::up().start();
    let marathon = refusing("found");
    let zookeeper = format!("zk://{}/mesos", registry.address("zookeeper"));
    let host = TestHost::serve_bare().env("ochopod_zk", &zookeeper).env("ochopod_token", "s3cret");
    let mut host = host.env("MARATHON_MASTER", &format!("127.0.0.1:9, http://{}", marathon.address())).start();
    assert_eq!(host.shell("ls").failure(), "failure -> signature missing (make sure you define $OCHOPOD_TOKEN)");
    host.signs_with("s3cret");
    assert_eq!(said(&host), "submission failed (HTTP 409): found");
    // It is among the pods of the registry that the environment named.
    assert!(host.shell("grep *portal -j").json().as_object().unwrap().len() >= 2);
}

#[test]
fn a_name_leads_to_the_masters() {
    let registry = TestHost::up().start();
    let marathon = refusing("found by name");
    let port = marathon.address().rsplit(':').next().unwrap().to_owned();
    let host = TestHost::serve_alone(&registry.address("zookeeper"));
    let host = host.words(&["--mesos-dns", &format!("localhost:{port}")]).start();
    assert_eq!(said(&host), "submission failed (HTTP 409): found by name");
    drop(host);
    let host = TestHost::serve_alone(&registry.address("zookeeper")).words(&["--mesos-dns", "nowhere.invalid"]).start();
    let text = said(&host);
    assert!(text.contains("`nowhere.invalid:8080` leads to no Marathon") && text.contains("set --marathon"), "{text}");
}

#[test]
fn tls_and_a_password_from_a_file_of_options() {
    if on_path("openssl").is_none() {
        return skip("tls_and_a_password_from_a_file_of_options", "openssl is not installed");
    }
    let registry = TestHost::up().start();
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    // `op:s3cret`, as HTTP wants it.
    let marathon = serve_tls(folder.path(), "Basic b3A6czNjcmV0");
    let with = |credentials: &str, ca: &str| {
        let options = format!(
            "[serve]\nmarathon = [\"127.0.0.1:9\", \"https://{marathon}\"]\nmarathon-credentials = \"{credentials}\"\n\
             marathon-ca = \"{ca}\"\nzookeeper = \"{}\"\n",
            registry.address("zookeeper")
        );
        let file = folder.path().join("ochod.toml");
        fs::write(&file, options).unwrap();
        TestHost::serve_bare().words(&["--config", file.to_str().unwrap()]).start()
    };
    assert_eq!(said(&with("op:s3cret", "ca.pem")), "submission failed (HTTP 409): welcome");
    let text = said(&with("op:wrong", "ca.pem"));
    assert!(text.starts_with("submission failed (HTTP 401)"), "{text}");
    let text = said(&with("op:s3cret", "other.pem"));
    assert!(text.contains("certificate"), "{text}");
}

#[test]
fn a_token_is_shown_as_it_is_wanted() {
    if on_path("openssl").is_none() {
        return skip("a_token_is_shown_as_it_is_wanted", "openssl is not installed");
    }
    let registry = TestHost::up().start();
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let ca = folder.path().join("ca.pem").display().to_string();
    for (option, header) in [("OCHOD_MARATHON_TOKEN", "Bearer t0ken"), ("OCHOD_MARATHON_DCOS_TOKEN", "token=t0ken")] {
        let master = format!("https://{}", serve_tls(folder.path(), header));
        let host = TestHost::serve(&master, &registry.address("zookeeper")).words(&["--marathon-ca", &ca]);
        let host = host.env(option, "t0ken").start();
        assert_eq!(said(&host), "submission failed (HTTP 409): welcome", "{option}");
        assert!(!host.log().contains("t0ken"));
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Two authorities, and a certificate for 127.0.0.1 that the first one vouches for.
fn make_certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for name in ["ca", "other"] {
        openssl(folder, &format!("req -x509 {key} -subj /CN={name} -keyout {name}.key -out {name}.pem"));
    }
    let extensions = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    openssl(
        folder,
        &format!("req -x509 {key} -subj /CN=master {extensions} -CA ca.pem -CAkey ca.key -keyout leaf.key -out leaf.pem"),
    );
}

/// A Marathon with TLS that refuses what it is asked, politely to who shows this header. It ends with the test program.
fn serve_tls(folder: &Path, authorization: &'static str) -> String {
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
            let mut request = [0; 16 << 10];
            let Ok(read) = stream.read(&mut request) else { continue };
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let known = text.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: {authorization}")));
            let (status, body) = if known { ("409 Conflict", r#"{"message":"welcome"}"#) } else { ("401 Unauthorized", "{}") };
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    address.to_string()
}
