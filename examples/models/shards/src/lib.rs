//! A model that gives each pod of its cluster a share of some work: shard `n` of them belongs to the pod of rank `n % size`.
//!
//! Its settings: `shards`, how many there are, and `at_least`, the pods without which nothing starts.
#![cfg(target_family = "wasm")]

use std::cell::RefCell;

use contract::exports::ocho::model::hooks::Guest;
use contract::ocho::model::types::{Cluster, File, Launch, ToolOutput};
use serde_json::{Value, json};

/// The contract's side, generated.
#[allow(missing_docs, unsafe_code, reason = "generated; what crosses the border does so as bytes")]
mod contract {
    wit_bindgen::generate!({ path: "../../../wit/0.1/model", world: "ocho:model/model" });
    export!(Shards with_types_in self);
    use super::Shards;
}

/// What this instance was told.
#[derive(Default)]
struct Told {
    shards: usize,
    at_least: usize,
    /// The shards of this pod, once it is configured.
    own: Vec<usize>,
}

thread_local! {
    static TOLD: RefCell<Told> = RefCell::default();
}

struct Shards;

impl Guest for Shards {
    async fn initialize(settings: String) -> Result<(), String> {
        let settings: Value = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
        let number = |name: &str, default: u64| usize::try_from(settings[name].as_u64().unwrap_or(default)).unwrap_or(usize::MAX);
        let (shards, at_least) = (number("shards", 12), number("at_least", 1));
        if !(1..=10_000).contains(&shards) {
            return Err(format!("`shards` is {shards}: it can be 1 to 10000"));
        }
        TOLD.with_borrow_mut(|told| (told.shards, told.at_least) = (shards, at_least));
        Ok(())
    }

    async fn can_configure(cluster: Cluster) -> Result<(), String> {
        let at_least = TOLD.with_borrow(|told| told.at_least);
        match cluster.pods.len() {
            size if size < at_least => Err(format!("needs {at_least} pods, there are {size}")),
            _ => Ok(()),
        }
    }

    async fn configure(cluster: Cluster) -> Result<Launch, String> {
        let rank = rank(&cluster).ok_or("this pod is not in its own cluster")?;
        let own = TOLD.with_borrow_mut(|told| {
            told.own = share(told.shards, rank, cluster.pods.len());
            told.own.clone()
        });
        let own: Vec<String> = own.iter().map(usize::to_string).collect();
        println!("{} shards for this pod", own.len());
        Ok(Launch {
            // The description's.
            command: Vec::new(),
            environment: vec![("SHARDS".to_owned(), own.join(","))],
            files: vec![File { path: "shards.txt".to_owned(), content: (own.join("\n") + "\n").into_bytes() }],
        })
    }

    async fn configured(_: Cluster) -> Result<(), String> {
        Ok(())
    }

    async fn sanity_check(_: u32) -> Result<String, String> {
        Ok(json!({"shards": TOLD.with_borrow(|told| told.own.len())}).to_string())
    }

    async fn finalize() -> Result<(), String> {
        Ok(())
    }

    async fn probe(cluster: Cluster) -> Result<String, String> {
        Ok(format!("{} shards on {} pods", TOLD.with_borrow(|told| told.shards), cluster.pods.len()))
    }

    async fn tool(name: String, arguments: Vec<String>) -> Result<ToolOutput, String> {
        let shards = TOLD.with_borrow(|told| told.shards);
        match (name.as_str(), &arguments[..]) {
            ("rank", [shard, size]) => {
                let number = |text: &String| text.parse::<usize>().map_err(|_| format!("`{text}` is no number"));
                let (shard, size) = (number(shard)?, number(size)?);
                if shard >= shards || size == 0 {
                    return Err(format!("there are {shards} shards, from 0, and a cluster has a pod"));
                }
                Ok(ToolOutput { code: 0, stdout: format!("{}\n", shard % size), stderr: String::new() })
            }
            _ => Err("usage: rank SHARD SIZE".to_owned()),
        }
    }
}

/// How many pods are older.
fn rank(cluster: &Cluster) -> Option<usize> {
    cluster.pods.iter().position(|pod| pod.key == cluster.key)
}

fn share(shards: usize, rank: usize, size: usize) -> Vec<usize> {
    (0..shards).filter(|shard| shard % size == rank).collect()
}
