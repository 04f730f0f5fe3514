//! Hosts that are gone, busy, broken or something else, and commands that cannot be sent.

use std::net::TcpListener;

use crate::portal::{Answer, Portal, STARTED, free, port};
use crate::program::{Ran, User};

#[track_caller]
fn check(ran: Ran, code: i32, err: &str) {
    assert_eq!((ran.code, ran.out.as_str(), ran.err.trim_end()), (code, "", err));
}

#[test]
fn q34_a_host_that_is_gone() {
    let nobody = port(free());
    let host = nobody.local_addr().unwrap().to_string();
    check(
        User::new().ocho(&["cli", &host, "ls"]),
        3,
        &format!(
            "error: i/o failure (is the proxy down ?): no connection to `{host}`: Connection refused (os error 111)\n\
             hint: see whether `ochod` runs there, and whether address and port are right (9000 if not given)"
        ),
    );
}

#[test]
fn a_name_that_nobody_knows() {
    let ran = User::new().ocho(&["cli", "no-such-host.invalid", "ls"]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert!(
        ran.err.starts_with("error: i/o failure (is the proxy down ?): no connection to `no-such-host.invalid`: "),
        "{}",
        ran.err
    );
}

#[test]
fn answers_that_are_not_a_portals() {
    let portal = Portal::start(|received| match received.line.as_str() {
        "busy" => Answer::raw(429, ""),
        "broken" => Answer::raw(500, "<html>\n<b>oops</b>"),
        "page" => Answer::raw(200, "<html>"),
        "shape" => Answer::raw(200, "{\"ok\": 1}"),
        "gone" => Answer::raw(404, ""),
        "mute" => Answer::Events(vec![]),
        "cut" => Answer::Events(vec![Some(STARTED), Some(r#"{"event":"out","text":"half"}"#)]),
        "lost" => Answer::Events(vec![Some(STARTED), Some("}{")]),
        "token" => Answer::problem(401, "denied", "SHA256 signature mismatch (check your token)"),
        "tool" => Answer::problem(409, "broken-tool", "tool `tool` cannot run: it imports `x`"),
        "away" => Answer::raw(302, ""),
        _ => Answer::raw(403, "not\u{1b}[2J you"),
    });
    let host = portal.host();
    let user = User::new();
    let says = |line: &str, text: &str| check(user.ocho(&["cli", &host, line]), 3, &text.replace("HOST", &host));
    says("busy", "error: `HOST` is busy (HTTP 429)\nhint: all its places are taken: try again in a moment");
    says("broken", "error: `HOST` failed (HTTP 500): <html>\nhint: the log of the host tells why");
    let other_port = "hint: see whether this is the port of the portal (9000 if not given)";
    says("page", &format!("error: `HOST` answered something else than a portal does: <html>\n{other_port}"));
    says("shape", &format!("error: `HOST` answered something else than a portal does: {{\"ok\": 1}}\n{other_port}"));
    says(
        "gone",
        "error: `HOST` does not speak the protocol of this `ocho`\n\
         hint: an older host: `--compat` before its name; else see whether this is the port of the portal (9000 if not given)",
    );
    let may_have_run = "hint: the command may have run: look with `ls` or `grep` before you repeat it";
    let cut = format!(
        "error: i/o failure: the connection to `HOST` broke before it answered: the answer stops in the middle\n{may_have_run}"
    );
    says("mute", &format!("error: `HOST` answered something else than a portal does\n{other_port}"));
    says("lost", &format!("error: `HOST` answered something else than a portal does: }}{{\n{other_port}"));
    let half = user.ocho(&["cli", &host, "cut"]);
    assert_eq!((half.code, half.out.as_str(), half.err.trim_end()), (3, "half\n", cut.replace("HOST", &host).as_str()));
    check(
        user.ocho(&["cli", &host, "token"]),
        2,
        &format!(
            "error: `{host}` does not know the caller (HTTP 401): SHA256 signature mismatch (check your token)\n\
             hint: set $OCHOPOD_TOKEN to the token that the host was started with"
        ),
    );
    check(
        user.ocho(&["cli", &host, "tool"]),
        1,
        &format!("error: `{host}` cannot run the tool: tool `tool` cannot run: it imports `x`"),
    );
    says(
        "away",
        "error: `HOST` does not speak the protocol of this `ocho`\n\
         hint: an older host: `--compat` before its name; else see whether this is the port of the portal (9000 if not given)",
    );
    says("other", "error: `HOST` refused the request (HTTP 403): not[2J you");
}

#[test]
fn something_that_does_not_speak_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let ran = User::new().ocho(&["cli", &host, "ls"]);
    server.join().unwrap();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains(&format!("the connection to `{host}` broke before it answered")), "{}", ran.err);
}

#[test]
fn no_host_and_no_sense() {
    let user = User::new();
    check(
        user.ocho(&["cli"]),
        2,
        "error: either set $OCHOPOD_PROXY or pass the proxy IP as an argument\n\
         hint: `ocho cli my-cluster ls`, or `export OCHOPOD_PROXY=my-cluster` once",
    );
    check(
        user.ocho(&["cli", "a b", "ls"]),
        2,
        "error: host `a b` does not read as `<name or address>[:<port>]`, alone or after `http://` or `https://`\n\
         hint: for instance `my-cluster`, `10.0.0.1:9000` or `[::1]:9000`",
    );
    let empty = User::new().with("OCHOPOD_PROXY", "");
    check(empty.ocho(&["cli", "ls"]), 2, "error: $OCHOPOD_PROXY is set but empty: give it a host or unset it");
    assert_eq!(user.ocho(&["bogus"]).code, 2);
    assert_eq!(user.ocho::<&str>(&[]).code, 2);
}

#[test]
fn lines_that_cannot_be_sent() {
    let portal = Portal::echo();
    let user = User::new();
    check(
        user.ocho(&["cli", &portal.host(), "exec", "web", "a\nb"]),
        1,
        "error: the command line has a line break at character 12, which cannot be sent",
    );
    check(
        user.ocho(&["cli", &portal.host(), "ls 'x"]),
        1,
        "error: the command line does not read: the quote ' at character 4 is never closed\n\
         hint: quote a quote with a backslash",
    );
    assert_eq!(portal.lines(), [""; 0]);
}
