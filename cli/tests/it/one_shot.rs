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
fn the_whole_request_is_signed_with_the_token() {
    let portal = Portal::echo();
    let host = portal.host();
    let user = User::new().with("OCHOPOD_TOKEN", "my cool secret token").has("web.yml", "cluster: web");
    assert_eq!(user.ocho(&["cli", &host, "ls", "-j"]).code, 0);
    assert_eq!(user.ocho(&["cli", &host, "help"]).code, 0);
    assert_eq!(user.ocho(&["cli", &host, "grep", "é😀"]).out, "grep 'é😀'\n");
    assert_eq!(user.ocho(&["cli", &host, "deploy", "web.yml"]).out, "deploy web.yml web.yml\n");
    assert_eq!(user.ocho(&["version", &host]).code, 0);
    let received = portal.received();
    let paths: Vec<&str> = received.iter().map(|received| received.path.as_str()).collect();
    assert_eq!(paths, ["/v1/runs", "/shell", "/v1/runs", "/v1/runs", "/v1/host"]);
    for request in &received {
        assert!(request.is_signed_whole_with("my cool secret token"), "{request:?}");
        assert!(!request.is_signed_whole_with("another"), "{request:?}");
        assert_eq!(request.signature, None, "the weaker signature would give away what the stronger one protects");
    }
}

#[test]
fn nothing_is_signed_without_a_token() {
    let portal = Portal::echo();
    User::new().with("OCHOPOD_TOKEN", "").ocho(&["cli", &portal.host(), "ls"]);
    User::new().ocho(&["cli", "--compat", &portal.host(), "ls"]);
    for request in portal.received() {
        assert!(request.signature.is_none() && !request.is_signed_whole_with("x"), "{request:?}");
    }
}

#[test]
fn an_old_host_gets_the_old_protocol_when_told() {
    let portal = Portal::start(|received| match received.path.as_str() {
        "/shell" => Answer::ok(&received.line),
        _ => Answer::raw(404, "<html>Not Found"),
    });
    let host = portal.host();
    let user = |secret| User::new().with("OCHOPOD_TOKEN", secret);
    assert_eq!(user("my cool secret token").ocho(&["cli", "--compat", &host, "ls", "-j"]).out, "ls -j\n");
    assert_eq!(user("secret").with("OCHO_COMPAT", "1").ocho(&["cli", &host, "  grep  *web* -j "]).out, "grep  *web* -j\n");
    let signatures: Vec<_> = portal.received().into_iter().map(|received| received.signature.unwrap()).collect();
    assert_eq!(signatures, ["sha1=453f91e3c21754ffe84db17140d3391631c730ac", "sha1=43fb69e708a0fda87c8906a9c51f072cdac170a2"]);

    let untold = user("secret").ocho(&["cli", &host, "ls"]);
    assert_eq!(untold.code, 3);
    assert_eq!(
        untold.err,
        format!(
            "error: `{host}` does not speak the protocol of this `ocho`: <html>Not Found\n\
             hint: an older host: `--compat` before its name; else see whether this is the port of the portal (9000 if not given)\n"
        )
    );
    assert_eq!(portal.received().last().unwrap().signature, None);
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
fn versions() {
    let mut portal = Portal::echo();
    let (user, host, ours) = (User::new(), portal.host(), env!("CARGO_PKG_VERSION"));
    assert_eq!(user.ocho(&["version"]).out, format!("ocho {ours}\n"));
    assert_eq!(user.ocho(&["version", &host]).out, format!("ocho {ours}\nochod 9.8.7 on {host} (contract 0.1)\n"));
    assert_eq!(
        user.ocho(&["version", "--json", &host]).out,
        format!(
            "{{\"version\": 1, \"ocho\": \"{ours}\", \"host\": {{\"name\": \"{host}\", \"ochod\": \"9.8.7\", \"contract\": \"0.1\"}}}}\n"
        )
    );
    assert_eq!(User::new().with("OCHOPOD_PROXY", &host).ocho(&["version"]).out.lines().count(), 2);
    portal.stop();
    let gone = user.ocho(&["version", &host]);
    assert_eq!((gone.code, gone.out), (3, format!("ocho {ours}\n")));
    let gone = user.ocho(&["version", "--json", &host]);
    assert!(gone.code == 3 && gone.out.contains("\"error\": \"i/o failure"), "{gone:?}");
}

#[test]
fn completions_of_shells() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = user.ocho(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains("ocho"), "{shell}: {script:?}");
    }
    assert_eq!(user.ocho(&["completions", "tea"]).code, 2);
}
