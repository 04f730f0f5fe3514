//! Encrypted files: what openssl writes is read here, and nothing of it is seen elsewhere.

use std::process::Command;
use std::time::Duration;

use ocho_core::aes::{self, Derivation};
use ocho_core::signature::Token;
use ocho_tests::command;
use serde_json::Value;

use crate::bundle::Bundle;
use crate::request::{TOKEN, host, send};

/// A vector of the reference.
struct Vector {
    id: String,
    file: String,
    clear: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let file: Value = serde_json::from_str(include_str!("../../fixtures/aes-vectors.json")).unwrap();
    assert_eq!(file["token"], TOKEN);
    let text = |vector: &Value, key: &str| vector[key].as_str().unwrap().to_owned();
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let vector = |vector: &Value| Vector {
        id: text(vector, "id"),
        file: text(vector, "file"),
        clear: text(vector, "plaintext_hex").as_bytes().chunks(2).map(byte).collect(),
    };
    file["vectors"].as_array().unwrap().iter().map(vector).collect()
}

#[test]
fn rows_31_and_32_all_vectors_are_read() {
    let host = host();
    let readable: Vec<Vector> = vectors().into_iter().filter(|vector| !vector.id.ends_with("pbkdf2")).collect();
    assert_eq!(readable.len(), 12);
    for Vector { id, file, clear } in readable {
        let bundle = Bundle::default().job("a", "hex foo.yml\nread foo.yml.aes").file("foo.yml.aes", file.clone());
        let log = send(&host, "a", &bundle.pack()).ok();
        let digits: String = clear.iter().map(|byte| format!("{byte:02x} ")).collect();
        assert_eq!(log[..2], ["decrypted foo.yml.aes".to_owned(), digits], "{id}");
        assert_eq!(log[2..log.len() - 1].join("\n"), file.trim_end(), "{id}");
    }
}

#[test]
fn row_33_a_file_that_does_not_fit_fails_the_job_and_is_named() {
    let host = host();
    let job = Bundle::default().job("a", "print never");
    let vector = |id: &str| vectors().into_iter().find(|vector| vector.id == id).unwrap().file;
    let (v1, v4) = (vector("V1-md5"), vector("V4-sha256"));
    // Of salts by chance, one in 128 lets a wrong key look as if it fitted: the format has no checksum.
    let another = Token::new("another token").unwrap();
    let foreign = |derivation| aes::encrypt(&another, derivation, *b"12345678", b"key: value").into_bytes();
    for (file, why) in [
        (foreign(Derivation::Md5), "the token does not fit"),
        (foreign(Derivation::Sha256), "the token does not fit"),
        (vector("V8-pbkdf2").into_bytes(), "the token does not fit"),
        (b"".to_vec(), "it is empty"),
        (v1.trim_end()[..v1.len() - 2].into(), "it is not base64"),
        (b"Zm9v".to_vec(), "`Salted__`"),
        (b"Tarred__\x01\x02\x03\x04\x05\x06\x07\x08\xf0\x63".to_vec(), "it is not base64"),
        (b"Salted__\x01\x02\x03\x04\x05\x06\x07\x08\xf0\x63".to_vec(), "it is cut"),
        (encrypted("x", &["-nosalt"]), "`Salted__`"),
        (vec![b'A'; 2 << 20], "it is larger than 1 MiB"),
    ] {
        let log = send(&host, "a", &job.clone().file("foo.yml.aes", file).pack()).failed();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].starts_with("failure (unable to decrypt foo.yml.aes: ") && log[0].contains(why), "{why}: {log:?}");
    }
    // One that was cut in the middle of its lines.
    let log = send(&host, "a", &job.file("foo.yml.aes", &v4.as_bytes()[..70]).pack()).failed();
    assert!(log[0].starts_with("failure (unable to decrypt foo.yml.aes: "), "{log:?}");
}

#[test]
fn rows_34_and_35_names() {
    let host = host();
    let steps = Bundle::default().job("deploy.py", "").file("deploy.py.steps.aes", encrypted("list", &[]));
    let log = send(&host, "deploy.py", &steps.pack()).ok();
    assert_eq!(log[..2], ["decrypted deploy.py.steps.aes", "deploy.py.steps"]);
    let odd = Bundle::default().job("a", "list").file("sub/x.aes", "x").file("X.AES", "x").file(".aes", "x");
    let odd = odd.file("b.aes", encrypted("2", &[])).file("sp ace.aes", encrypted("1", &["-md", "md5"]));
    let log = send(&host, "a", &odd.pack()).ok();
    assert_eq!(log[..2], ["decrypted b.aes", "decrypted sp ace.aes"]);
    assert!(log.contains(&"sp ace".to_owned()) && !log.contains(&"X".to_owned()), "{log:?}");
}

#[test]
fn a_secret_is_nowhere_but_in_the_bundle() {
    let host = host();
    let (secret, other) = ("hunter22-hunter22", "swordfish/9");
    let file = format!("# of the shop\npassword: \"{secret}\"\nOTHER={other}\n");
    // Slips of all kinds: printed, on standard error, as word and as name of a tool, in a failure.
    let steps =
        format!("read shop.yml\nerr oh no: {secret}\nproxy-anyway grep {secret}\nproxy-anyway {other}\nget http://{secret}/");
    let steps = encrypted(&steps, &[]);
    let bundle = Bundle::default().job("a", "").file("a.steps.aes", steps).file("shop.yml.aes", encrypted(&file, &[]));
    let reply = send(&host, "a", &bundle.pack());
    let log = reply.failed();
    assert_eq!(log[..2], ["decrypted a.steps.aes", "decrypted shop.yml.aes"]);
    assert!(log.contains(&"password: \"******\"".to_owned()) && log.contains(&"OTHER=******".to_owned()), "{log:?}");
    let get = |path: &str| host.portal("GET", path, &[]);
    let record = get(&format!("/v1/jobs/{}", reply.run())).body;
    assert!(record.contains("[stderr] ******") || record.contains("oh no: ******"), "{record}");
    let runs = get("/v1/runs");
    let listed = runs.json()["ended"].as_array().unwrap().clone();
    assert!(listed.iter().any(|run| run["tool"] == "grep" && run["line"].as_str().unwrap().contains("******")), "{listed:?}");
    let each: String = listed.iter().map(|run| get(&format!("/v1/runs/{}", run["run"].as_str().unwrap())).body).collect();
    let mut journal = String::new();
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        let file = std::fs::read(host.home().join("data").join(name)).unwrap_or_default();
        journal.push_str(&String::from_utf8_lossy(&file));
    }
    assert!(journal.contains("******"), "it is written");
    let places = [("reply", &reply.http.body), ("job", &record), ("runs", &runs.body), ("each run", &each), ("file", &journal)];
    for (place, text) in places {
        assert!(!text.contains("hunter22") && !text.contains("swordfish"), "{place}: {text}");
    }
    assert!(!host.log().contains("hunter22") && !host.log().contains("swordfish"), "{}", host.log());
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
    let _ = command::run(&mut openssl, Duration::from_secs(120)).ok();
    std::fs::read(room.path().join("secret")).unwrap()
}
