use std::cell::Cell;

use serde_json::json;

use super::*;
use crate::pretend::Cluster;
use crate::{Failure, Found, Report, Usage};

/// Runs something on the pretend clock; gives what it says and how long that took.
fn on_the_clock(work: impl AsyncFnOnce() -> String) -> (String, Duration) {
    let usage = Usage::new("job", "Run a part of a job.");
    let end = Cluster::new().run(&usage, async |_: Found| Ok::<_, Failure>(Report::text(work().await)), "");
    (end.out.trim_end().to_owned(), end.elapsed)
}

#[test]
fn it_tries_again_with_pauses() {
    let attempts = Cell::new(0);
    let (said, took) = on_the_clock(async || {
        let attempt = async || {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err("not yet") } else { Ok("there") }
        };
        retry(5, Duration::from_secs(2), attempt).await.unwrap().to_owned()
    });
    assert_eq!((said.as_str(), attempts.get(), took), ("there", 3, Duration::from_secs(4)));
    let (said, took) =
        on_the_clock(async || retry(2, Duration::from_secs(1), async || Err::<(), _>("never")).await.unwrap_err().to_owned());
    assert_eq!((said.as_str(), took), ("never", Duration::from_secs(1)));
}

#[test]
fn json_is_the_whole_or_the_last_line() {
    assert_eq!(json_of("{\"a\": 1}\n"), Some(json!({"a": 1})));
    assert_eq!(json_of("looking...\n{\"a\": 1}\n"), Some(json!({"a": 1})));
    assert_eq!(json_of("{\n\"a\": 1\n}"), Some(json!({"a": 1})));
    assert_eq!(json_of(""), None);
    assert_eq!(json_of("text"), None);
}

#[test]
fn failures_say_what_happened() {
    let outcome = Outcome {
        is_ok: false,
        exit_code: 1,
        run: "01J".to_owned(),
        elapsed: Duration::ZERO,
        out: "{\"web\": {\"ok\": false}}\n".to_owned(),
        err: "no image\n".to_owned(),
        is_truncated: false,
    };
    let failed = JobError::ToolFailed { line: "deploy web.yml".to_owned(), outcome: Box::new(outcome.clone()) };
    assert_eq!(failed.to_string(), "`deploy web.yml` failed: {\"web\": {\"ok\": false}}; no image");
    assert_eq!(failed.json(), Some(json!({"web": {"ok": false}})));
    let silent = Outcome { out: String::new(), err: String::new(), ..outcome };
    let failed = JobError::ToolFailed { line: "x".to_owned(), outcome: Box::new(silent) };
    assert_eq!(failed.to_string(), "`x` failed with exit code 1");
    let (said, _) = on_the_clock(async || proxy("nothing 'open").await.unwrap_err().to_string());
    assert!(said.starts_with("`nothing 'open`: "), "{said}");
    let (said, _) = on_the_clock(async || proxy("nothing here").await.unwrap_err().to_string());
    assert_eq!(said, "`nothing here`: no tool is named `nothing`");
}

#[test]
fn a_secret_does_not_print() {
    let file = std::env::temp_dir().join(format!("ocho-sdk-secret-{}", std::process::id()));
    std::fs::write(&file, "hunter22\r\n").unwrap();
    let read = secret(file.to_str().unwrap());
    std::fs::remove_file(&file).unwrap();
    let read = read.unwrap();
    assert_eq!((read.reveal(), format!("{read:?}").as_str()), ("hunter22", "Secret(..)"));
    assert!(secret("/missing/file").unwrap_err().to_string().starts_with("file `/missing/file`: "));
}
