//! The fence, met by small hostile components: each limit ends its run, and the neighbours go on.

mod nowhere;

use std::time::{Duration, Instant};

use ocho_runtime::{Engine, EngineConfig, Grants, Limits, Output, Plugin, PluginError, Reason};

fn engine() -> Engine {
    Engine::new(EngineConfig { runs: 8, memory_bytes: 64 << 20, cache: None }).unwrap()
}

/// A WASI 0.2 command around the body of a core function that gives 0 for success.
fn command(core: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m {core})
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $exported (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $exported)))"#
    );
    wat::parse_str(text).unwrap()
}

fn plugin(engine: &Engine, core: &str) -> Plugin {
    engine.compile(&command(core)).unwrap().link(&Grants::default()).unwrap()
}

const SPIN: &str = r#"(func (export "run") (result i32) (loop (br 0)) (unreachable))"#;
const FINE: &str = r#"(func (export "run") (result i32) (i32.const 0))"#;
/// Grows page by page until it gets no more, then fails as Rust's allocator does.
const GROW: &str = r#"(memory 1) (func (export "run") (result i32)
    (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable))"#;
const RECURSE: &str = r#"(func $f (export "run") (result i32) (call $f))"#;
const TABLE: &str = r#"(table 1 funcref) (func (export "run") (result i32)
    (loop (br_if 0 (i32.ne (table.grow 0 (ref.null func) (i32.const 1000)) (i32.const -1)))) (i32.const 0))"#;

async fn run(plugin: &Plugin, limits: Limits) -> ocho_runtime::Ended {
    plugin.run(nowhere::request(limits, &["x"], Output::new(1000))).await
}

#[tokio::test]
async fn exit_codes() {
    let engine = engine();
    assert!(matches!(run(&plugin(&engine, FINE), Limits::tool()).await.reason, Reason::Exited(0)));
    let failing = plugin(&engine, &FINE.replace("const 0", "const 1"));
    assert!(matches!(run(&failing, Limits::tool()).await.reason, Reason::Exited(1)));
}

#[tokio::test]
async fn a_spinning_guest_ends_at_its_cpu_limit() {
    let plugin = plugin(&engine(), SPIN);
    let limits = Limits { cpu: Duration::from_millis(200), ..Limits::tool() };
    let ended = run(&plugin, limits).await;
    assert!(matches!(ended.reason, Reason::OverCpu(_)), "{:?}", ended.reason);
    assert!(ended.cpu >= Duration::from_millis(200), "{:?}", ended.cpu);
    assert_eq!(ended.reason.to_string(), "used more than its 0.2 s of CPU time");
}

#[tokio::test]
async fn a_spinning_guest_ends_at_its_wall_limit() {
    let plugin = plugin(&engine(), SPIN);
    let limits = Limits { wall: Duration::from_millis(100), ..Limits::tool() };
    assert!(matches!(run(&plugin, limits).await.reason, Reason::OverTime(_)));
}

/// On one worker: without the yields of the epoch the neighbour would wait for the whole half minute.
#[tokio::test(flavor = "current_thread")]
async fn neighbours_go_on_beside_a_spinning_guest() {
    let engine = engine();
    let (spinning, fine) = (plugin(&engine, SPIN), plugin(&engine, FINE));
    let limits = Limits { cpu: Duration::from_secs(30), ..Limits::tool() };
    let spinner = tokio::spawn(async move { run(&spinning, limits).await });
    for _ in 0..20 {
        assert!(matches!(run(&fine, Limits::tool()).await.reason, Reason::Exited(0)));
        tokio::task::yield_now().await;
    }
    // Turns come every 10 ms or two; a stalled neighbour would have had its first one after the spinning.
    assert!(!spinner.is_finished());
    spinner.abort();
    assert!(spinner.await.is_err_and(|error| error.is_cancelled()));
}

#[tokio::test]
async fn memory_is_summed_over_the_store() {
    let limits = Limits { memory_bytes: 4 << 20, ..Limits::tool() };
    let engine = engine();
    let ended = run(&plugin(&engine, GROW), limits.clone()).await;
    assert_eq!(ended.reason.to_string(), "ran out of its 4 MiB of memory");
    let little = Limits { memory_bytes: 64 << 10, ..Limits::tool() };
    assert_eq!(run(&plugin(&engine, GROW), little).await.reason.to_string(), "ran out of its 64 KiB of memory");
    // Two memories of 40 pages each are more than 64 pages together, and less each.
    let two = r#"(memory 40) (memory 40) (func (export "run") (result i32) (i32.const 0))"#;
    let ended = run(&plugin(&engine, two), limits).await;
    assert!(matches!(ended.reason, Reason::OverMemory(_)), "{:?}", ended.reason);
}

