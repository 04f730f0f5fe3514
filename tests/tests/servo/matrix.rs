//! The conformance matrix, row by row; several rows share a host where nothing of one can be seen by the other.

use std::thread;
use std::time::Duration;

use ocho_core::signature::SignedRequest;
use ocho_tests::{TestHost, http, wait};

use crate::bundle::{Bundle, fixture, gzip};
use crate::request::{Upload, at_once, folders_left, host, plan, send};

/// What is to come gets so long: the machine may have other work.
const SOON: Duration = Duration::from_secs(120);

fn text(host: &TestHost, names: &str, archive: &[u8]) -> http::Response {
    Upload::to(host, names, archive).header("accept", "text/plain").send().http
}

#[test]
fn rows_1_to_6_replies_in_both_forms() {
    let host = host();
    let archive = fixture().pack();
    let reply = send(&host, "a.py", &archive);
    let (status, ok, log) = reply.json();
    assert_eq!((status, ok.as_u64(), log.len()), (200, Some(1), 3), "{log:?}");
    let secret = log[0].strip_prefix("$CALLBACK = http://").and_then(|url| url.split_once("/callback/")).unwrap().1;
    assert!(secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", log[0]);
    assert_eq!(log[1..], ["one", "a.py ran in 0 seconds"]);
    assert_eq!(reply.run().len(), 26, "an id comes with it");

    let answer = text(&host, "a.py", &archive);
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert!(answer.body.ends_with("\none\na.py ran in 0 seconds"), "{}", answer.body);

    let both = ["one", "a.py ran in 0 seconds", "two", "b.py ran in 0 seconds", "failure (b.py failed on exit code 3)"];
    for names in ["a.py+b.py", "a.py%2Bb.py", "a.py+b.py?x=1"] {
        let reply = send(&host, names, &archive);
        assert_eq!((reply.json().0, reply.failed()), (200, both.map(str::to_owned).to_vec()), "{names}");
    }
    let answer = text(&host, "a.py+b.py", &archive);
    assert!(answer.status == 412 && answer.body.ends_with(&both.join("\n")), "{}", answer.body);
    assert_eq!(send(&host, "b.py+a.py", &archive).failed(), both[2..]);
    // The same name may come again.
    assert_eq!(send(&host, "a.py+a.py", &archive).ok(), [both[0], both[1], both[0], both[1]]);
}

#[test]
fn rows_7_to_10_and_12_signatures() {
    let host = host();
    let (archive, other) = (fixture().pack(), Bundle::default().file("x", "x").pack());
    let forbidden = |upload: Upload| {
        let answer = upload.send().http;
        let seen = (answer.status, answer.body.as_str(), answer.header("content-type"), answer.header("content-length"));
        assert_eq!(seen, (403, "", "text/html; charset=utf-8", "0"));
    };
    let signed = Upload::to(&host, "a.py", &archive);
    forbidden(Upload::unsigned(&host, "a.py").part("name=\"tgz\"; filename=\"x\"", &archive));
    let token = ocho_core::signature::Token::new(crate::request::TOKEN).unwrap();
    let good = token.sign(&archive);
    let whole_body = token.sign(&signed.body());
    for wrong in [&token.sign(&other), &good.to_uppercase(), &good.replace("sha1", "SHA1"), &good[5..], "", &whole_body] {
        forbidden(signed.clone().header("x-signature", wrong));
    }
    assert_eq!(signed.clone().header("x-signature", &format!("  {good} ")).send().ok(), ["one", "a.py ran in 0 seconds"]);
    // Of two parts the first counts.
    let part = "name=\"tgz\"; filename=\"x\"";
    let two = |first, second| Upload::unsigned(&host, "a.py").part(part, first).part(part, second).header("x-signature", &good);
    assert_eq!(two(&archive, &other).send().ok().len(), 2);
    forbidden(two(&other, &archive));
    assert_eq!(folders_left(&host), [""; 0]);
}

/// A request whose signature covers names, variables, body and time.
fn signed_256(host: &TestHost, names: &str, archive: &[u8], stage: &str) -> Upload {
    let upload = Upload::unsigned(host, names).part("name=\"tgz\"; filename=\"x\"", archive).header("x-var-stage", stage);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let nonce = format!("{:032x}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos());
    let signature = ocho_core::signature::Token::new(crate::request::TOKEN).unwrap().sign_request(&SignedRequest {
        time: &time,
        nonce: &nonce,
        method: "POST",
        path_and_query: &format!("/run/{names}"),
        shell: b"",
        variables: vec![("x-var-stage".to_owned(), stage.as_bytes().to_vec())],
        body_sha256: ocho_core::signature::sha256(&upload.body()),
    });
    upload.header("x-ocho-time", &time).header("x-ocho-nonce", &nonce).header("x-signature-256", &signature)
}

#[test]
fn the_whole_request_can_be_signed_and_an_operator_can_ask_for_it() {
    let archive = fixture().pack();
    for required in [false, true] {
        let host = plan().words(if required { &["--require-signature-256"] } else { &[] }).start();
        let good = signed_256(&host, "a.py", &archive, "prod");
        assert!(good.send().ok().contains(&"$STAGE = prod".to_owned()));
        assert_eq!(good.send().http.status, 403, "the same once more");
        let other = |change: fn(Upload) -> Upload| change(signed_256(&host, "a.py", &archive, "prod")).send().http.status;
        assert_eq!(other(|upload| upload.header("x-var-stage", "test")), 403);
        assert_eq!(other(|upload| upload.header("x-ocho-time", "1")), 403);
        assert_eq!(other(|upload| upload.named("b.py")), 403);
        assert_eq!(other(|upload| upload.part("name=\"more\"", b"x")), 403);
        assert_eq!(send(&host, "a.py", &archive).http.status, if required { 403 } else { 200 });
    }
}

#[test]
fn row_7_a_missing_signature_is_told_before_the_body_comes() {
    use std::io::{Read as _, Write as _};
    let host = host();
    let mut stream = std::net::TcpStream::connect(host.address("servo")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head = "POST /run/a.py HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
}

#[test]
fn row_11_a_body_without_a_bundle() {
    let host = host();
    let signed = |upload: Upload| upload.header("x-signature", "sha1=bd95310e77c03d57af00cff5835263ed1f13ebb3");
    let unsigned = || Upload::unsigned(&host, "a.py");
    for upload in [unsigned().part("name=\"other\"; filename=\"x\"", b""), unsigned().part("name=\"tgz\"", b""), unsigned()] {
        let log = signed(upload.clone()).send().failed();
        assert!(log.len() == 1 && log[0].starts_with("unexpected failure (") && log[0].ends_with(')'), "{log:?}");
        assert_eq!(signed(upload).header("accept", "text/plain").send().http.status, 412);
    }
    let url = format!("http://{}/run/a.py", host.address("servo"));
    let headers = [("accept", "application/json"), ("x-signature", "sha1=x")];
    let raw = http::send("POST", &url, &headers, b"raw".to_vec());
    assert!(raw.json()["ok"] == 0 && raw.body.contains("unexpected failure ("), "{}", raw.body);
}

#[test]
fn row_13_accept() {
    let host = host();
    let archive = fixture().pack();
    for (accept, is_json) in [
        ("*/*", true),
        ("application/*", true),
        ("APPLICATION/JSON", true),
        ("text/plain, */*;q=0.1", true),
        ("text/*", false),
        ("*", false),
        ("application/json;q=0", false),
        ("application/json; charset=utf-8", false),
        ("", false),
    ] {
        let answer = Upload::to(&host, "a.py", &archive).header("accept", accept).send().http;
        assert_eq!(answer.header("content-type").starts_with("application/json"), is_json, "{accept}");
    }
}

#[test]
fn rows_14_to_18_names_and_archives() {
    let host = host();
    let archive = fixture().pack();
    let missing = "failure (unable to find missing.py (check your scripts))";
    assert_eq!(send(&host, "missing.py", &archive).failed(), [missing]);
    assert_eq!(send(&host, "a.py+missing.py", &archive).failed(), ["one", "a.py ran in 0 seconds", missing]);
    assert_eq!(send(&host, "A.PY", &archive).failed(), ["failure (unable to find A.PY (check your scripts))"]);
    let bogus = ["failure (unable to open the archive (bogus payload ?))"];
    let trailing = [&archive[..], b"trailing"].concat();
    for upload in [&b"garbage"[..], b"", b"BZh91AY", &archive[..archive.len() / 2], &fixture().tar(), &trailing] {
        assert_eq!(send(&host, "a.py", upload).failed(), bogus);
    }
    // What follows a blank, or another odd character, is no ending that could be left away.
    for (names, name) in [("a.py%20-h", "a.py -h"), ("a.py;x", "a.py;x"), ("a.py%0Ax", "a.py\nx"), ("a.py%00", "a.py\0")] {
        assert_eq!(send(&host, names, &archive).failed(), [format!("failure (unable to find {name} (check your scripts))")]);
    }
    let long = "n".repeat(300);
    assert_eq!(send(&host, &long, &archive).failed(), [format!("failure (unable to find {long} (check your scripts))")]);
    let below = Bundle::default().file("top/missing.py", "x").pack();
    assert_eq!(send(&host, "missing.py", &below).failed(), [missing]);
    let component = std::fs::read(ocho_tests::programs::guest("script")).unwrap();
    let dotted = Bundle::default().file("./a.wasm", component).file("./a.py.steps", "print one").pack();
    assert_eq!(send(&host, "a.py", &dotted).ok()[0], "one");
    let empty = send(&host, "a.py+", &archive).failed();
    assert!(empty.len() == 1 && empty[0].starts_with("failure (the names of the jobs"), "{empty:?}");
    assert_eq!(send(&host, "gr%C3%BC%C3%9Fe", &archive).failed(), ["failure (unable to find grüße (check your scripts))"]);
    let script = send(&host, "old.py", &Bundle::default().file("old.py", "print(1)").pack()).failed();
    assert!(script[0].starts_with("failure (old.py is a Python script") && script[0].contains("old.wasm"), "{script:?}");
    assert_eq!(folders_left(&host), [""; 0]);
}

#[test]
fn rows_20_to_23_variables_and_environment() {
    let host = host();
    let archive = Bundle::default().job("env", "env").pack();
    let upload = Upload::to(&host, "env", &archive).header("x-var-foo", "bar").header("x-var-my-thing", "a \"b\" c");
    let reply = upload.header("x-var-callback", "mine").header("x-var-db-password", "hunter22").send();
    let (_, _, log) = reply.json();
    let callback = log[0].strip_prefix("$CALLBACK = ").unwrap();
    assert_eq!(log[1..4], ["$DB-PASSWORD = ******", "$FOO = bar", "$MY-THING = a \"b\" c"]);
    let mut seen: Vec<&str> =
        log[4..log.len() - 1].iter().map(String::as_str).filter(|line| !line.starts_with("OCHO_RUN=")).collect();
    seen.sort_unstable();
    let url = format!("CALLBACK={callback}");
    let expected =
        ["CALLBACK", "DB-PASSWORD=******", "DB_PASSWORD=******", "FOO=bar", "MY-THING=a \"b\" c", "MY_THING=a \"b\" c"];
    assert_eq!(seen[1..], expected[1..]);
    assert_eq!(seen[0], url);
    assert!(!host.log().contains("hunter22"));
}

#[test]
fn variables_of_all_kinds() {
    let host = host();
    let archive = Bundle::default().job("env", "env").pack();
    let odd = [
        ("x-var-utf8", "grüße ☃"),
        ("x-var-equal", "a=b=c"),
        ("x-var-empty", ""),
        ("x-var-shell", "$(id) `id` ${HOME} \\ ' ; | &"),
        ("x-var-ld_preload", "/x"),
        ("x-var-ocho_run", "mine"),
    ];
    let upload = odd.iter().fold(Upload::to(&host, "env", &archive), |upload, (name, value)| upload.header(name, value));
    let log = upload.send().ok();
    for line in ["$UTF8 = grüße ☃", "UTF8=grüße ☃", "$EQUAL = a=b=c", "EQUAL=a=b=c", "$EMPTY = ", "EMPTY=", "LD_PRELOAD=/x"]
    {
        assert!(log.iter().any(|one| one == line), "{line}: {log:?}");
    }
    assert!(log.contains(&format!("SHELL={}", odd[3].1)), "{log:?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("OCHO_RUN=")).count(), 1, "{log:?}");
    assert!(!log.iter().any(|line| line.contains("mine")), "{log:?}");
    // Many.
    let names: Vec<&'static str> = (0..150).map(|n| &*format!("x-var-n{n}").leak()).collect();
    let many = names.iter().fold(Upload::to(&host, "env", &archive), |upload, name| upload.header(name, &format!("of {name}")));
    let log = many.send().ok();
    for name in names {
        let line = format!("{}=of {name}", name.replace("x-var-", "").to_uppercase());
        assert!(log.contains(&line), "{line}");
    }
}

#[test]
fn forms_that_clients_send() {
    let host = host();
    let archive = fixture().pack();
    let signature = ocho_core::signature::Token::new(crate::request::TOKEN).unwrap().sign(&archive);
    let form = || Upload::unsigned(&host, "a.py").header("x-signature", &signature);
    for disposition in [
        "name=tgz; filename=upload.tgz",
        "name=\"tgz\"; filename=\"\"",
        "filename=\"u\"; name=\"tgz\"",
        "name=\"tgz\"; filename=\"a\\\"b;c.tgz\"",
        "name=\"tgz\"; filename=\"grüße.tgz\"",
        "name=\"tgz\"; filename*=utf-8''gr%C3%BC.tgz",
        "name=\"tgz\"; filename=\"u\"\r\nContent-Type: application/x-gzip\r\nX-Odd: y",
    ] {
        assert_eq!(form().part(disposition, &archive).send().ok()[0], "one", "{disposition}");
    }
    // Other parts do not matter, nor where they stand.
    let noise = vec![0xA5; 300_000];
    let upload = form().part("name=\"other\"; filename=\"o\"", &noise).part("name=\"tgz\"", b"text");
    let upload = upload.part("name=\"tgz\"; filename=\"u\"", &archive).part("name=\"note\"", b"behind");
    assert_eq!(upload.send().ok()[0], "one");
}

#[test]
fn rows_24_to_28_output_and_exit_codes() {
    let host = host();
    let bundle = Bundle::default()
        .job("quiet", "err not shown")
        .job("lines", "raw 780a610d0a0a0900620a78")
        .job("utf8", "raw 636166c3a9")
        .job("latin", "raw 636166e9")
        .job("trap", "print before\ntrap")
        .job("errs", "print out\nerrs 60\nexit 9");
    let archive = bundle.pack();
    assert_eq!(send(&host, "quiet", &archive).ok(), ["quiet ran in 0 seconds"]);
    assert_eq!(send(&host, "lines", &archive).ok(), ["x", "a\r", "", "\t\0b", "x", "lines ran in 0 seconds"]);
    let reply = send(&host, "utf8", &archive);
    assert!(reply.http.body.contains("caf\\u00e9"), "{}", reply.http.body);
    assert_eq!(reply.ok()[0], "café");
    assert!(text(&host, "utf8", &archive).body.contains("café"));
    assert_eq!(send(&host, "latin", &archive).ok()[0], "caf\u{fffd}");
    let trapped = send(&host, "trap", &archive).failed();
    assert_eq!((trapped[0].as_str(), trapped.last().unwrap().as_str()), ("before", "failure (trap failed on exit code 137)"));
    assert!(trapped[1..].iter().any(|line| line.starts_with("job 'trap' trapped: ")), "{trapped:?}");
    // What a failed job wrote on standard error follows its output, the end of it.
    let failed = send(&host, "errs", &archive).failed();
    assert_eq!((failed.len(), failed[0].as_str(), failed[1].as_str(), failed[50].as_str()), (53, "out", "line 10", "line 59"));
    assert_eq!(failed[51..], ["errs ran in 0 seconds", "failure (errs failed on exit code 9)"]);
}

#[test]
fn rows_29_and_30_jobs_of_a_bundle_share_a_folder() {
    let host = host();
    let bundle = Bundle::default().job("first", "write state 42").job("second", "read state");
    assert_eq!(send(&host, "first+second", &bundle.pack()).ok()[1], "42");
    let made = Bundle::default().job("gen.py", "copy gen.wasm next.wasm\nwrite next.py.steps print made");
    assert_eq!(send(&host, "gen.py+next.py", &made.pack()).ok()[1], "made");
    // The next bundle finds nothing of it.
    let listed = send(&host, "list", &Bundle::default().job("list", "list").pack()).ok();
    assert_eq!(listed, ["list.steps", "list.wasm", "list ran in 0 seconds"]);
}

#[test]
fn rows_36_to_38_callbacks() {
    let host = host();
    let bundle =
        Bundle::default().job("wait", "print $\nawait callback.raw\nread callback.raw\nawait res.json\nread res.json").pack();
    let upload = Upload::to(&host, "wait", &bundle);
    let job = thread::spawn(move || upload.send());
    let url = wait::until("the job's callback", SOON, || callbacks(&host).pop());
    let post = |url: &str, content: &str| http::send("POST", url, &[("content-type", "text/plain")], content.as_bytes().to_vec());
    for odd in ["/a/b", "/a%2Fb", "/"] {
        assert_eq!(post(&format!("{url}{odd}"), "x").status, 404, "{odd}");
    }
    assert_eq!(post(&format!("{url}/a%00b"), "x").status, 400);
    // No code comes in this way: the secret stands in the log.
    for (name, content) in [("wait.wasm", "x"), ("other.wasm", "x"), ("other", "\0asm")] {
        assert_eq!(post(&format!("{url}/{name}"), content).status, 409, "{name}");
    }
    assert_eq!(http::request("GET", &url, &[]).status, 405);
    let foreign = format!("http://{}/callback/{}", host.address("servo"), "0".repeat(32));
    assert_eq!((post(&foreign, "x").status, post(&foreign, "x").body.as_str()), (404, ""));
    assert_eq!((post(&url, "came").status, post(&url, "came").body.as_str()), (200, ""));
    assert_eq!(post(&format!("{url}/res.json"), "{}").status, 200);
    assert_eq!(job.join().unwrap().ok()[..3], ["$", "came", "{}"]);
    assert_eq!(post(&url, "late").status, 404);
}

/// Callbacks of the jobs under way that have printed `$`: then their folders are there.
fn callbacks(host: &TestHost) -> Vec<String> {
    let running = host.portal("GET", "/v1/jobs", &[]).json()["running"].clone();
    let ids: Vec<&str> = running.as_array().into_iter().flatten().filter_map(|job| job["job"].as_str()).collect();
    let callback = |id: &&str| {
        let job = host.portal("GET", &format!("/v1/jobs/{id}"), &[]).json();
        let log = job["job"]["log"].as_str()?.to_owned();
        let url = log.lines().find_map(|line| line.strip_prefix("$CALLBACK = ").map(str::to_owned));
        url.filter(|_| log.lines().any(|line| line == "$"))
    };
    ids.iter().filter_map(callback).collect()
}

#[test]
fn rows_39_and_40_other_methods_and_paths() {
    let host = host();
    let ask = |method, path: &str| http::request(method, &format!("http://{}{path}", host.address("servo")), &[]);
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        let answer = ask(method, "/run/a.py");
        assert_eq!((answer.status, answer.header("allow")), (405, "POST, OPTIONS"), "{method}");
    }
    let options = ask("OPTIONS", "/run/a.py");
    assert_eq!((options.status, options.header("allow"), options.body.as_str()), (200, "POST, OPTIONS", ""));
    for path in ["/run/", "/run/x/y", "/", "/run/sub%2Fx.py", "/other", "/run"] {
        assert_eq!(ask("POST", path).status, 404, "{path}");
    }
}

#[test]
fn row_41_a_client_may_wait_before_it_sends() {
    let host = host();
    let bundle = Bundle::default().job("a", "print one").pack();
    std::fs::write(host.work().join("upload.tgz"), &bundle).unwrap();
    let signature = ocho_core::signature::Token::new(crate::request::TOKEN).unwrap().sign(&bundle);
    let mut curl = std::process::Command::new("curl");
    curl.current_dir(host.work()).args(["-sS", "-X", "POST", "-F", "tgz=@upload.tgz", "-H", "Expect: 100-continue", "-H"]);
    curl.arg(format!("X-Signature: {signature}")).args(["-H", "Accept: text/plain"]);
    curl.arg(format!("http://{}/run/a", host.address("servo")));
    let said = ocho_tests::command::run(&mut curl, SOON).ok();
    assert!(at_once(&said).ends_with("\none\na ran in 0 seconds"), "{said}");
}

#[test]
fn row_42_jobs_overlap() {
    let host = host();
    // Each goes on once all three are under way.
    let bundle = Bundle::default().job("wait", "print $\nawait callback.raw").pack();
    thread::scope(|scope| {
        let jobs: Vec<_> = (0..3).map(|_| scope.spawn(|| send(&host, "wait", &bundle).ok())).collect();
        let urls = wait::until("three at once", SOON, || Some(callbacks(&host)).filter(|urls| urls.len() == 3));
        for url in urls {
            assert_eq!(http::send("POST", &url, &[("content-type", "text/plain")], b"go".to_vec()).status, 200);
        }
        jobs.into_iter().for_each(|job| assert_eq!(job.join().unwrap(), ["$", "wait ran in 0 seconds"]));
    });
}

#[test]
fn whole_seconds_are_told() {
    let host = host();
    let reply = send(&host, "slow", &Bundle::default().job("slow", "sleep 1500").pack());
    let record = host.portal("GET", &format!("/v1/jobs/{}", reply.run()), &[]).json();
    let log = record["job"]["log"].as_str().unwrap();
    let seconds = log.trim_end().rsplit_once("slow ran in ").and_then(|(_, end)| end.strip_suffix(" seconds")).unwrap();
    assert!(seconds.parse::<u64>().unwrap() >= 1, "{log}");
}

#[test]
fn rows_45_to_47_through_the_prompt() {
    let host = host();
    // The component of a job cannot be small enough for a line, so the folder is packed as users do it.
    let folder = host.work().join("scripts");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(ocho_tests::programs::guest("script"), folder.join("deploy.wasm")).unwrap();
    std::fs::write(folder.join("deploy.py.steps"), "env").unwrap();
    std::fs::write(folder.join("deploy.steps"), "print no\nexit 3").unwrap();
    let words = ["exec", "*servo", "-j", "--force", "run", "~/scripts", "deploy.py", "-v", "k:v", "url:http://h/"];
    let said: serde_json::Value = serde_json::from_str(&host.ocho(&words).ok()).unwrap();
    let pod = said.as_object().unwrap().values().next().unwrap();
    assert_eq!(pod["code"], 0, "{said}");
    let lines: Vec<&str> = pod["stdout"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for line in ["$K = v", "$URL = http://h/", "K=v", "URL=http://h/"] {
        assert!(lines.contains(&line), "{lines:?}");
    }
    assert!(lines.last().unwrap().starts_with("deploy.py ran in "), "{lines:?}");
    let failed = host.ocho(&["exec", "*servo", "-j", "--force", "run", "./scripts", "deploy"]);
    assert!(
        failed.stdout.contains("failure (deploy failed on exit code 3)") && failed.stdout.contains("\"code\": 1"),
        "{failed:?}"
    );
    let few = host.ocho(&["exec", "*servo", "-j", "--force", "run", "./scripts"]);
    assert!(few.stdout.contains("run: error: too few arguments"), "{few:?}");
}

#[test]
fn gzip_of_nothing_is_an_empty_bundle() {
    let host = host();
    assert_eq!(send(&host, "a", &gzip(b"")).failed(), ["failure (unable to find a (check your scripts))"]);
}
