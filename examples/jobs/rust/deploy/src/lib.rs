//! Deploys `web.yml` of the bundle: `PODS` pods (2 if not given) in the namespace `NAMESPACE` (`test` if not given).
#![cfg(target_family = "wasm")]

use ocho_sdk::job::{JobError, check, proxy, variable};

async fn run() -> Result<(), JobError> {
    let namespace = variable("NAMESPACE").unwrap_or_else(|_| "test".to_owned());
    let pods = variable("PODS").unwrap_or_else(|_| "2".to_owned());
    let deployed = proxy(&format!("deploy web.yml -n {namespace} -p {pods}")).await?;
    let up = deployed["web.yml"]["up"].as_array().map_or(0, Vec::len);
    println!("{up} pods of {namespace}.web are up");
    check(up.to_string() == pods, format_args!("{pods} pods were asked for"))
}

ocho_sdk::job!(super::run);