#[tokio::test]
async fn tables_are_bounded() {
    let limits = Limits { table_elements: 5_000, ..Limits::tool() };
    assert!(matches!(run(&plugin(&engine(), TABLE), limits).await.reason, Reason::Exited(0)));
}

#[tokio::test]
async fn recursion_traps_and_says_where() {
    let ended = run(&plugin(&engine(), RECURSE), Limits::tool()).await;
    assert_eq!(ended.reason.to_string(), "trapped: call stack exhausted");
    assert_eq!(ended.reason.exit_code(), 137);
    let Reason::Trapped { backtrace, .. } = ended.reason else { panic!() };
    assert!(backtrace.contains("wasm backtrace"), "{backtrace}");
}

#[tokio::test]
async fn traps_are_told_by_their_kind() {
    let engine = engine();
    for (core, text) in [
        (r#"(func (export "run") (result i32) (unreachable))"#, "trapped: wasm `unreachable` instruction executed"),
        (r#"(memory 1) (func (export "run") (result i32) (i32.load (i32.const 70000)))"#, "trapped: out of bounds memory access"),
        (r#"(func (export "run") (result i32) (i32.div_u (i32.const 1) (i32.const 0)))"#, "trapped: integer divide by zero"),
    ] {
        assert_eq!(run(&plugin(&engine, core), Limits::tool()).await.reason.to_string(), text);
    }
}

#[tokio::test]
async fn a_dropped_run_ends() {
    let plugin = plugin(&engine(), SPIN);
    // By itself it would end after ten minutes.
    let limits = Limits { cpu: Duration::from_mins(10), ..Limits::tool() };
    let started = Instant::now();
    let cancelled = tokio::time::timeout(Duration::from_millis(100), run(&plugin, limits)).await;
    assert!(cancelled.is_err());
    assert!(started.elapsed() < Duration::from_mins(2));
}

#[test]
fn what_is_no_plugin_is_told() {
    let engine = engine();
    let text = |wasm: &[u8]| engine.compile(wasm).and_then(|code| code.link(&Grants::default())).err().unwrap().to_string();
    assert_eq!(
        text(&wat::parse_str("(module)").unwrap()),
        "not a WebAssembly component: it is a core module; build it for the target wasm32-wasip2"
    );
    for garbage in [&b""[..], b"garbage", b"\0asm", &command(FINE)[..100], &[0; 100_000]] {
        assert!(text(garbage).starts_with("not a WebAssembly component: "), "{}", text(garbage));
    }
    assert!(text(&wat::parse_str("(component)").unwrap()).starts_with("exports no `wasi:cli/run`"));
    let foreign = wat::parse_str(r#"(component (import "some:other/thing@1.0.0" (instance)))"#).unwrap();
    assert_eq!(text(&foreign), "imports what this host does not have: some:other/thing@1.0.0");
    let later = wat::parse_str(r#"(component (import "ocho:pods/registry@0.2.0" (instance)))"#).unwrap();
    assert_eq!(text(&later), "imports what this host does not have: ocho:pods/registry@0.2.0");
}

#[test]
fn a_missing_grant_is_named() {
    let wasm = wat::parse_str(r#"(component (import "ocho:pods/control@0.1.0" (instance)))"#).unwrap();
    let refused = engine().compile(&wasm).unwrap().link(&Grants::observer());
    assert!(matches!(&refused, Err(PluginError::NotGranted(missing)) if missing.to_string() == "pods/control"));
}

#[test]
fn compiled_code_is_kept_and_only_trusted_where_it_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code");
    let open = || ocho_runtime::CodeCache::open(&path, 1 << 20);
    let engine = |cache| Engine::new(EngineConfig { runs: 2, memory_bytes: 1 << 20, cache: Some(cache) }).unwrap();
    let files = || std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    engine(open().unwrap()).compile(&command(FINE)).unwrap();
    let [file] = &files()[..] else { panic!("{:?}", files()) };
    let written = std::fs::metadata(file).unwrap();
    engine(open().unwrap()).compile(&command(FINE)).unwrap();
    assert_eq!(files().len(), 1, "the second engine found it");
    // Half a file, and a file that others may write, are compiled anew.
    std::fs::write(file, b"half").unwrap();
    engine(open().unwrap()).compile(&command(FINE)).unwrap();
    assert_eq!(std::fs::metadata(file).unwrap().len(), written.len());
    // Too large for the bound: goes at the next start.
    ocho_runtime::CodeCache::open(&path, 1).unwrap();
    assert!(files().is_empty());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(open().unwrap_err().to_string().contains("writable by nobody else"));
}
