//! `ocho plugin` against a host with a token: each command once, in both forms.

use std::fs;
use std::process::Command;

use ocho_tests::TestHost;
use ocho_tests::command::{self, Ended};
use ocho_tests::programs::{guest, on_path};
use ocho_tests::{ocho, skip, wait};
use serde_json::Value;

use ocho_tests::author::BUILT_WITHIN;

const TOKEN: &str = "secret";

fn plugin(host: &TestHost, token: &str, words: &[&str]) -> Ended {
    let mut ocho = ocho::bare(&host.work());
    ocho.env("OCHOPOD_PROXY", host.address("portal")).env("OCHOPOD_TOKEN", token);
    command::run(ocho.arg("plugin").args(words), BUILT_WITHIN)
}

/// A guest of the tests under a name of its own, in the folder in which `ocho` runs.
fn file(host: &TestHost, component: &str) -> String {
    fs::copy(guest(component), host.work().join(format!("{component}.wasm"))).unwrap();
    format!("{component}.wasm")
}

#[test]
fn the_life_of_a_tool() {
    let host = TestHost::up().token(TOKEN).words(&["--require-signature-256"]).start();
    let run = |words: &[&str]| plugin(&host, TOKEN, words);
    // Signed as the rest of `ocho`.
    let said = || host.ocho(&["hello", "words"]).stdout.trim_end().to_owned();
    let hello = file(&host, "hello");

    // A plan changes nothing.
    let plan = run(&["install", &hello, "--plan"]).ok();
    assert!(plan.lines().any(|line| line.starts_with("revision ") && line.ends_with(" 1")), "{plan}");
    assert!(plan.contains("imports") && plan.contains("none") && plan.contains("memory"), "{plan}");
    assert!(!run(&["ls"]).ok().contains("hello"));

    let installed: Value = serde_json::from_str(&run(&["install", &hello, "--json"]).ok()).unwrap();
    assert_eq!((&installed["state"], &installed["revision"]), (&"active".into(), &1.into()));
    assert_eq!(said(), "hello");
    let listed = run(&["ls"]).ok();
    let row = listed.lines().find(|line| line.starts_with("hello ")).unwrap();
    assert!(row.contains("active") && row.contains("installed"), "{row}");
    let listed: Value = serde_json::from_str(&run(&["ls", "--json"]).ok()).unwrap();
    assert_eq!(listed["version"], 1);

    // A second revision, and back.
    let echo = file(&host, "echo");
    assert!(run(&["install", &echo, "--as", "hello"]).ok().contains("revision 2 is active"));
    assert!(said().contains("words"));
    assert!(run(&["inspect", "hello"]).ok().contains("kept"));
    assert!(run(&["rollback", "hello"]).ok().contains("is active"));
    assert_eq!(said(), "hello");
    assert!(run(&["rollback", "hello", "--to", "2"]).ok().contains("revision 2 is active"));
    assert_eq!(run(&["rollback", "hello", "--to", "77"]).code, 1);

    // Off and on.
    let _ = run(&["disable", "hello"]).ok();
    let why = run(&["why", "hello"]);
    assert!(why.code == 1 && why.stdout.contains("ocho plugin enable hello"), "{why:?}");
    assert_eq!(host.ocho(&["hello"]).code, 1);
    let _ = run(&["enable", "hello"]).ok();
    assert_eq!(run(&["check", "hello"]).code, 0);

    // Limits.
    let limits = run(&["limits", "hello", "--memory", "64MiB", "--wall", "5m"]).ok();
    assert!(limits.contains("64 MiB (set for this tool)") && limits.contains("5 min (set for this tool)"), "{limits}");
    let limits = run(&["limits", "hello", "--memory", "default", "--json"]).ok();
    let limits: Value = serde_json::from_str(&limits).unwrap();
    assert_eq!(
        (&limits["limits"]["memory_bytes"]["override"], &limits["limits"]["wall_ms"]["value"]),
        (&false.into(), &300_000.into())
    );

    let _ = run(&["rm", "hello"]).ok();
    let gone = run(&["inspect", "hello"]);
    assert!(gone.code == 1 && gone.stderr.contains("no tool"), "{gone:?}");
}

#[test]
fn grants_are_given_and_taken() {
    let host = TestHost::up().token(TOKEN).start();
    let run = |words: &[&str]| plugin(&host, TOKEN, words);
    let relay = file(&host, "relay");
    let waits = run(&["install", &relay]);
    assert!(waits.code == 1 && waits.stderr.contains("ocho plugin grant relay proxy/shell"), "{waits:?}");
    assert!(run(&["grant", "relay", "proxy/shell"]).ok().contains("revision 1 is active"));
    let ran = || host.shell("relay ls").ok;
    assert!(ran());
    let _ = run(&["revoke", "relay", "proxy/shell", "--now"]).ok();
    wait::until_so("the tool to be refused", BUILT_WITHIN, || !ran());
    let why = run(&["why", "relay", "--json"]);
    let why: Value = serde_json::from_str(&why.stdout).unwrap();
    assert_eq!((&why["ok"], &why["command"]), (&false.into(), &"ocho plugin grant relay proxy/shell".into()));
    // In one go.
    assert!(run(&["install", &relay, "--as", "relay-too", "--grant", "proxy/shell"]).ok().contains("revision 1 is active"));
}

