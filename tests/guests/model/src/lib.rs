//! A model for tests. It counts its calls, and in the hook that its setting `hook` names it does what `mode` says: `spin`, `trap`, `grow`,
//! `sleep`, `flood` or `refuse`; with the setting `late`, from the fourth call of an instance on.
#![cfg(target_family = "wasm")]

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use contract::exports::ocho::model::hooks::Guest;
use contract::ocho::model::types::{Cluster, File, Launch, ToolOutput};
use serde_json::{Value, json};

/// The contract's side, generated.
#[allow(missing_docs, unsafe_code, reason = "generated; what crosses the border does so as bytes")]
mod contract {
    wit_bindgen::generate!({ path: "../../../wit/0.1/model", world: "ocho:model/model" });
    export!(Counter with_types_in self);
    use super::Counter;
}

#[derive(Default)]
struct Told {
    settings: Value,
    calls: u32,
}

thread_local! {
    static TOLD: RefCell<Told> = RefCell::default();
}

/// Counts a call, and does in the named hook what the settings say.
fn enter(hook: &str) -> Result<u32, String> {
    let (calls, mode) = TOLD.with_borrow_mut(|told| {
        told.calls += 1;
        let named = told.settings["hook"] == hook;
        let early = told.settings["late"] == true && told.calls < 4;
        let mode = if named && !early { told.settings["mode"].as_str().map(str::to_owned) } else { None };
        (told.calls, mode)
    });
    match mode.as_deref() {
        Some("spin") => loop {
            black_box(calls);
        },
        Some("trap") => panic!("as wanted"),
        Some("grow") => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        Some("sleep") => std::thread::sleep(Duration::from_secs(3600)),
        Some("flood") => loop {
            println!("{}", "x".repeat(1000));
        },
        Some("refuse") => return Err("as wanted".to_owned()),
        _ => {}
    }
    Ok(calls)
}

struct Counter;

impl Guest for Counter {
    async fn initialize(settings: String) -> Result<(), String> {
        let settings = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
        TOLD.with_borrow_mut(|told| told.settings = settings);
        enter("initialize").map(drop)
    }

    async fn can_configure(_: Cluster) -> Result<(), String> {
        enter("can-configure").map(drop)
    }

    async fn configure(cluster: Cluster) -> Result<Launch, String> {
        let calls = enter("configure")?;
        let path = TOLD.with_borrow(|told| told.settings["path"].as_str().unwrap_or("model.txt").to_owned());
        println!("configured at call {calls}");
        Ok(Launch {
            command: ["sh", "-c", "echo \"the model says $MODEL\"; sleep 1000"].map(str::to_owned).to_vec(),
            environment: vec![("MODEL".to_owned(), format!("{} pods", cluster.pods.len()))],
            files: vec![File { path, content: calls.to_string().into_bytes() }],
        })
    }

    async fn configured(_: Cluster) -> Result<(), String> {
        enter("configured").map(drop)
    }

    async fn sanity_check(pid: u32) -> Result<String, String> {
        let calls = enter("sanity-check")?;
        Ok(json!({"calls": calls, "pid": pid}).to_string())
    }

    async fn finalize() -> Result<(), String> {
        let calls = enter("finalize")?;
        println!("finalized at call {calls}");
        Ok(())
    }

    async fn probe(cluster: Cluster) -> Result<String, String> {
        let calls = enter("probe")?;
        Ok(format!("{} pods, call {calls}", cluster.pods.len()))
    }

    async fn tool(name: String, arguments: Vec<String>) -> Result<ToolOutput, String> {
        let calls = enter("tool")?;
        if name != "count" {
            return Err(format!("no tool `{name}`"));
        }
        let mut files: Vec<String> = std::fs::read_dir(".")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        Ok(ToolOutput {
            code: 3,
            stdout: format!("{}\n{}\ncall {calls}\n", arguments.join("|"), files.join("|")),
            stderr: "e\n".to_owned(),
        })
    }
}
