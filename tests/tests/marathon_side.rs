//! How `ochod serve` finds its Marathon and shows who it is: from the environment, by a name, over TLS, from a file.

use std::fs;

use ocho_tests::marathon::Answer;
use ocho_tests::programs::on_path;
use ocho_tests::tls::Certificates;
use ocho_tests::{FakeMarathon, TestHost, skip};
use serde_json::json;

/// What Marathon says to a deployment.
fn said(host: &TestHost) -> String {
    let said = host.call("deploy c.yml").file("c.yml", "cluster: c\nimage: i\n").send().failure();
    said.rsplit("failed to deploy -> ").next().unwrap().to_owned()
}

fn refusing(word: &'static str) -> FakeMarathon {
    FakeMarathon::start(move |_| Answer::Json(409, json!({"message": word})))
}

#[test]
fn the_seeds_environment_is_enough() {
    let registry = TestHost::up().start();
    let marathon = refusing("found");
    let zookeeper = format!("zk://{}/mesos", registry.address("zookeeper"));
    let host = TestHost::serve_bare().env("ochopod_zk", &zookeeper).env("ochopod_token", "s3cret");
    let mut host = host.env("MARATHON_MASTER", &format!("127.0.0.1:9, http://{}", marathon.address())).start();
    assert_eq!(host.shell("ls").failure(), "failure -> signature missing (make sure you define $OCHOPOD_TOKEN)");
    host.signs_with("s3cret");
    assert_eq!(said(&host), "submission failed (HTTP 409): found");
    // It is among the pods of the registry that the environment named.
    assert!(host.shell("grep *portal -j").json().as_object().unwrap().len() >= 2);
}

#[test]
fn a_name_leads_to_the_masters() {
    let registry = TestHost::up().start();
    let marathon = refusing("found by name");
    let port = marathon.address().rsplit(':').next().unwrap().to_owned();
    let host = TestHost::serve_alone(&registry.address("zookeeper"));
    let host = host.words(&["--mesos-dns", &format!("localhost:{port}")]).start();
    assert_eq!(said(&host), "submission failed (HTTP 409): found by name");
    drop(host);
    let host = TestHost::serve_alone(&registry.address("zookeeper")).words(&["--mesos-dns", "nowhere.invalid"]).start();
    let text = said(&host);
    assert!(text.contains("`nowhere.invalid:8080` leads to no Marathon") && text.contains("set --marathon"), "{text}");
}

#[test]
fn tls_and_a_password_from_a_file_of_options() {
    if on_path("openssl").is_none() {
        return skip("tls_and_a_password_from_a_file_of_options", "openssl is not installed");
    }
    let registry = TestHost::up().start();
    let certificates = Certificates::make();
    // `op:s3cret`, as HTTP wants it.
    let marathon = serve_tls(&certificates, "Basic b3A6czNjcmV0");
    let with = |credentials: &str, ca: &str| {
        let options = format!(
            "[serve]\nmarathon = [\"127.0.0.1:9\", \"https://{marathon}\"]\nmarathon-credentials = \"{credentials}\"\n\
             marathon-ca = \"{ca}\"\nzookeeper = \"{}\"\n",
            registry.address("zookeeper")
        );
        let file = certificates.folder().join("ochod.toml");
        fs::write(&file, options).unwrap();
        TestHost::serve_bare().words(&["--config", file.to_str().unwrap()]).start()
    };
    assert_eq!(said(&with("op:s3cret", "ca.pem")), "submission failed (HTTP 409): welcome");
    let text = said(&with("op:wrong", "ca.pem"));
    assert!(text.starts_with("submission failed (HTTP 401)"), "{text}");
    let text = said(&with("op:s3cret", "other.pem"));
    assert!(text.contains("certificate"), "{text}");
}

#[test]
fn a_token_is_shown_as_it_is_wanted() {
    if on_path("openssl").is_none() {
        return skip("a_token_is_shown_as_it_is_wanted", "openssl is not installed");
    }
    let registry = TestHost::up().start();
    let certificates = Certificates::make();
    let ca = certificates.authority().display().to_string();
    for (option, header) in [("OCHOD_MARATHON_TOKEN", "Bearer t0ken"), ("OCHOD_MARATHON_DCOS_TOKEN", "token=t0ken")] {
        let master = format!("https://{}", serve_tls(&certificates, header));
        let host = TestHost::serve(&master, &registry.address("zookeeper")).words(&["--marathon-ca", &ca]);
        let host = host.env(option, "t0ken").start();
        assert_eq!(said(&host), "submission failed (HTTP 409): welcome", "{option}");
        assert!(!host.log().contains("t0ken"));
    }
}

/// A Marathon with TLS that refuses what it is asked, politely to who shows this header.
fn serve_tls(certificates: &Certificates, authorization: &'static str) -> String {
    let master = certificates.serve(move |request| {
        let known = request.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: {authorization}")));
        if known { ("409 Conflict", r#"{"message":"welcome"}"#) } else { ("401 Unauthorized", "{}") }
    });
    master.to_string()
}
