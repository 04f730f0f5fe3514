//! `ocho run` and `ocho encrypt` against the built host.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ocho_tests::command::Ended;
use ocho_tests::programs::guest;
use ocho_tests::{TestHost, command, ocho};

use crate::request::{TOKEN, folders_left, host, plan};

const WITHIN: Duration = Duration::from_secs(300);

/// A folder `jobs` with one job, `it`, which does these steps.
fn jobs(host: &TestHost, steps: &str) {
    let folder = host.work().join("jobs");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(guest("script"), folder.join("it.wasm")).unwrap();
    fs::write(folder.join("it.steps"), steps).unwrap();
}

fn run(host: &TestHost, token: Option<&str>, words: &[&str]) -> Ended {
    let mut ocho = ocho::bare(&host.work());
    ocho.arg("run").args(words).env("OCHOPOD_PROXY", host.address("portal"));
    if let Some(token) = token {
        ocho.env("OCHOPOD_TOKEN", token);
    }
    command::run(&mut ocho, WITHIN)
}

#[test]
fn it_shows_the_log_and_ends_as_the_job_did() {
    let host = host();
    jobs(&host, "print one\nerr two\nenv");
    for words in [&["jobs", "it", "-v", "url:http://h/"][..], &["--follow", "jobs", "it", "-v", "url:http://h/"]] {
        let ended = run(&host, None, words);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, "two\n"), "{ended:?}");
        for line in ["$URL = http://h/\n", "\none\n", "URL=http://h/\n", "\nit ran in "] {
            assert!(ended.stdout.contains(line), "{ended:?}");
        }
    }
    jobs(&host, "exit 3");
    let failed = run(&host, None, &["jobs", "it"]);
    assert!(failed.code == 1 && failed.stdout.ends_with("failure (it failed on exit code 3)\n"), "{failed:?}");
    assert_eq!(folders_left(&host), [""; 0]);
}

#[test]
fn it_signs_the_whole_request() {
    let host = plan().token("secret").words(&["--require-signature-256"]).start();
    jobs(&host, "print one");
    assert_eq!(run(&host, Some("secret"), &["jobs", "it", "-v", "stage:prod"]).code, 0);
    assert_eq!(run(&host, Some("wrong"), &["jobs", "it"]).code, 2);
    assert_eq!(run(&host, None, &["jobs", "it"]).code, 2);
    for words in [&["missing", "it"][..], &["jobs"], &["jobs", "a/b"], &["jobs", "it", "-v", "novalue"]] {
        assert_ne!(run(&host, Some("secret"), words).code, 0, "{words:?}");
    }
}

#[test]
fn what_it_encrypts_openssl_and_the_host_read() {
    let host = host();
    jobs(&host, "hex password\nread password");
    let clear = host.work().join("jobs/password");
    for md in ["md5", "sha256"] {
        fs::write(&clear, "hunter22\n").unwrap();
        let mut encrypt = ocho::bare(&host.work());
        encrypt.args(["encrypt", "jobs/password"]).args((md == "md5").then_some("--md5")).env("SERVO_TOKEN", TOKEN);
        let ended = command::run(&mut encrypt, WITHIN);
        assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{ended:?}");
        fs::remove_file(&clear).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["enc", "-d", "-aes-256-cbc", "-base64", "-md", md, "-k", TOKEN, "-in", "jobs/password.aes"]);
        assert_eq!(command::run(openssl.current_dir(host.work()), WITHIN).ok(), "hunter22\n");
        let ran = run(&host, None, &["jobs", "it"]).ok();
        let clear: String = "hunter22\n".bytes().map(|byte| format!("{byte:02x} ")).collect();
        assert!(ran.contains(&format!("decrypted password.aes\n{clear}\n******\n")), "{ran}");
    }
    let mut no_token = ocho::bare(&host.work());
    assert_eq!(command::run(no_token.args(["encrypt", "jobs/it.steps"]), WITHIN).code, 2);
}
