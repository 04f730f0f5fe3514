//! Lists the clusters, as `ls` does.
#![cfg(target_family = "wasm")]

use ocho_sdk::Value;
use ocho_sdk::job::{JobError, check, proxy};

async fn run() -> Result<(), JobError> {
    let clusters = proxy("ls").await?;
    let Value::Object(clusters) = clusters else { return Err(JobError::failed("`ls` gave no object")) };
    for (name, cluster) in &clusters {
        println!("{name}: {} of {} pods run", cluster["running"], cluster["total"]);
    }
    check(!clusters.is_empty(), "there is no cluster, not even the host's own")
}

ocho_sdk::job!(super::run);
