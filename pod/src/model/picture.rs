//! The cluster as a model sees it.

use ocho_core::masking;
use ocho_runtime::model as wit;
use serde_json::Value;

use crate::cluster::{Cluster, Pods, seq_of};

/// Turns our picture into the contract's.
pub(super) fn picture(cluster: &Cluster) -> wit::Cluster {
    let dependency = |(name, pods): (&String, &Pods)| wit::Dependency { name: name.clone(), pods: listed(pods) };
    wit::Cluster {
        key: cluster.key.clone(),
        leads: cluster.leader.as_ref() == Some(&cluster.key),
        pods: listed(&cluster.pods),
        dependencies: cluster.dependencies.iter().map(dependency).collect(),
    }
}

/// Sorted by number. One without a number, which only a pod of another make could be, comes first.
fn listed(pods: &Pods) -> Vec<wit::Pod> {
    let mut listed: Vec<wit::Pod> = pods
        .iter()
        .map(|(key, pod)| {
            let mut registration = Value::Object(pod.clone());
            masking::mask(&mut registration);
            let ip = pod.get("ip").and_then(Value::as_str).unwrap_or_default().to_owned();
            let seq = seq_of(pod).map_or(0, |seq| seq.0);
            wit::Pod { key: key.clone(), seq, ip, registration: registration.to_string() }
        })
        .collect();
    listed.sort_by_key(|pod| pod.seq);
    listed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_are_sorted_by_number_and_their_secrets_masked() {
        let body = json!({"key": "b", "leader": "b",
            "pods": {"a": {"seq": 9, "ip": "h9", "token": "x"}, "b": {"seq": 2, "ip": "h2"}}, "dependencies": {"db": {}}});
        let seen = picture(&Cluster::read(&body).unwrap());
        assert_eq!(seen.pods.iter().map(|pod| pod.seq).collect::<Vec<_>>(), [2, 9]);
        assert_eq!((seen.leads, seen.dependencies[0].name.as_str(), seen.dependencies[0].pods.len()), (true, "db", 0));
        assert!(seen.pods[1].registration.contains("\"token\":\"******\""), "{}", seen.pods[1].registration);
    }
}
