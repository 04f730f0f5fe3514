//! Scenes: the standard tools in the real engine against pretend clusters, from the command line, from Rust and from Python.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ocho_tests::command::{Ended, run};
use ocho_tests::programs::{guest, program, python, root, target, tool};
use ocho_tests::{ocho, skip};
use serde_json::Value;
use tempfile::TempDir;

/// The first play compiles the component, on a machine that may have other work.
const WITHIN: Duration = Duration::from_secs(400);

const TOOLS: [&str; 13] = ["bump", "deploy", "exec", "grep", "kill", "log", "ls", "off", "on", "poll", "port", "reset", "scale"];

fn plugin(words: &[&str]) -> Ended {
    let home = TempDir::new().unwrap();
    let mut ocho = ocho::bare(home.path());
    // Compiled code is shared by all tests.
    ocho.env("XDG_CACHE_HOME", target().join("test-cache"));
    run(ocho.arg("plugin").args(words), WITHIN)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Plays one scene with a guest of the tests; gives the verdict as JSON.
#[track_caller]
fn play(guest_name: &str, scene: &str) -> Value {
    let project = project(scene);
    let ended = plugin(&["test", text(project.path()), "--json", "--component", text(&guest(guest_name))]);
    let verdicts: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    assert_eq!(ended.code == 0, verdicts["failed"] == 0, "{ended:?}");
    verdicts["scenes"][0].clone()
}

fn project(scene: &str) -> TempDir {
    let project = TempDir::new().unwrap();
    fs::create_dir(project.path().join("scenes")).unwrap();
    fs::write(project.path().join("scenes/one.toml"), scene).unwrap();
    project
}

#[test]
fn every_standard_tool_plays_its_scenes() {
    for name in TOOLS {
        let folder = root().join("plugins").join(name);
        let ended = plugin(&["test", text(&folder), "--component", text(&tool(name))]);
        assert_eq!(ended.code, 0, "{name}: {}\n{}", ended.stdout, ended.stderr);
        let scenes = ended.stdout.lines().filter(|line| line.starts_with("ok    ")).count();
        assert!(scenes >= 3, "{name}: {}", ended.stdout);
        assert!(ended.stdout.contains("bad-arguments"), "{name} has no scene `bad-arguments`");
    }
}

#[test]
fn what_differs_is_shown_and_is_a_failure() {
    let folder = root().join("plugins/ls/scenes");
    let scene = fs::read_to_string(folder.join("clusters.toml")).unwrap();
    let project = project(&scene.replace("test.web-server  |  1/2", "test.web-server  |  2/2"));
    let ended = plugin(&["test", text(project.path()), "--component", text(&tool("ls"))]);
    assert_eq!(ended.code, 1, "{ended:?}");
    for line in [
        "FAIL  one  three pods of two clusters",
        "standard output (- expected, + got):",
        "  marathon.portal  |  1/1  |",
        "- test.web-server  |  2/2  |",
        "+ test.web-server  |  1/2  |",
        "1 scene, 1 failed",
    ] {
        assert!(ended.stdout.contains(line), "`{line}` is not in\n{}", ended.stdout);
    }
}

#[test]
fn what_cannot_be_played_is_told() {
    let ls = tool("ls");
    let told = |folder: &Path, component: &Path| {
        let ended = plugin(&["test", text(folder), "--component", text(component)]);
        assert_eq!(ended.code, 1, "{ended:?}");
        ended.stderr
    };
    let empty = TempDir::new().unwrap();
    assert!(told(empty.path(), &ls).contains("has no scenes: files that end in `.toml`"));
    let broken = project("[run]\nargz = 7");
    assert!(told(broken.path(), &ls).contains("unknown field `argz`"));
    let fine = project("[run]");
    let garbage = fine.path().join("x.wasm");
    fs::write(&garbage, "garbage").unwrap();
    assert!(told(fine.path(), &garbage).contains("not a WebAssembly component"));
    assert!(told(fine.path(), &fine.path().join("none.wasm")).contains("cannot read `"));
    let ended = plugin(&["test", text(fine.path()), "nothing-like-it", "--component", text(&ls)]);
    assert!(ended.code == 1 && ended.stderr.contains("no scene is called like `nothing-like-it`"), "{ended:?}");
}

#[test]
fn hours_pass_in_no_time() {
    // A million seconds would be eleven days.
    let scene = "[run]\nline = '80000 0'\nwall = '25h'\n[expect]\nout = \"waited 1 times\\n\"\nelapsed = '80000s'";
    assert_eq!(play("sleeper", scene)["differences"], Value::Array(Vec::new()));
    let plain = "[run]\nline = '3600 std'\nwall = '2h'\n[expect]\nout = \"slept\\n\"\nelapsed = '3600s'";
    assert_eq!(play("sleeper", plain)["differences"], Value::Array(Vec::new()));
    let many = "[run]\nline = '1 500'\n[expect]\nout = \"waited 2000 times\\n\"\nelapsed = '1s'";
    assert_eq!(play("sleeper", many)["differences"], Value::Array(Vec::new()));
}

#[test]
fn a_tool_that_waits_too_long_is_ended_on_the_same_clock() {
    let scene = "[run]\nline = '7000 0'\nwall = '1h'\n[expect]\nended = \"tool 'sleeper' ran longer than its limit of 3600 s\"\nelapsed = '3600s'";
    assert_eq!(play("sleeper", scene)["differences"], Value::Array(Vec::new()));
}

#[test]
fn the_fence_is_the_real_one() {
    let scene = "[expect]\nended = 'ran out of its 256 MiB of memory'";
    assert_eq!(play("hog", scene)["differences"], Value::Array(Vec::new()));
    let scene = "[run]\nline = 'bounds'\n[expect]\nended = 'trapped: out of bounds memory access'\nout = \"before\\n\"";
    assert_eq!(play("trap", scene)["differences"], Value::Array(Vec::new()));
    let scene = "[run]\ngrants = []\n[expect]\nrefused = 'imports proxy/shell, which it was not granted'";
    assert_eq!(play("recurse", scene)["differences"], Value::Array(Vec::new()));
}

#[test]
fn files_come_with_the_scene() {
    let scene = "[run]\nline = 'read a/b.txt'\nfiles = { 'a/b.txt' = 'from the scene' }\n[expect]\nout-contains = 'from the scene'\nelapsed = '0s'";
    assert_eq!(play("files", scene)["differences"], Value::Array(Vec::new()));
    let scene = "[run]\nline = 'read x'\nfiles = { '../x' = '' }";
    let told = play("files", scene)["differences"].to_string();
    assert!(told.contains("is not a plain relative path below the working folder"), "{told}");
}

#[test]
fn guests_of_both_wasi_versions_run_other_tools() {
    for name in ["relay", "relay02"] {
        let scene = "[run]\nline = 'ls -j'\n[[shell]]\nline = 'ls'\nout = \"all\\n\"\nerr = 'a hint'\nexit = 1\nafter = '3s'
            [expect]\nexit = 1\nout = \"all\\n\"\nerr = 'a hint'\norders = ['run ls -j']\nelapsed = '3s'";
        assert_eq!(play(name, scene)["differences"], Value::Array(Vec::new()), "{name}");
    }
}

#[test]
fn a_scene_is_the_same_every_time() {
    let folder = root().join("plugins/deploy");
    let play = || {
        let ended = plugin(&["test", text(&folder), "pods-come-up", "--json", "--component", text(&tool("deploy"))]);
        serde_json::from_str::<Value>(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))["scenes"].clone()
    };
    let first = play();
    // The app's id is made of the time of day and of chance.
    assert!(first[0]["orders"][0].as_str().unwrap().contains("-2026-11-20-19-12-59-"), "{first}");
    assert_eq!(first, play());
}

