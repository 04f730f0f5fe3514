//! What strangers might send instead of a tool. Each is refused with a sentence, and nothing else suffers.

use std::fs;
use std::thread;

use ocho_tests::TestHost;
use ocho_tests::programs::guest;
use serde_json::Value;

use crate::api::{install, send};
use crate::components::say;

#[test]
fn what_is_no_component_is_refused() {
    let host = TestHost::up().start();
    let good = fs::read(guest("hello")).unwrap();
    let module = wat::parse_str("(module (func (export \"run\")))").unwrap();
    for garbage in [&b""[..], b"no component", b"\0asm", &good[..1000], &good[..good.len() - 1], &[0; 100_000]] {
        let said = install(&host, "x", "", garbage).refused(400, "not-a-component");
        assert!(said.starts_with("not a WebAssembly component: "), "{said}");
    }
    let said = install(&host, "x", "", &module).refused(400, "not-a-component");
    assert!(said.ends_with("it is a core module; build it for the target wasm32-wasip2"), "{said}");
    // Well made outside, and one byte of the code is none.
    let mut damaged = good.clone();
    let at = damaged.len() / 2;
    damaged[at..at + 64].fill(0xff);
    let answer = install(&host, "x", "", &damaged);
    assert!(answer.status == 400 || answer.status == 422, "{answer:?}");
    send(&host, "GET", "/x", &Value::Null).refused(404, "no-such-tool");
    assert_eq!(fs::read_dir(host.home().join("data/tools")).unwrap().count(), 0);
}

#[test]
fn one_for_another_host_is_refused_with_the_reason() {
    let host = TestHost::up().start();
    for (imports, code, said) in [
        ("wasi:cli/environment@0.4.0", "later-wasi", "the component needs `wasi:cli/environment@0.4.0`, of a WASI later than"),
        ("wasi:nn/graph@0.2.0", "unknown-imports", "the component imports what this host does not have: wasi:nn/graph@0.2.0"),
        ("ocho:pods/registry@0.2.0", "later-contract", "the component imports `ocho:pods/registry@0.2.0`, of a contract that"),
        ("ocho:pods/colours@0.1.0", "unknown-imports", "the component imports what this host does not have: ocho:pods/colours"),
    ] {
        let told = install(&host, "x", "", &say("x", &[imports])).refused(422, code);
        assert!(told.starts_with(said), "{told}");
    }
    let empty = wat::parse_str("(component)").unwrap();
    let told = install(&host, "x", "", &empty).refused(422, "not-a-command");
    assert!(told.starts_with("the component exports no `wasi:cli/run`"), "{told}");
    // The right name with another type: only the linker finds that.
    let odd = "(component (import \"ocho:pods/registry@0.1.0\" (instance (export \"find\" (func (result u32)))))";
    let command = r#"(core module $m (func (export "run") (result i32) i32.const 0)) (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run"))) (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#;
    let told = install(&host, "x", "", &wat::parse_str(format!("{odd} {command}")).unwrap()).refused(422, "link");
    assert!(told.starts_with("the component does not link: ") && told.contains("ocho:pods/registry"), "{told}");
}

#[test]
fn one_that_is_too_large_is_refused_while_others_run() {
    let host = TestHost::up().start();
    install(&host, "x", "", &say("x", &[])).done();
    let large = vec![0; 50 << 20];
    thread::scope(|scope| {
        let upload = scope.spawn(|| install(&host, "large", "", &large).refused(413, "too-large"));
        while !upload.is_finished() {
            assert_eq!(host.shell("x").success(), "x");
        }
        assert_eq!(upload.join().unwrap(), "the component is larger than the 32 MiB that this host takes (--tool-size-limit)");
    });
}

#[test]
fn a_large_component_of_nothing_is_taken_in_its_stride() {
    let host = TestHost::up().start();
    let mut component = say("x", &[]);
    // A custom section of 20 MiB: its name, then zeros.
    let bytes = 20_u32 << 20;
    component.push(0);
    let mut left = bytes;
    while left >= 0x80 {
        component.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    component.push(left as u8);
    let start = component.len();
    component.extend_from_slice(b"\x07padding");
    component.resize(start + bytes as usize, 0);
    assert_eq!(install(&host, "x", "", &component).done()["state"], "active");
    assert_eq!(host.shell("x").success(), "x");
}

#[test]
fn many_at_once_are_taken_one_after_the_other_or_refused() {
    let host = TestHost::up().start();
    let answers: Vec<_> = thread::scope(|scope| {
        let installs: Vec<_> = (0..40)
            .map(|nth| {
                scope.spawn({
                    let host = &host;
                    move || install(host, &format!("t{nth}"), "", &say(&format!("text {nth}"), &[]))
                })
            })
            .collect();
        installs.into_iter().map(|install| install.join().unwrap()).collect()
    });
    let mut active = 0;
    for (nth, answer) in answers.into_iter().enumerate() {
        if answer.status == 429 {
            answer.refused(429, "busy");
        } else {
            answer.done();
            active += 1;
            assert_eq!(host.shell(&format!("t{nth}")).success(), format!("text {nth}"));
        }
    }
    assert!(active >= 16, "{active}");
}
