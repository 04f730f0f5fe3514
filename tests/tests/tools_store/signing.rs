//! Signatures: offered or required, good, wrong, of strangers, withdrawn.

use std::time::Duration;

use ocho_tests::{TestHost, wait};
use serde_json::json;

use crate::api::{Signed, install, install_with, roll_back, show};
use crate::components::say;
use crate::keys::{Signer, query};

fn key(name: &str, signer: &Signer) -> String {
    format!("{name}={}", signer.key())
}

#[test]
fn offered_a_signature_must_be_good_and_need_not_come() {
    let (maker, other, stranger) = (Signer::new(1), Signer::new(2), Signer::new(3));
    let keys = format!("{},{}", key("maker", &maker), key("other", &other));
    let host = TestHost::up().words(&["--tool-keys", &keys]).start();
    let put = |tool: &str, component: &[u8], signature: &str| install(&host, tool, &query(signature), component);
    let component = say("x", &[]);
    install(&host, "unsigned", "", &component).done();
    let done = put("x", &component, &maker.sign(&component)).done();
    let signature = json!({"state": "good", "key": "maker", "comment": "timestamp:1800000000\tfile:tool.wasm"});
    assert_eq!(done["plan"]["signature"], signature);
    assert_eq!(show(&host, "x")["revisions"][0]["key"], "maker");
    put("old-format", &component, &other.sign_as_before(&component)).done();
    let said = put("y", &component, &stranger.sign(&component)).refused(403, "signature");
    assert_eq!(said, "the signature is by a key that this host does not know; it knows `maker`, `other`");
    let said = put("y", &say("changed", &[]), &maker.sign(&component)).refused(403, "signature");
    assert!(said.starts_with("the signature by `maker` is not one of this component"), "{said}");
    put("y", &component, "garbage").refused(403, "signature");
    install(&host, "y", "signature=no-base64-!", &component).refused(400, "request");
    // In a header it would be covered by no signature of a request: better refused than overlooked.
    install_with(&host, "y", "", &component, &[("x-ocho-minisig", "dW50cnVzdGVk")]).refused(400, "request");
    // A name belongs to who signed it.
    let upgrade = say("upgrade", &[]);
    let said = install(&host, "x", "", &upgrade).refused(409, "protected");
    assert!(said.starts_with("the name `x` belongs to what `maker` signed, and this is not"), "{said}");
    put("x", &upgrade, &other.sign(&upgrade)).refused(409, "protected");
    put("x", &upgrade, &maker.sign(&upgrade)).done();
    assert_eq!(host.shell("x").success(), "upgrade");
    // An unsigned name belongs to nobody.
    put("unsigned", &upgrade, &maker.sign(&upgrade)).done();
}

#[test]
fn a_signature_cannot_be_taken_off_on_the_way() {
    let maker = Signer::new(1);
    let host = TestHost::up().token("s3cret").words(&["--tool-keys", &key("maker", &maker)]).start();
    let component = say("x", &[]);
    let path = format!("/v1/tools/x?{}", query(&maker.sign(&component)));
    let upload = Signed::by("s3cret", &path, &component);
    let stripped = upload.send(&host, "/v1/tools/x", component.clone());
    assert_eq!(stripped.status, 401, "{}", stripped.body);
    let done = upload.send(&host, &path, component);
    assert_eq!((done.status, &done.json()["plan"]["signature"]["key"]), (200, &json!("maker")), "{}", done.body);
}

#[test]
fn required_nothing_unsigned_runs() {
    let maker = Signer::new(1);
    let words = ["--tool-signatures", "required", "--tool-keys", &key("maker", &maker)];
    let host = TestHost::up().words(&words).start();
    let component = say("x", &[]);
    let said = install(&host, "x", "", &component).refused(403, "signature");
    assert_eq!(said, "the component is not signed; this host takes only what is signed by `maker`");
    let signature = maker.sign(&component);
    install(&host, "x", &query(&signature), &component).done();
    assert_eq!(host.shell("x").success(), "x");
    assert!(host.shell("ls").ok, "the host's own tools came with the host");
    // In the folder the signature lies beside the file.
    host.add_tool("filed", &component);
    wait::until_so("the refusal", Duration::from_secs(30), || host.shell("filed").out.contains("is not signed"));
    std::fs::write(host.home().join("tools/filed.wasm.minisig"), signature).unwrap();
    wait::until_so("the file's tool", Duration::from_secs(30), || host.shell("filed").out == "x");
}

#[test]
fn a_key_that_is_withdrawn_takes_its_tools_with_it() {
    let (maker, other) = (Signer::new(1), Signer::new(2));
    let keys = format!("{},{}", key("maker", &maker), key("other", &other));
    let mut host = TestHost::up().env("OCHOD_TOOL_SIGNATURES", "required").env("OCHOD_TOOL_KEYS", &keys).start();
    let component = |text| say(text, &[]);
    for (tool, text, signer) in [("x", "one", &maker), ("x", "two", &maker), ("y", "y", &other)] {
        let wasm = component(text);
        install(&host, tool, &query(&signer.sign(&wasm)), &wasm).done();
    }
    host.crash();
    let host = host.set_env("OCHOD_TOOL_KEYS", &key("other", &other)).restart();
    let said = host.shell("x").failure();
    assert!(said.contains("the signature is by a key that this host does not know; it knows `other`"), "{said}");
    roll_back(&host, "x", Some(1)).refused(409, "no-revision");
    assert_eq!(host.shell("y").success(), "y");
}

#[test]
fn a_configuration_that_nothing_could_satisfy_is_refused() {
    let ended = TestHost::refused(&["up", "--tool-signatures", "required"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("--tool-signatures is `required` and there is no key"), "{}", ended.stderr);
    for words in [["--tool-keys", "maker"], ["--tool-keys", "maker=abc"], ["--tool-signatures", "perhaps"]] {
        let ended = TestHost::refused(&["up", words[0], words[1]]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
}
