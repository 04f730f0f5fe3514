//! What `ocho init` writes deploys on `ochod up` as it is.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use ocho_tests::command::run;
use ocho_tests::programs::on_path;
use ocho_tests::{TestHost, ocho, skip, wait};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(300);

/// Begins a pod in the working folder, and puts its image where the host looks.
fn begin(host: &TestHost, kind: &str, name: &str) {
    let said = run(ocho::bare(&host.work()).args(["init", kind, "--name", name, "--into", name]), SOON).ok();
    assert_eq!(said, format!("template ready in {name}/\n"));
    fs::rename(host.work().join(name).join("images").join(name), host.home().join("images").join(name)).unwrap();
}

/// The title of a page; nothing while its server is not there.
fn title(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    page.lines().find(|line| line.starts_with("<h1>")).map(str::to_owned)
}

fn json(host: &TestHost, words: &[&str]) -> Value {
    serde_json::from_str(&host.ocho(words).ok()).unwrap()
}

#[test]
fn a_begun_worker_deploys_as_it_is() {
    let host = TestHost::up().token("s3cret").start();
    begin(&host, "default", "crew");
    assert_eq!(host.ocho(&["deploy", "crew/crew.yml", "-p", "2", "--strict", "-t", "300"]).ok(), "100% success (+2 pods)\n");
    let log = || host.ocho(&["log", "*crew"]).ok();
    wait::until_so("both shares of the work", SOON, || {
        let log = log();
        ["share 0 of 2", "share 1 of 2"].iter().all(|share| log.contains(share))
    });
}

#[test]
fn begun_web_servers_deploy_as_they_are_and_know_each_other() {
    if on_path("python3").or_else(|| on_path("busybox")).is_none() {
        return skip("begun_web_servers_deploy_as_they_are_and_know_each_other", "neither python3 nor busybox is installed");
    }
    let host = TestHost::up().token("s3cret").start();
    begin(&host, "web", "shop");
    assert_eq!(host.ocho(&["deploy", "shop/shop.yml", "-p", "3", "--strict", "-t", "300"]).ok(), "100% success (+3 pods)\n");
    let ports = json(&host, &["port", "80", "*shop", "-j"]);
    let ports: Vec<u16> =
        ports.as_object().unwrap().values().map(|pod| pod["ports"].as_str().unwrap().parse().unwrap()).collect();
    let wanted: BTreeSet<String> = (0..3).map(|index| format!("<h1>shop: pod {index} of 3</h1>")).collect();
    // A pod that hears of another one writes its page anew and starts its server again.
    wait::until_so("three pages that name three pods", SOON, || {
        json(&host, &["grep", "*shop", "-j"]).as_object().unwrap().values().all(|pod| pod["process"] == "running")
            && ports.iter().filter_map(|port| title(*port)).collect::<BTreeSet<_>>() == wanted
    });
    assert_eq!(host.ocho(&["exec", "*shop", "--force", "size", "shop/shop.yml"]).ok().matches(" shop.yml").count(), 3);
}
