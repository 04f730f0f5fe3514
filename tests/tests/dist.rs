//! The pod agent as it is handed out: one static program, small, without an engine for WebAssembly.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ocho_tests::command::run;
use ocho_tests::programs::{program, root};

/// The first time everything that the agent consists of is compiled in release.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

#[test]
fn the_pod_agent_is_static_and_small() {
    // It checks what it built: `ldd`, the size, what is in it.
    let said = run(Command::new(program("xtask")).arg("dist").current_dir(root()), PATIENCE).ok();
    let (path, rest) = said.trim_end().rsplit_once(" (").unwrap();
    let bytes: u64 = rest.strip_suffix(" bytes, static)").unwrap().parse().unwrap();
    assert!((1 << 20..10 << 20).contains(&bytes), "{said}");
    let ochopod = PathBuf::from(path);
    let ldd = run(Command::new("ldd").arg(&ochopod), PATIENCE);
    let ldd = format!("{}{}", ldd.stdout, ldd.stderr);
    assert!(ldd.contains("statically linked") || ldd.contains("not a dynamic executable"), "{ldd}");
    // It works as it stands, with nothing around it.
    let description = root().join("examples/images/redis/pod.toml");
    let checked = run(Command::new(&ochopod).arg("check").arg(&description).env_clear(), PATIENCE).ok();
    assert!(checked.contains("is a description of a pod"), "{checked}");
}
