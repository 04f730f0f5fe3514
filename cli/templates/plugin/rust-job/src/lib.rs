//! `@name@`: a job that fails unless all pods of a cluster run.
//!
//! A job is one function. Files of its bundle lie in the working folder, variables of the caller are in the environment.

use ocho_sdk::Value;
use ocho_sdk::job::{JobError, check, proxy, variable};

/// Looks at the cluster that `-v cluster:NAME` names, at the host's own otherwise.
///
/// # Errors
/// Where a pod of it does not run: the job has failed then.
pub async fn run() -> Result<(), JobError> {
    let cluster = variable("CLUSTER").unwrap_or_else(|_| "marathon.portal".to_owned());
    let (running, total) = count(&proxy("ls").await?, &cluster);
    println!("{cluster}: {running} of {total} pods run");
    check(total > 0 && running == total, format!("{cluster} is not up"))
}

/// The pods of a cluster that run, and all of them, in what `ls` says.
fn count(clusters: &Value, cluster: &str) -> (u64, u64) {
    let member = |name: &str| clusters[cluster][name].as_u64().unwrap_or(0);
    (member("running"), member("total"))
}

ocho_sdk::job!(super::run);

#[cfg(test)]
mod tests;
