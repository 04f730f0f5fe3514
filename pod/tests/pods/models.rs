//! Whole pods with a model: one that behaves, and one that does what no component should.

use std::process::Command;

use ocho_tests::command::run;
use ocho_tests::programs::{guest, program, target};
use ocho_tests::wait::{until, until_so};
use serde_json::{Value, json};

use crate::http::request;
use crate::lab::{Lab, Pod, SOON};

/// The description of a pod with the guest `model`, whose settings are `settings`.
fn description(settings: &str, more: &str) -> String {
    limited("", settings, more)
}

/// The same with limits. Those that a test does not mean to reach are far away: an honest call on a busy machine must not meet them.
fn limited(limits: &str, settings: &str, more: &str) -> String {
    let file = guest("model").display().to_string();
    let ample = [("cpu", "cpu = \"30s\", "), ("timeout", "timeout = \"50s\", ")];
    let ample: String = ample.iter().filter(|(name, _)| !limits.contains(name)).map(|(_, limit)| *limit).collect();
    format!("model = {{ file = \"{file}\", memory_mib = 16, {limits}{ample}settings = {{ {settings} }} }}\n{more}")
}

fn start(lab: &Lab, cluster: &str, nth: usize, description: &str) -> Pod {
    let home = lab.folder().join(format!("{cluster}-{nth}"));
    std::fs::create_dir_all(&home).unwrap();
    let file = lab.file(&format!("{cluster}.toml"), description);
    lab.start_program(&program("ochopod-model"), &home, cluster, &["run", &file.display().to_string()], &[])
}

fn exec(pod: &Pod, line: &str) -> Value {
    request(pod.port, "POST", "/exec", &[("X-Shell", line)], b"").expect("the pod answers").json()
}

#[test]
fn a_model_is_part_of_a_pod_from_its_first_start_to_its_end() {
    let Some(lab) = Lab::open("a_model_is_part_of_a_pod_from_its_first_start_to_its_end") else { return };
    let text = description(
        "",
        "[process]\nenvironment = { SIZE = \"{{ size }}\" }\n[cluster]\ndamper = \"500ms\"\n[[needs]]\npods = 2\n[metrics]\ncommand = \"echo {\\\"own\\\":1}\"\n\
         [check]\ncommand = \"true\"\nevery = \"300ms\"\n[probe]\ncommand = \"true\"\nevery = \"300ms\"\n[tools.count]\nmodel = true\n",
    );
    let mut pods: Vec<Pod> = (0..2).map(|nth| start(&lab, "web", nth, &text)).collect();
    for (nth, pod) in pods.iter().enumerate() {
        pod.wait_for("process", "running");
        until_so("what the model said", SOON, || pod.output().contains("the model says 2 pods"));
        // One instance: it was initialized, asked whether it can, as often as its leader had to, and then to configure itself.
        let written = std::fs::read_to_string(lab.folder().join(format!("web-{nth}/model.txt"))).unwrap();
        assert!(written.parse::<u32>().is_ok_and(|call| call >= 3), "{written}");
        pod.wait_for_lines(&format!("INFO - model: configured at call {written}"), 1);
        // The description's metrics and the model's; the instance remembers.
        let calls = until("the model's metrics", SOON, || pod.info()["metrics"]["calls"].as_u64().filter(|calls| *calls > 5));
        assert_eq!((calls > 5, &pod.info()["metrics"]["own"]), (true, &json!(1)));
    }
    // The probe has an instance of its own each time.
    until_so("the model's status", SOON, || pods.iter().any(|pod| pod.info()["status"] == "2 pods, call 2"));
    let upload = "--x\r\nContent-Disposition: form-data; name=\"a.txt\"; filename=\"f\"\r\n\r\ncontent\r\n--x--\r\n";
    let headers = [("X-Shell", "count one 'two three'"), ("Content-Type", "multipart/form-data; boundary=x")];
    let answer = request(pods[0].port, "POST", "/exec", &headers, upload.as_bytes()).unwrap().json();
    assert_eq!(answer, json!({"code": 3, "stdout": ["one|two three", "a.txt", "call 2"], "stderr": ["e"]}));
    assert_eq!(exec(&pods[0], "count 'open")["code"], 1);
    assert_eq!(pods.iter().map(Pod::starts).collect::<Vec<_>>(), [1, 1]);
    let (code, output) = pods.remove(0).stop();
    assert_eq!(code, 0);
    assert!(output.contains("finalized at call"), "{output}");
}

