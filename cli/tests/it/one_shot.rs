//! `ocho cli host command`: words, signatures, output, exit codes.

use std::process::Stdio;

use crate::portal::{Answer, Portal};
use crate::program::User;

#[test]
fn all_spellings_send_the_same_line() {
    let portal = Portal::echo();
    let host = portal.host();
    let user = User::new();
    for words in [
        vec!["cli", &host, "ls", "-j"],
        vec!["cli", &host, "--", "ls", "-j"],
        vec!["cli", "--", &host, "ls", "-j"],
        vec!["cli", &host, "ls -j"],
        vec!["cli", &format!("http://{host}"), "ls", "-j"],
    ] {
        let ran = user.ocho(&words);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "ls -j\n", ""), "{words:?}");
    }
    assert_eq!(portal.lines(), ["ls -j"; 5]);
}

#[test]
fn switches_after_the_host_belong_to_the_command() {
    let portal = Portal::echo();
    let ran = User::new().ocho(&["cli", &portal.host(), "grep", "--help", "--version", "-h", "--", "-x"]);
    assert_eq!(ran.out, "grep --help --version -h -- -x\n");
}

#[test]
fn quoted_words_stay_words() {
    let portal = Portal::echo();
    let ran = User::new().ocho(&["cli", &portal.host(), "exec", "*", "--force", "run", "a  b", "it's", "$HOME;`x`"]);
    assert_eq!(ran.out, "exec * --force run 'a  b' 'it'\\''s' '$HOME;`x`'\n");
}

#[test]
fn the_host_comes_from_the_environment_and_all_words_are_the_command() {
    let portal = Portal::echo();
    let user = User::new().with("OCHOPOD_PROXY", &portal.host());
    assert_eq!(user.ocho(&["cli", "ls", "-j"]).out, "ls -j\n");
    assert_eq!(user.ocho(&["cli", "h", "ls"]).out, "h ls\n");
    assert_eq!(user.ocho(&["cli", "help"]).out, "help\n");
    assert_eq!(user.ocho(&["cli", "-j"]).code, 2);
}

#[test]
fn q30_the_exit_code_tells_whether_the_run_succeeded() {
    let portal = Portal::start(|received| match received.line.as_str() {
        "good" => Answer::ok("fine"),
        "mute" => Answer::failed(""),
        _ => Answer::failed("unknown command"),
    });
    let user = User::new();
    let code = |line: &str| {
        let ran = user.ocho(&["cli", &portal.host(), line]);
        (ran.code, ran.out, ran.err)
    };
    assert_eq!(code("good"), (0, "fine\n".into(), String::new()));
    assert_eq!(code("bad"), (1, "unknown command\n".into(), String::new()));
    assert_eq!(code("mute"), (1, String::new(), "hint: `mute` failed and printed nothing\n".into()));
}

#[test]
fn q51_empty_output_stays_empty_on_a_pipe() {
    let portal = Portal::start(|_| Answer::ok(""));
    let ran = User::new().ocho(&["cli", &portal.host(), "ls"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn q52_output_is_utf8_byte_for_byte() {
    let portal = Portal::start(|_| Answer::ok("é 😀\t\u{1b}[31mred\r\n\nend"));
    let ran = User::new().ocho(&["cli", &portal.host(), "log"]);
    assert_eq!(ran.out, "é 😀\t\u{1b}[31mred\r\n\nend\n");
}

#[test]
fn the_line_is_signed_with_the_token() {
    let portal = Portal::echo();
    let host = portal.host();
    User::new().with("OCHOPOD_TOKEN", "my cool secret token").ocho(&["cli", &host, "ls", "-j"]);
    User::new().with("OCHOPOD_TOKEN", "").ocho(&["cli", &host, "ls"]);
    User::new().with("OCHOPOD_TOKEN", "secret").ocho(&["cli", &host, "  grep  *web* -j "]);
    let signatures: Vec<_> = portal.received().into_iter().map(|received| received.signature).collect();
    assert_eq!(
        signatures,
        [
            Some("sha1=453f91e3c21754ffe84db17140d3391631c730ac".to_owned()),
            None,
            Some("sha1=43fb69e708a0fda87c8906a9c51f072cdac170a2".to_owned()),
        ]
    );
}

#[test]
fn a_line_beyond_ascii_is_signed_and_sent_as_utf8() {
    let portal = Portal::echo();
    let ran = User::new().with("OCHOPOD_TOKEN", "secret").ocho(&["cli", &portal.host(), "grep", "é😀"]);
    assert_eq!(ran.out, "grep 'é😀'\n");
    assert!(portal.received()[0].signature.as_ref().is_some_and(|signature| signature.len() == 45));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let portal = Portal::start(|_| Answer::ok(&"line\n".repeat(200_000)));
    let user = User::new();
    let mut child = user
        .command()
        .args(["cli", &portal.host(), "log"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn version_and_completions() {
    let user = User::new();
    let version = user.ocho(&["version"]);
    assert_eq!((version.code, version.out), (0, format!("ocho {}\n", env!("CARGO_PKG_VERSION"))));
    for shell in ["bash", "zsh", "fish"] {
        let script = user.ocho(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains("ocho"), "{shell}: {script:?}");
    }
    assert_eq!(user.ocho(&["completions", "tea"]).code, 2);
}
