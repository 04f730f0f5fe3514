//! The example bundle on `ochod up`, from curl as the documentation prints it, and from `ocho run`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ocho_tests::programs::{job, root};
use ocho_tests::{TestHost, command, ocho};

use crate::request::{TOKEN, plan};

const WITHIN: Duration = Duration::from_secs(180);

fn host_with_a_web_image() -> TestHost {
    let entrypoint = fs::read_to_string(root().join("examples/images/web/entrypoint")).unwrap();
    let host = plan().image("web", &entrypoint).start();
    let folder = host.work().join("my-jobs");
    fs::create_dir(&folder).unwrap();
    for name in ["clusters", "deploy", "test"] {
        fs::copy(job(name), folder.join(format!("{name}.wasm"))).unwrap();
    }
    fs::copy(root().join("examples/web.yml"), folder.join("web.yml")).unwrap();
    host
}

/// As in `docs/jobs.md`.
fn curl(host: &TestHost, names: &str) -> String {
    let lines = format!(
        "cd my-jobs && tar zcf ../upload.tgz * && cd ..
         HASH=$(openssl dgst -sha1 -hmac \"$SERVO_TOKEN\" upload.tgz)
         curl -sS -X POST -F tgz=@upload.tgz -H \"X-Signature: sha1=${{HASH##* }}\" -H 'Accept: text/plain' \\
              http://{}/run/{names}",
        host.address("servo")
    );
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &lines]).current_dir(host.work()).env("SERVO_TOKEN", TOKEN);
    command::run(&mut shell, WITHIN).ok()
}

#[test]
fn the_examples_run_from_curl_and_from_ocho() {
    let host = host_with_a_web_image();
    let said = curl(&host, "clusters.py");
    assert!(said.contains("\nmarathon.portal: 1 of 1 pods run\n"), "{said}");
    let said = curl(&host, "deploy.py+test.py");
    assert!(said.contains("\n2 pods of test.web are up\ndeploy.py ran in "), "{said}");
    assert!(said.matches(" answers\n").count() == 2 && said.contains("\ntest.py ran in "), "{said}");

    let mut run = ocho::bare(&host.work());
    let portal = host.address("portal");
    run.args(["run", "--host", &portal, "--follow", "my-jobs", "test", "clusters", "-v", "namespace:test"]);
    let said = command::run(&mut run, WITHIN).ok();
    assert!(said.contains("$NAMESPACE = test\n") && said.contains("test.web: 2 of 2 pods run\n"), "{said}");
    let killed = host.shell("kill test.web --force");
    assert!(killed.ok, "{}", killed.out);
}
