//! `deploy/`: what puts the host on a Marathon cluster. No image is built here; the files are checked for their form.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use ocho_tests::command::run;
use ocho_tests::{Pods, TestHost, http, programs, wait};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(180);

fn file(name: &str) -> String {
    fs::read_to_string(programs::root().join("deploy").join(name)).unwrap()
}

/// The instructions of a Dockerfile, with their lines joined.
fn instructions() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in file("Dockerfile").lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let (text, more) = line.strip_suffix('\\').map_or((line, false), |text| (text, true));
        if goes_on {
            found.last_mut().unwrap().1.push_str(text);
        } else {
            let (word, rest) = text.split_once(' ').unwrap_or_else(|| panic!("`{line}` is no instruction"));
            found.push((word.to_owned(), rest.trim().to_owned()));
        }
        goes_on = more;
    }
    assert!(!goes_on, "the last line ends with a backslash");
    found
}

fn one(word: &str) -> String {
    let all = instructions();
    let mut found = all.into_iter().filter(|(found, _)| found == word);
    let only = found.next().unwrap_or_else(|| panic!("no {word}")).1;
    assert!(found.next().is_none(), "{word} twice");
    only
}

/// What the image sets.
fn variables() -> BTreeMap<String, String> {
    let pairs = one("ENV");
    let pairs = pairs.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn app() -> Value {
    serde_json::from_str(&file("ocho-proxy.json")).unwrap()
}

#[test]
fn the_instructions_read() {
    let known =
        ["FROM", "RUN", "COPY", "ENV", "EXPOSE", "USER", "WORKDIR", "STOPSIGNAL", "ENTRYPOINT", "CMD", "HEALTHCHECK", "LABEL"];
    let all = instructions();
    assert_eq!(all[0].0, "FROM");
    for (word, rest) in &all {
        assert!(known.contains(&word.as_str()), "`{word}` is no instruction");
        if rest.starts_with('[') {
            let words: Vec<String> = serde_json::from_str(rest).unwrap_or_else(|error| panic!("{word} {rest}: {error}"));
            assert!(!words.is_empty());
        }
    }
    // A host that is not root cannot be made root by a tool that breaks out.
    assert_eq!(one("USER"), "ocho");
}

#[test]
fn the_image_starts_what_there_is() {
    let words: Vec<String> =
        [one("ENTRYPOINT"), one("CMD")].iter().flat_map(|list| serde_json::from_str::<Vec<String>>(list).unwrap()).collect();
    let (name, words) = words.split_first().unwrap();
    assert!(one("COPY").contains(&format!("target/release/{}", name.rsplit('/').next().unwrap())));
    let help = run(Command::new(programs::program(name.rsplit('/').next().unwrap())).args(words).arg("--help"), SOON).ok();
    // A narrow terminal breaks the lines anywhere.
    let help: Vec<&str> = help.split_whitespace().collect();
    let help = help.join(" ");
    for (variable, _) in variables() {
        assert!(help.contains(&format!("[env: {variable}=")), "no option has ${variable}");
    }
}

#[test]
fn the_image_and_the_application_speak_of_the_same_ports() {
    let ports: Vec<String> = one("EXPOSE").split(' ').map(str::to_owned).collect();
    let mapped = app()["container"]["docker"]["portMappings"].clone();
    let mapped: Vec<String> = mapped.as_array().unwrap().iter().map(|port| port["containerPort"].to_string()).collect();
    assert_eq!(ports, mapped);
    let set = variables();
    for name in ["OCHOD_PORTAL", "OCHOD_SERVO", "OCHOD_PORTAL_CONTROL", "OCHOD_SERVO_CONTROL"] {
        assert!(ports.iter().any(|port| set[name].rsplit(':').next() == Some(port)), "{name}");
    }
}

#[test]
fn a_host_in_a_container_tells_the_ports_of_its_machine() {
    let registry = TestHost::up().start();
    // The image's variables, with addresses that a test may take, and what Marathon sets for a task in a container.
    let machine = [
        ("HOST", "192.0.2.7"),
        ("MESOS_TASK_ID", "ocho-proxy.1"),
        ("MARATHON_APP_ID", "/ocho-proxy"),
        ("ochopod_token", "s3cret"),
    ];
    let free = || ocho_tests::server::nobody().port().to_string();
    let (portal, control) = (free(), free());
    let mut plan = TestHost::serve(&registry.address("marathon"), &registry.address("zookeeper"));
    for (name, value) in machine {
        plan = plan.env(name, value);
    }
    plan = plan
        .env(&format!("PORT_{portal}"), "31900")
        .env(&format!("PORT_{control}"), "31808")
        .env("OCHOD_PORTAL_CONTROL", &control);
    let _host = plan.listen("portal", &format!("127.0.0.1:{portal}")).start();
    let pods = Pods::join(&registry.address("zookeeper"));
    let own = || pods.registrations("marathon.portal").into_iter().find(|pod| pod["ip"] == "192.0.2.7");
    let found = wait::until("the registration", SOON, own);
    assert_eq!(found["ports"], json!({"8080": 31808, "9000": 31900}));
    assert_eq!((&found["application"], &found["task"]), (&json!("ocho-proxy"), &json!("ocho-proxy.1")));
}

#[test]
fn marathon_accepts_the_application() {
    let host = TestHost::up().words(&["--docker", "/nonexistent/docker.sock"]).start();
    let mut app = app();
    assert_eq!(app["container"]["docker"]["image"].as_str().unwrap().rsplit(':').next(), Some(env!("CARGO_PKG_VERSION")));
    // Nothing is to run here.
    app["instances"] = json!(0);
    let url = format!("http://{}/v2/apps", host.address("marathon"));
    let answer = http::send("POST", &url, &[("content-type", "application/json")], app.to_string().into_bytes());
    assert_eq!(answer.status, 201, "{}", answer.body);
    let (status, accepted) = host.marathon("/v2/apps/ocho-proxy");
    assert_eq!((status, &accepted["app"]["env"]), (200, &app["env"]));
    assert_eq!(accepted["app"]["cpus"], json!(1.0));
}
