//! The two example bundles on `ochod up`, by the very commands that `docs/jobs.md` prints; and jobs that know nothing of us.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ocho_tests::programs::{folder, guest, python_job, root, target};
use ocho_tests::{TestHost, command, skip};

use crate::bundle::Bundle;
use crate::request::{TOKEN, Upload, folders_left, host, plan, send};

/// A component of Python is compiled at its first run, on a machine that may have other work.
const WITHIN: Duration = Duration::from_secs(900);

fn host_with_a_web_image() -> TestHost {
    let entrypoint = fs::read_to_string(root().join("examples/images/web/entrypoint")).unwrap();
    plan().image("web", &entrypoint).start()
}

/// The first commands of a chapter of the documentation.
fn printed(chapter: &str) -> String {
    let page = fs::read_to_string(root().join("docs/jobs.md")).unwrap();
    let (_, text) = page.split_once(&format!("\n## {chapter}\n")).expect("the page has the chapter");
    let (_, block) = text.split_once("\n```sh\n").expect("the chapter prints commands");
    block.split_once("\n```").expect("the block ends").0.to_owned()
}

/// Runs commands as a person would who works with this host.
#[track_caller]
fn sh(host: &TestHost, commands: &str) -> String {
    let commands = commands
        .replace("target/jobs/", &format!("{}/jobs/", target().display()))
        .replace("examples/", &format!("{}/examples/", root().display()))
        .replace("http://localhost:5000", &format!("http://{}", host.address("servo")))
        .replace("my-cluster", &host.address("portal"));
    let path = format!("{}:{}", folder().display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &commands]).current_dir(host.work());
    shell.env("SERVO_TOKEN", TOKEN).env("HOME", host.work()).env("PATH", path);
    for name in ["OCHOPOD_TOKEN", "OCHOPOD_PROXY", "OCHO_COMPAT"] {
        shell.env_remove(name);
    }
    command::run(&mut shell, WITHIN).ok()
}

#[test]
fn the_bundle_in_rust_runs_as_documented() {
    let host = host_with_a_web_image();
    assert_eq!(sh(&host, &printed("The examples")), "");
    let curl = printed("With curl");
    let said = sh(&host, &curl.replace("/deploy+test", "/clusters"));
    assert!(said.contains("\nmarathon.portal: 1 of 1 pods run\n"), "{said}");
    for names in ["/deploy+test", "/deploy.py+test.py"] {
        let said = sh(&host, &curl.replace("/deploy+test", names));
        assert!(said.contains("\n2 pods of test.web are up\n") && said.contains(" answers\n"), "{said}");
        assert!(said.lines().last().unwrap().starts_with("test"), "{said}");
    }
    let both = printed("With `ocho`");
    let (run, exec) = both.split_once('\n').unwrap();
    let said = sh(&host, run);
    assert!(said.contains("$STAGE = prod\n") && said.contains("\ntest ran in "), "{said}");
    let said = sh(&host, &exec.replace("--force", "-t 300 --force"));
    assert!(said.contains("(exit code 0)") && said.contains(" $STAGE = prod\n") && said.contains(" answers\n"), "{said}");
    let killed = host.shell("kill test.web --force");
    assert!(killed.ok, "{}", killed.out);
    assert_eq!(folders_left(&host), [""; 0]);
}

#[test]
fn the_bundle_in_python_runs_as_documented() {
    let jobs = ["clusters", "deploy"].map(|name| Some((name, python_job(name)?)));
    let [Some(clusters), Some(deploy)] = jobs else {
        return skip("the_bundle_in_python_runs_as_documented", "componentize-py could not be installed");
    };
    let host = host_with_a_web_image();
    let bundle = host.work().join("my-jobs");
    fs::create_dir(&bundle).unwrap();
    fs::copy(root().join("examples/web.yml"), bundle.join("web.yml")).unwrap();
    for (name, component) in [clusters, deploy] {
        fs::copy(component, bundle.join(format!("{name}.wasm"))).unwrap();
    }
    let said = sh(&host, &printed("With curl").replace("/deploy+test", "/clusters.py+deploy.py"));
    assert!(said.contains("\nmarathon.portal: 1 of 1 pods run\n") && said.contains("\nclusters.py ran in "), "{said}");
    assert!(said.contains("\n2 pods of test.web are up\n"), "{said}");
    assert!(said.matches(" answers\n").count() == 2 && said.contains("\ndeploy.py ran in "), "{said}");
    let both = printed("With `ocho`");
    let run = both.lines().next().unwrap().replace("deploy test", "clusters deploy").replace("stage:prod", "pods:1");
    let said = sh(&host, &run);
    assert!(said.contains("$PODS = 1\n") && said.contains("\n1 pods of test.web are up\n"), "{said}");
    let killed = host.shell("kill test.web --force");
    assert!(killed.ok, "{}", killed.out);
}

/// A program for no system in particular.
const PLAIN: &str = r#"
fn main() {
    println!("{:?} for {}", std::env::args().collect::<Vec<_>>(), std::env::var("STAGE").unwrap());
    println!("{}", std::fs::read_to_string("note").unwrap());
    std::fs::write("made", "by a plain program").unwrap();
    assert!(std::fs::read("/etc/hostname").is_err() && std::fs::read_dir("..").is_err());
    assert!(std::net::TcpStream::connect("127.0.0.1:1").is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied));
    if std::env::var_os("FAIL").is_some() {
        eprintln!("as it should");
        std::process::exit(7);
    }
}
"#;

#[test]
fn a_plain_command_is_a_job() {
    let host = host();
    let work = host.work();
    fs::write(work.join("plain.rs"), PLAIN).unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--target", "wasm32-wasip2", "-C", "strip=symbols", "-o"]).arg(work.join("plain.wasm"));
    // Where the project is, since its toolchain is the one that has the target.
    let _ = command::run(rustc.arg(work.join("plain.rs")).current_dir(root()), WITHIN).ok();
    let bundle = Bundle::default().file("plain.wasm", fs::read(work.join("plain.wasm")).unwrap()).file("note", "noted");
    let bundle = bundle.job("next", "read made");
    let both = Upload::to(&host, "plain.py+next", &bundle.pack()).header("x-var-stage", "prod");
    let log = both.send().ok();
    assert_eq!(log[1..3], [r#"["plain.py"] for prod"#, "noted"]);
    assert!(log.contains(&"by a plain program".to_owned()), "{log:?}");
    // A command of 0.2 ends well or not: the number stays with it.
    let log = both.header("x-var-fail", "1").send().failed();
    assert!(log.contains(&"as it should".to_owned()), "{log:?}");
    assert_eq!(log.last().unwrap(), "failure (plain.py failed on exit code 1)");
    // One of 0.2 that asks the proxy.
    let relay = Bundle::default().file("relay", fs::read(guest("relay02")).unwrap());
    let log = send(&host, "relay", &relay.pack()).failed();
    assert!(log[0].starts_with("nothing ran: "), "{log:?}");
}