#[test]
fn names_are_protected_and_strangers_refused() {
    let host = TestHost::up().token(TOKEN).start();
    let hello = file(&host, "hello");
    let protected = plugin(&host, TOKEN, &["install", &hello, "--as", "ls"]);
    assert!(protected.code == 1 && protected.stderr.contains("--force"), "{protected:?}");
    assert!(plugin(&host, TOKEN, &["install", &hello, "--as", "ls", "--force"]).ok().contains("is active"));
    assert_eq!(host.shell("ls").out.trim_end(), "hello");
    let _ = plugin(&host, TOKEN, &["rm", "ls"]).ok();
    assert!(host.shell("ls").out.contains("pods, "));
    for words in [&["ls"][..], &["install", &hello], &["rm", "ls"], &["why", "ls"]] {
        assert_eq!(plugin(&host, "wrong", words).code, 2, "{words:?}");
    }
    fs::write(host.work().join("text.wasm"), "no component").unwrap();
    assert_eq!(plugin(&host, TOKEN, &["install", "text.wasm"]).code, 1);
    // A signature goes along, named or lying beside the file; this host has no key to check it with.
    fs::write(host.work().join("hello.wasm.minisig"), "no signature").unwrap();
    let plan = plugin(&host, TOKEN, &["install", &hello, "--plan"]).ok();
    assert!(plan.contains("the host has no key to check it with"), "{plan}");
    let no_sig = plugin(&host, TOKEN, &["install", &hello, "--sig", "none.minisig"]);
    assert!(no_sig.code == 4 && no_sig.stderr.contains("none.minisig"), "{no_sig:?}");
    let nobody = plugin(&host, TOKEN, &["ls", "--host", "127.0.0.1:1"]);
    assert!(nobody.code == 3, "{nobody:?}");
}

#[test]
fn what_minisign_signed_is_taken_and_nothing_else() {
    const NAME: &str = "what_minisign_signed_is_taken_and_nothing_else";
    if on_path("minisign").is_none() {
        return skip(NAME, "minisign is not installed");
    }
    let room = tempfile::tempdir().unwrap();
    let minisign = |words: &[&str]| {
        let mut minisign = Command::new("minisign");
        command::run(minisign.args(words).current_dir(room.path()), BUILT_WITHIN).ok()
    };
    for maker in ["maker", "stranger"] {
        // `-W`: the secret key has no password, so nobody is asked for one.
        let _ = minisign(&["-G", "-W", "-p", &format!("{maker}.pub"), "-s", &format!("{maker}.key")]);
    }
    let public = fs::read_to_string(room.path().join("maker.pub")).unwrap();
    let key = format!("maker={}", public.lines().nth(1).unwrap());
    let host = TestHost::up().token(TOKEN).words(&["--tool-keys", &key, "--tool-signatures", "required"]).start();
    let run = |words: &[&str]| plugin(&host, TOKEN, words);
    let hello = file(&host, "hello");
    let refused = |words: &[&str], why: &str| {
        let ended = run(words);
        assert!(ended.code == 1 && ended.stderr.contains(why) && ended.stderr.contains("--sig FILE"), "{words:?}: {ended:?}");
    };
    refused(&["install", &hello], "not signed");

    let path = host.work().join(&hello);
    let path = path.to_str().unwrap();
    for (maker, words, why) in [("stranger", &[][..], "a key that this host does not know"), ("maker", &["-l"], "")] {
        let signature = format!("{path}.minisig");
        let key = format!("{maker}.key");
        let _ = minisign(&[&["-S", "-s", &key, "-m", path, "-x", &signature], words].concat());
        if why.is_empty() {
            assert!(run(&["install", &hello]).ok().contains("revision 1 is active"));
        } else {
            refused(&["install", &hello], why);
        }
    }
    // The kind that it makes by itself, beside another file.
    let elsewhere = host.work().join("signature");
    let _ = minisign(&["-S", "-s", "maker.key", "-m", path, "-x", elsewhere.to_str().unwrap()]);
    let plan = run(&["install", &hello, "--as", "greet", "--sig", "signature", "--plan"]).ok();
    assert!(plan.contains("good, by maker"), "{plan}");
    assert!(run(&["install", &hello, "--as", "greet", "--sig", "signature"]).ok().contains("is active"));
    assert!(run(&["inspect", "greet"]).ok().contains("  maker  "));
    assert_eq!(host.ocho(&["greet"]).stdout.trim_end(), "hello");
    // It is good for this component alone.
    let echo = file(&host, "echo");
    refused(&["install", &echo, "--sig", "signature"], "signature");
}
