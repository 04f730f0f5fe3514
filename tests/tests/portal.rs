//! `POST /shell`: the protocol that clients of the original speak.

use ocho_tests::programs::guest;
use ocho_tests::{TestHost, http};
use serde_json::Value;

const TOKEN: &str = "my cool secret token";

/// All tools of the portal, as `help` lists them.
fn available(host: &TestHost) -> String {
    host.shell("help").success()
}

#[test]
fn a_reply_is_one_line_of_json_with_exactly_three_keys() {
    let host = TestHost::up().start();
    let reply = host.shell("help");
    assert_eq!((reply.status, reply.content_type.as_str()), (200, "application/json; charset=utf-8"));
    assert_eq!(reply.body.trim_end_matches('\n').lines().count(), 1, "{}", reply.body);
    let json: Value = serde_json::from_str(&reply.body).unwrap();
    let mut keys: Vec<_> = json.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["ms", "ok", "out"]);
    assert!(json["ms"].as_f64().unwrap() >= 0.0 && json["ok"] == true);
    // Extra words change nothing.
    assert_eq!(host.shell("help me").out, reply.out);
}

#[test]
fn help_lists_the_tools() {
    let host = TestHost::up().start();
    let list = available(&host);
    let names: Vec<_> = list.strip_prefix("available commands -> ").unwrap().split(", ").collect();
    assert!(names.is_sorted(), "{list}");
    for tool in ["deploy", "grep", "kill", "ls", "poll"] {
        assert!(names.contains(&tool), "{list}");
    }
}

#[test]
fn a_line_and_its_signature_come_first() {
    let host = TestHost::up().token(TOKEN).start();
    let missing_line = "failure -> X-Shell header missing";
    assert_eq!(host.unsigned().send().failure(), missing_line);
    // The line is looked for before the signature.
    assert_eq!(
        host.unsigned().header("x-signature", b"sha1=8d81c6a0fab40bd563a78e8c97027c5331c042bd").send().failure(),
        missing_line
    );
    let unsigned = host.unsigned().line("help").send().failure();
    assert_eq!(unsigned, "failure -> signature missing (make sure you define $OCHOPOD_TOKEN)");

    let good = b"sha1=8d81c6a0fab40bd563a78e8c97027c5331c042bd";
    let with = |signature: &[u8]| host.unsigned().line("help").header("x-signature", signature).send();
    assert!(with(good).success().starts_with("available commands -> "));
    let upper = good.to_ascii_uppercase();
    for wrong in [&b""[..], b"sha1=", &good[5..], &upper, b"sha1=8D81C6A0FAB40BD563A78E8C97027C5331C042BD", b"\xff", &good[..44]]
    {
        assert_eq!(with(wrong).failure(), "failure -> SHA1 signature mismatch (check your token)", "{wrong:?}");
    }
    let of_another_line = host.unsigned().line("ls -j").header("x-signature", good).send();
    assert_eq!(of_another_line.failure(), "failure -> SHA1 signature mismatch (check your token)");
}

#[test]
fn blanks_around_a_line_are_no_part_of_it() {
    let host = TestHost::up().token(TOKEN).start();
    let good = b"sha1=8d81c6a0fab40bd563a78e8c97027c5331c042bd";
    for line in ["help", " help", "help  ", "\thelp\t"] {
        assert!(host.unsigned().line(line).header("x-signature", good).send().ok, "{line:?}");
    }
}

#[test]
fn blanks_within_a_line_are_signed_as_they_are() {
    let host = TestHost::up().token("secret").start();
    let line = "grep  *web* -j";
    let signature = b"sha1=43fb69e708a0fda87c8906a9c51f072cdac170a2";
    assert_eq!(host.unsigned().line(line).header("x-signature", signature).send().success(), "{}");
}

#[test]
fn a_line_in_another_script_can_be_signed() {
    let host = TestHost::up().token(TOKEN).tool("echo", &guest("echo")).start();
    assert_eq!(host.shell("echo grüße 日本").success(), "echo\n[grüße]\n[日本]");
}

#[test]
fn without_a_token_any_signature_is_ignored() {
    let host = TestHost::up().start();
    assert!(host.unsigned().line("help").header("x-signature", b"sha1=nonsense").send().ok);
    assert!(host.unsigned().line("help").send().ok);
}

#[test]
fn files_come_under_the_names_of_their_fields() {
    let host = TestHost::up().tool("files", &guest("files")).start();
    let call = host.call("files").file_called("web.yml", "../../etc/passwd", "cluster: web");
    // A part without a file name is no file; of two with one name the first wins.
    let call = call.value("not-a-file", "x").file("twice", "first").file("twice", "second, and longer").file("empty", "");
    assert_eq!(call.send().success(), "./empty: 0\n./twice: 5\n./web.yml: 12");
    let read = host.call("files read web.yml").file("web.yml", "cluster: web").send();
    assert_eq!(read.success(), "cluster: web");
    // The next run finds nothing of it.
    assert_eq!(host.shell("files").success(), "");
}

