//! Finds the web pods and checks that each answers `/ping`.
#![cfg(target_family = "wasm")]

use std::time::Duration;

use ocho_sdk::Value;
use ocho_sdk::job::{JobError, check, http, proxy, retry, variable};

async fn run() -> Result<(), JobError> {
    let namespace = variable("NAMESPACE").unwrap_or_else(|_| "test".to_owned());
    let Value::Object(pods) = proxy(&format!("port 80 {namespace}.web")).await? else {
        return Err(JobError::failed("`port` gave no object"));
    };
    check(!pods.is_empty(), format_args!("{namespace}.web has no pods"))?;
    for (name, pod) in &pods {
        let text = |key: &str| pod[key].as_str().unwrap_or_default();
        let url = format!("http://{}:{}/ping", text("ip"), text("ports"));
        // A pod that has just come up may need a moment.
        retry(10, Duration::from_secs(1), async || ping(&url).await).await?;
        println!("{name} answers");
    }
    Ok(())
}

async fn ping(url: &str) -> Result<(), JobError> {
    let answer = http(url).await?;
    check(answer.is_ok(), format_args!("`{url}` answered HTTP {}", answer.status))
}

ocho_sdk::job!(super::run);