/// What a hostile model does, the limit that it is to meet, and how the fence tells it.
const HOSTILE: [(&str, &str, &str); 5] = [
    ("spin", "cpu = \"300ms\", ", "the model used more than its 0.3 s of CPU time"),
    ("trap", "", "the model trapped: "),
    ("grow", "", "the model ran out of its 16 MiB of memory"),
    ("sleep", "timeout = \"2s\", ", "the model ran longer than its limit of 2 s"),
    ("flood", "", "the model printed more than it may"),
];

#[test]
fn a_hostile_model_is_ended_and_its_pod_carries_on() {
    let Some(lab) = Lab::open("a_hostile_model_is_ended_and_its_pod_carries_on") else { return };
    // From its fourth call on an instance misbehaves in each check; the next instance passes its first one.
    let hostile = |mode: &str, limits: &str| {
        // Two failures in a row would be enough to tell; a third is for an honest call that a machine at a standstill made late.
        let more = "[check]\ncommand = \"true\"\nevery = \"200ms\"\nfailures = 3\nwarm_up = 0\n";
        start(&lab, mode, 0, &limited(limits, &format!("hook = \"sanity-check\", mode = \"{mode}\", late = true"), more))
    };
    let pods: Vec<Pod> = HOSTILE.iter().map(|(mode, limits, _)| hostile(mode, limits)).collect();
    for (pod, (mode, _, reason)) in pods.iter().zip(HOSTILE) {
        pod.wait_for("process", "running");
        until_so(&format!("{mode}: `{reason}`"), SOON, || pod.count(reason) >= 2);
        assert_eq!(
            (pod.code("/control/signal"), exec(pod, "shell echo here")["stdout"].clone()),
            (200, json!(["here"])),
            "{mode}"
        );
        // The check after it met a fresh instance.
        let fresh = || pod.info()["metrics"]["calls"].as_u64().is_some_and(|calls| calls < 4);
        until_so(&format!("{mode}: metrics of a fresh instance in {}\n{}", pod.info(), pod.output()), SOON, fresh);
        assert_eq!((pod.info()["process"].as_str(), pod.starts()), (Some("running"), 1), "{mode}");
    }
}

#[test]
fn a_model_that_cannot_configure_its_pod_is_asked_again() {
    let Some(lab) = Lab::open("a_model_that_cannot_configure_its_pod_is_asked_again") else { return };
    let cases = [
        ("refusing", "hook = \"can-configure\", mode = \"refuse\"", "answered check with 406", "as wanted"),
        ("trapping", "hook = \"configure\", mode = \"trap\"", "answered on with 406", "the model trapped"),
        ("leaving", "path = \"../outside.txt\"", "answered on with 406", "is not below the folder of the process"),
    ];
    let pods: Vec<Pod> = cases.iter().map(|case| start(&lab, case.0, 0, &description(case.1, ""))).collect();
    for (pod, (name, _, status, reason)) in pods.iter().zip(cases) {
        until_so(&format!("{name}: a status with `{status}`"), SOON, || {
            pod.try_info().is_some_and(|info| info["status"].as_str().is_some_and(|said| said.contains(status)))
        });
        until_so(&format!("{name}: {reason}"), SOON, || pod.count(reason) >= 2);
        assert_eq!((pod.info()["process"].as_str(), pod.starts()), (Some("stopped"), 0), "{name}");
    }
    assert!(!lab.folder().join("outside.txt").exists());
}

#[test]
fn a_tool_of_a_model_that_traps_says_so() {
    let Some(lab) = Lab::open("a_tool_of_a_model_that_traps_says_so") else { return };
    let pod = start(
        &lab,
        "web",
        0,
        &description("hook = \"tool\", mode = \"trap\"", "[tools.count]\nmodel = true\n[tools.other]\nmodel = true\n"),
    );
    pod.wait_for("process", "running");
    let answer = exec(&pod, "count");
    let text = answer["stdout"][0].as_str().unwrap();
    assert!(answer["code"] == 1 && text.starts_with("unexpected failure -> the model trapped: "), "{text}");
    assert_eq!(pod.info()["process"], "running");
}