#[test]
fn one_by_hand() {
    let ls = tool("ls");
    let scene = root().join("plugins/ls/scenes/silent-pod.toml");
    let ended = plugin(&["run", text(&ls), "--cluster", text(&scene)]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("test.web  |  1/3  |"), "{}", ended.stdout);
    assert!(ended.stderr.contains("test.web #4: no answer within 5 s"), "{}", ended.stderr);
    assert!(ended.stderr.contains(" ? info test.web #4"), "{}", ended.stderr);
    let json = plugin(&["run", text(&ls), "--cluster", text(&scene), "--", "-j"]).ok();
    assert!(json.starts_with("{\"test.web\": "), "{json}");
    assert_eq!(plugin(&["run", text(&ls), "--", "-j"]).ok(), "{}\n");
    let failed = plugin(&["run", text(&ls), "--", "nobody"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    let ended = plugin(&["run", text(&guest("trap")), "--", "unreachable"]);
    assert!(ended.code == 137 && ended.stderr.contains("tool 'trap' trapped: "), "{ended:?}");
}

/// The test of a plugin in a process of its own, as the variable that names `ocho` is the process's.
const CHILD: &str = "OCHO_TESTS_SCENES_OF";

#[test]
fn from_rust() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let component = guest("sleeper");
        println!("{}", ocho_sdk::scenes::play_component(folder, component).unwrap());
        return;
    }
    let project = project("[run]\nline = '5 0'\n[expect]\nelapsed = '6s'");
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", "from_rust", "--nocapture"]).env(CHILD, project.path()).env("OCHO", program("ocho"));
    let said = run(this.env("XDG_CACHE_HOME", target().join("test-cache")), WITHIN).ok();
    assert!(said.contains("0 scenes went as expected, 1 did not\none: took 5s instead of 6s"), "{said}");
    let missing = ocho_sdk::scenes::play("/nowhere").map_err(|error| error.to_string()).unwrap_err();
    assert!(missing.contains("`ocho` cannot be run") || missing.contains("no scene was played"), "{missing}");
}

#[test]
fn from_python() {
    let Some(python) = python() else { return skip::skip("from_python", "the Python packages are not installed") };
    let project = project("[run]\nline = '5 0'\n[expect]\nelapsed = '5s'");
    let test = format!(
        "from ocho_scenes import check, play\n\
         def test_scenes():\n    check('.', {component:?})\n\
         def test_verdicts():\n    assert play('.', {component:?})['scenes'][0]['out'] == 'waited 1 times\\n'\n\
         def test_failures():\n    open('scenes/two.toml', 'w').write('[expect]\\nexit = 7')\n    \
         try:\n        check('.', {component:?})\n    except AssertionError as error:\n        assert 'exit code 1 instead of 7' in str(error)\n    \
         else:\n        raise Exception('it did not fail')\n",
        component = text(&guest("sleeper")),
    );
    fs::write(project.path().join("test_scenes.py"), test).unwrap();
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_scenes.py"]).current_dir(project.path());
    pytest.env("PYTHONPATH", root().join("sdk/python")).env("PYTHONDONTWRITEBYTECODE", "1").env("OCHO", program("ocho"));
    let ended = run(pytest.env("XDG_CACHE_HOME", target().join("test-cache")), WITHIN);
    if ended.stderr.contains("No module named pytest") {
        return skip::skip("from_python", "pytest is not installed");
    }
    assert!(ended.code == 0 && ended.stdout.contains("3 passed"), "{ended:?}");
}
