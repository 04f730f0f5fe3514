//! Small components, made for the moment: a WASI 0.2 command that prints a line.

/// What a component says and asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Say<'a> {
    /// What it prints.
    pub(crate) text: &'a str,
    /// What it imports, beside what printing needs.
    pub(crate) imports: &'a [&'a str],
    /// Its version, in its metadata.
    pub(crate) version: &'a str,
    /// Where its source is, likewise; nothing where empty.
    pub(crate) source: &'a str,
}

/// A component that prints a text, and asks for these interfaces.
pub(crate) fn say(text: &str, imports: &[&str]) -> Vec<u8> {
    Say { text, imports, version: "", source: "" }.component()
}

impl Say<'_> {
    pub(crate) fn component(self) -> Vec<u8> {
        let Self { text, imports, version, source } = self;
        assert!(text.len() < 4096 && !text.contains(['"', '\\']), "{text}");
        let imports: String = imports.iter().map(|import| format!("(import \"{import}\" (instance))\n")).collect();
        let section = |name, text: &str| if text.is_empty() { String::new() } else { format!("(@custom \"{name}\" \"{text}\")") };
        let about = format!("{} {}", section("version", version), section("source", source));
        let wat = PRINTS.replace("IMPORTS", &imports).replace("TEXT", text).replace("ABOUT", &about);
        wat::parse_str(wat.replace("LENGTH", &text.len().to_string())).expect("the text of a component")
    }
}

const PRINTS: &str = r#"(component
  IMPORTS
  (import "wasi:io/error@0.2.0" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $output-stream (sub resource)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $own-error (eq $outer-error)))
    (type $failure (variant (case "last-operation-failed" (own $own-error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer-stream))
    (export "output-stream" (type $stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $stream))))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory (core memory $libc "memory"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (data (i32.const 0) "TEXT")
    (func (export "run") (result i32)
      (call $write (call $get-stdout) (i32.const 0) (i32.const LENGTH) (i32.const 4096))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance (export "get-stdout" (func $get-stdout)) (export "write" (func $write))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $exports (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exports))
  ABOUT)"#;

pub(crate) const REGISTRY: &str = "ocho:pods/registry@0.1.0";
pub(crate) const EXEC: &str = "ocho:pods/exec@0.1.0";
pub(crate) const CONTROL: &str = "ocho:pods/control@0.1.0";