/// The output of a check with exit code 2.
fn refused(program: &std::path::Path, file: &std::path::Path) -> String {
    let ended = run(Command::new(program).arg("check").arg(file), SOON);
    assert_eq!(ended.code, 2, "{}", ended.stdout);
    ended.stderr
}

#[test]
fn a_check_tries_the_model_too() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let (plain, with_models) = (std::path::Path::new(env!("CARGO_BIN_EXE_ochopod")), program("ochopod-model"));
    std::fs::copy(guest("model"), folder.path().join("model.wasm")).unwrap();
    std::fs::copy(guest("hello"), folder.path().join("hello.wasm")).unwrap();
    write("garbage.wasm", b"garbage");
    let good = write("good.toml", b"# A pod.\nmodel = \"model.wasm\"\n[tools.count]\nmodel = true\n");
    let text = run(Command::new(&with_models).arg("check").arg(&good), SOON).ok();
    assert!(
        text.contains("run      what the model says") && text.contains("model.wasm") && text.contains("offer    count"),
        "{text}"
    );
    let text = refused(plain, &good);
    assert!(text.contains("good.toml`, line 2: this `ochopod` runs no models; `ochopod-model` does"), "{text}");
    for (name, reason) in [
        ("garbage.wasm", "not a WebAssembly component"),
        ("hello.wasm", "exports no `ocho:model/hooks`"),
        ("missing.wasm", "No such file"),
    ] {
        let text = refused(&with_models, &write("bad.toml", format!("[process]\n[model]\nfile = \"{name}\"\n").as_bytes()));
        assert!(text.contains("bad.toml`, line 2: `") && text.contains(name) && text.contains(reason), "{text}");
    }
    let text = refused(&with_models, &write("bad.toml", b"[process]\n\n[model]\nfile = \"model.wasm\"\nmemory_mib = 100000\n"));
    assert!(text.contains("line 3: `memory_mib` is 100000: it can be 1 to 1024"), "{text}");
}

#[test]
fn the_example_shares_work_among_its_pods() {
    let Some(lab) = Lab::open("the_example_shares_work_among_its_pods") else { return };
    let file = target().join("models/shards.wasm").display().to_string();
    let text = format!(
        "[model]\nfile = \"{file}\"\nsettings = {{ shards = 6, at_least = 2 }}\n[process]\ncommand = [\"sh\", \"-c\", \"echo shards $SHARDS; sleep 1000\"]\n\
         [cluster]\nfollow_peers = true\ndamper = \"1s\"\n[probe]\ncommand = \"true\"\nevery = \"1s\"\n[tools.rank]\nmodel = true\n"
    );
    let mut pods = vec![start(&lab, "work", 0, &text)];
    until_so("a refusal", SOON, || pods[0].count("needs 2 pods, there are 1") > 0);
    let settle = |pods: &[Pod], lines: &[&str]| {
        let line = |pod: &Pod| pod.output().lines().rfind(|line| line.starts_with("shards ")).unwrap_or_default().to_owned();
        until_so(&format!("{lines:?}"), SOON, || {
            let mut shown: Vec<String> = pods.iter().map(line).collect();
            shown.sort();
            shown == lines
        });
    };
    pods.push(start(&lab, "work", 1, &text));
    settle(&pods, &["shards 0,2,4", "shards 1,3,5"]);
    pods.push(start(&lab, "work", 2, &text));
    settle(&pods, &["shards 0,3", "shards 1,4", "shards 2,5"]);
    until_so("the status", SOON, || pods.iter().any(|pod| pod.info()["status"] == "6 shards on 3 pods"));
    assert_eq!(exec(&pods[0], "rank 4 3")["stdout"], json!(["1"]));
    assert_eq!(exec(&pods[0], "rank 6 3")["stdout"], json!(["there are 6 shards, from 0, and a cluster has a pod"]));
}
