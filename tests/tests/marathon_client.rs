//! The Python client library of Marathon against the embedded scheduler.

use std::process::Command;
use std::time::Duration;

use insta::assert_snapshot;
use ocho_tests::cases::Engine;
use ocho_tests::command::run;
use ocho_tests::{programs, skip};

const WITHIN: Duration = Duration::from_secs(900);

#[test]
fn a_life_of_an_application() {
    let Some(python) = programs::python() else {
        return skip("a_life_of_an_application", "the Python packages of the tests are not installed");
    };
    let engine = Engine::start(&["--heavy-events"]);
    let script = programs::root().join("tests/python/marathon_client.py");
    let ended = run(Command::new(python).arg(script).arg(&engine.url), WITHIN);
    assert_snapshot!(ended.ok(), @r#"
    ping True
    info marathon True
    created /py/web 1
    scaled 2 2 2 [True]
    versions 4 {'A': '1'}
    listed ['/py/web']
    endpoints 2
    killed 1
    groups ['/py'] /py/g
    cancelled []
    left [] []
    events []
    "#);
}