#[test]
fn a_name_with_a_folder_in_it_is_refused() {
    let host = TestHost::up().tool("files", &guest("files")).start();
    let absolute = format!("/tmp/ocho-absolute-{}", std::process::id());
    for name in ["../up", &absolute, "sub/dir", ".", "..", "a/../b"] {
        let reply = host.call("files").file(name, "x").send();
        let said = reply.clone().failure();
        assert!(said.contains("failure -> ") && said.contains(name), "{name}: {said}");
    }
    assert!(!std::path::Path::new(&absolute).exists());
}

#[test]
fn another_body_is_ignored() {
    let host = TestHost::up().tool("files", &guest("files")).start();
    let url = format!("http://{}/shell", host.address("portal"));
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let headers = [("x-shell", "files"), ("content-type", content_type)];
        let reply = http::send("POST", &url, &headers, b"{\"a\": [1".to_vec()).json();
        assert_eq!((&reply["ok"], &reply["out"]), (&Value::Bool(true), &Value::String(String::new())));
    }
}

#[test]
fn a_broken_multipart_body_is_told() {
    let host = TestHost::up().start();
    let url = format!("http://{}/shell", host.address("portal"));
    for content_type in ["multipart/form-data", "multipart/form-data; boundary=x"] {
        let headers = [("x-shell", "help"), ("content-type", content_type)];
        for body in [&b""[..], b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\ncut", b"\xff\x00--x"] {
            let reply = http::send("POST", &url, &headers, body.to_vec());
            assert_eq!((reply.status, &reply.json()["ok"]), (200, &Value::Bool(false)), "{}", reply.body);
        }
    }
    assert!(host.shell("help").ok);
}

#[test]
fn other_methods_and_paths() {
    let host = TestHost::up().start();
    for method in ["GET", "PUT", "DELETE", "HEAD", "PATCH"] {
        let reply = host.portal(method, "/shell", &[("x-shell", "help")]);
        assert_eq!((reply.status, reply.header("allow")), (405, "POST, OPTIONS"), "{method}");
    }
    let options = host.portal("OPTIONS", "/shell", &[]);
    assert_eq!((options.status, options.header("allow"), options.body.as_str()), (200, "POST, OPTIONS", ""));
    for path in ["/shell/", "/shells", "/shell/x", "//shell", "/../shell%00"] {
        assert_eq!(host.portal("POST", path, &[("x-shell", "help")]).status, 404, "{path}");
    }
    // A browser's page must not be able to run a command.
    assert_eq!(host.portal("GET", "/shell?line=help", &[]).status, 405);
}

#[test]
fn what_a_shell_would_do_is_not_done() {
    let host = TestHost::up().tool("echo", &guest("echo")).start();
    let line = "echo a; touch /tmp/pwned | b & c > d < e $HOME $(id) `id` *.yml ~ {x,y} ../..";
    let out = host.call(line).file("foo.yml", "x").send().success();
    let words: Vec<_> = line.split(' ').skip(1).map(|word| format!("[{word}]")).collect();
    assert_eq!(out, format!("echo\n{}", words.join("\n")));
}

#[test]
fn quoted_words_keep_their_blanks() {
    let host = TestHost::up().tool("echo", &guest("echo")).start();
    let out = host.shell(r#"echo 'a  b' "c \"d\"  e" f\ g '' # a comment"#).success();
    assert_eq!(out, "echo\n[a  b]\n[c \"d\"  e]\n[f g]\n[]");
    let open = host.shell("echo 'never closed").failure();
    assert!(open.starts_with("failure -> ") && open.contains('\''), "{open}");
}

#[test]
fn output_that_is_no_text_is_still_json() {
    let host = TestHost::up().tool("files", &guest("files")).start();
    let reply = host.call("files read bytes").file("bytes", b"a\xff\r\n\n\xfeb\n".to_vec()).send();
    assert_eq!((reply.status, reply.success().as_str()), (200, "a\u{fffd}\r\n\n\u{fffd}b"));
}

#[test]
fn foreign_pages_are_refused() {
    let host = TestHost::up().start();
    let foreign = [("x-shell", "help"), ("origin", "http://evil.example")];
    assert_eq!(host.portal("POST", "/shell", &foreign).status, 403);
    let rebound = [("x-shell", "help"), ("host", "evil.example:9000")];
    assert_eq!(host.portal("POST", "/shell", &rebound).status, 403);
    let url = format!("http://{}/v2/apps", host.address("marathon"));
    assert_eq!(http::request("POST", &url, &[("origin", "http://evil.example")]).status, 403);
    assert_eq!(http::request("GET", &url, &[("host", "evil.example")]).status, 403);
}
