//! Encrypted files: what openssl writes is read here, and nothing of it is seen elsewhere.

use std::process::Command;
use std::time::Duration;

use ocho_tests::command;

use crate::bundle::Bundle;
use crate::request::{TOKEN, host, send};

const V1_MD5: &str = "U2FsdGVkX18BAgMEBQYHCPBjFcfZbQeN8mjPNvBI+g8=\n";
const V1_SHA256: &str = "U2FsdGVkX18BAgMEBQYHCDYUXW2YtQwz/PuBDZpKZy4=\n";
const V7_MD5: &str = "U2FsdGVkX18AAAAAAAAAh1At3+0qEcRSAkJ6dYQSqrk=\n";
const V7_SHA256: &str = "U2FsdGVkX18AAAAAAAAAI7tKqh2SL5vBVFdCOhrqko4=\n";

#[test]
fn rows_31_and_32_both_derivations() {
    let host = host();
    for file in [V1_MD5, V1_SHA256, V7_MD5, V7_SHA256] {
        let bundle = Bundle::default().job("a", "read foo.yml\nread foo.yml.aes").file("foo.yml.aes", file);
        let log = send(&host, "a", &bundle.pack()).ok();
        assert_eq!(log[..3], ["decrypted foo.yml.aes", "key: value", file.trim_end()], "{file}");
    }
}

#[test]
fn row_33_a_file_that_does_not_fit_fails_the_job_and_is_named() {
    let host = host();
    let job = Bundle::default().job("a", "print never");
    let other_token = "U2FsdGVkX18BAgMEBQYHCFOQE6fdk3GMVJQhtuneUWE=\n";
    let v1 = "U2FsdGVkX18BAgMEBQYHCPBjFcfZbQeN8mjPNvBI+g8";
    for (file, why) in
        [(other_token, "the token does not fit"), ("", "it is empty"), (v1, "it is not base64"), ("Zm9v", "`Salted__`")]
    {
        let log = send(&host, "a", &job.clone().file("foo.yml.aes", file).pack()).failed();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].starts_with("failure (unable to decrypt foo.yml.aes: ") && log[0].contains(why), "{log:?}");
    }
}

#[test]
fn rows_34_and_35_names() {
    let host = host();
    let steps = Bundle::default().job("deploy.py", "").file("deploy.py.steps.aes", encrypted("print from a secret", &[]));
    assert_eq!(send(&host, "deploy.py", &steps.pack()).ok()[..2], ["decrypted deploy.py.steps.aes", "from a secret"]);
    let odd = Bundle::default().job("a", "list").file("sub/x.aes", "x").file("X.AES", "x").file(".aes", "x");
    let odd = odd.file("b.aes", encrypted("2", &[])).file("sp ace.aes", encrypted("1", &["-md", "md5"]));
    let log = send(&host, "a", &odd.pack()).ok();
    assert_eq!(log[..2], ["decrypted b.aes", "decrypted sp ace.aes"]);
    assert!(log.contains(&"sp ace".to_owned()) && !log.contains(&"X".to_owned()), "{log:?}");
}

#[test]
fn a_secret_is_nowhere_but_in_the_bundle() {
    let host = host();
    let bundle = Bundle::default().job("a", "print quiet\nexit 1").file("password.aes", encrypted("hunter22-hunter22", &[]));
    let reply = send(&host, "a", &bundle.pack());
    assert_eq!(reply.failed()[0], "decrypted password.aes");
    let record = host.portal("GET", &format!("/v1/jobs/{}", reply.run()), &[]).body;
    assert!(record.contains("quiet") && !record.contains("hunter22") && !host.log().contains("hunter22"));
    let left = std::fs::read(host.home().join("data/journal.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&left).contains("hunter22"));
}

/// What the machine's openssl makes of a text.
fn encrypted(text: &str, more: &[&str]) -> Vec<u8> {
    let room = tempfile::tempdir().unwrap();
    std::fs::write(room.path().join("clear"), text).unwrap();
    let mut openssl = Command::new("openssl");
    openssl
        .current_dir(room.path())
        .args(["enc", "-aes-256-cbc", "-base64", "-k", TOKEN, "-in", "clear", "-out", "secret"])
        .args(more);
    let _ = command::run(&mut openssl, Duration::from_secs(30)).ok();
    std::fs::read(room.path().join("secret")).unwrap()
}
