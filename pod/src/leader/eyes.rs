//! What a leader sees: the nodes of its own pods and the snapshots of the clusters that it depends on, as one value.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use ocho_core::ClusterName;
use ocho_core::registration::CLUSTERS_PATH;
use tokio::time::{Instant, sleep_until};
use tokio_stream::StreamMap;
use zookeeper_client::Client;

use crate::cluster::Pods;
use crate::dependency::{Dependency, Meant};
use crate::leader::topology::{LocalPods, Topology};
use crate::registry::{ClusterPaths, watch};

/// Watches everything that a topology consists of.
pub(crate) struct Eyes {
    roster: Roster,
    remotes: StreamMap<String, BoxStream<'static, Pods>>,
    local: Option<LocalPods>,
    dependencies: BTreeMap<String, Pods>,
    expected: usize,
}

impl Eyes {
    /// `patience` is how long a dependency may look empty before that is believed.
    pub(crate) fn new(client: &Client, cluster: &ClusterName, dependencies: &[Dependency], patience: Duration) -> Self {
        let mut remotes = StreamMap::new();
        for dependency in dependencies {
            let stream = match dependency.meant() {
                Meant::One(remote) if remote == cluster => {
                    futures::stream::iter([Pods::new()]).chain(futures::stream::pending()).boxed()
                }
                Meant::One(remote) => snapshot(client.clone(), remote, patience),
                Meant::Matching(_) => Matching::new(client.clone(), dependency.clone(), cluster.clone(), patience).stream(),
            };
            remotes.insert(dependency.as_str().to_owned(), stream);
        }
        let expected = remotes.len();
        Self { roster: Roster::new(client.clone(), cluster), remotes, local: None, dependencies: BTreeMap::new(), expected }
    }

    /// The topology after the next change; the first one as soon as every part of it has been seen. `None` once the session
    /// has ended. May be dropped midway.
    pub(crate) async fn next(&mut self) -> Option<Topology> {
        loop {
            let changed = tokio::select! {
                local = self.roster.next() => {
                    let local = local?;
                    let changed = self.local.as_ref() != Some(&local);
                    self.local = Some(local);
                    changed
                }
                Some((name, pods)) = self.remotes.next() => {
                    let changed = self.dependencies.get(&name) != Some(&pods);
                    self.dependencies.insert(name, pods);
                    changed
                }
            };
            match &self.local {
                Some(local) if changed && self.dependencies.len() == self.expected => {
                    return Some(Topology { local: local.clone(), dependencies: self.dependencies.clone() });
                }
                _ => {}
            }
        }
    }
}

/// The nodes below `/pods`.
pub(crate) struct Roster {
    client: Client,
    folder: String,
    names: Pin<Box<dyn Stream<Item = Vec<String>> + Send>>,
    nodes: StreamMap<String, BoxStream<'static, Option<Vec<u8>>>>,
    contents: BTreeMap<String, Vec<u8>>,
    listed: bool,
}

impl Roster {
    pub(crate) fn new(client: Client, cluster: &ClusterName) -> Self {
        let folder = ClusterPaths::new(cluster).pods();
        let names = Box::pin(watch::children(client.clone(), folder.clone()));
        Self { client, folder, names, nodes: StreamMap::new(), contents: BTreeMap::new(), listed: false }
    }

    /// The pods after the next change. `None` once the session has ended. May be dropped midway.
    pub(crate) async fn next(&mut self) -> Option<LocalPods> {
        loop {
            tokio::select! {
                names = self.names.next() => self.list(names?),
                Some((name, content)) = self.nodes.next() => match content {
                    Some(content) => drop(self.contents.insert(name, content)),
                    // The list is about to say so too.
                    None => self.forget(&name),
                },
            }
            if self.listed && self.contents.len() == self.nodes.len() {
                return Some(LocalPods::read(self.contents.iter()));
            }
        }
    }

    fn list(&mut self, names: Vec<String>) {
        self.listed = true;
        let gone: Vec<String> = self.nodes.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            self.forget(&name);
        }
        for name in names {
            if !self.nodes.contains_key(&name) {
                let path = format!("{}/{name}", self.folder);
                self.nodes.insert(name, watch::content(self.client.clone(), path).boxed());
            }
        }
    }

    fn forget(&mut self, name: &String) {
        self.nodes.remove(name);
        self.contents.remove(name);
    }
}

/// The published pods of one cluster.
fn snapshot(client: Client, cluster: &ClusterName, patience: Duration) -> BoxStream<'static, Pods> {
    let contents = watch::content(client, ClusterPaths::new(cluster).snapshot());
    let pods = contents.map(|content| content.as_deref().map_or_else(Pods::new, read_snapshot));
    Patient { pods: pods.boxed(), shown: None, waiting: None, patience }.stream()
}

/// What is no JSON object of registrations counts as empty.
fn read_snapshot(content: &[u8]) -> Pods {
    serde_json::from_slice(content).unwrap_or_default()
}

/// Believes in an empty snapshot only after a while: each time its leader changes, a cluster looks empty until the next one
/// has published.
struct Patient {
    pods: BoxStream<'static, Pods>,
    shown: Option<Pods>,
    waiting: Option<Instant>,
    patience: Duration,
}

impl Patient {
    fn stream(self) -> BoxStream<'static, Pods> {
        futures::stream::unfold(self, |mut patient| async {
            let pods = patient.next().await?;
            Some((pods, patient))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Pods> {
        loop {
            let waiting = self.waiting;
            let pods = tokio::select! {
                // What has come counts, also where this comes late to look at it.
                biased;
                pods = self.pods.next() => pods?,
                () = async { sleep_until(waiting.unwrap_or_else(Instant::now)).await }, if waiting.is_some() => {
                    self.waiting = None;
                    self.shown = Some(Pods::new());
                    return self.shown.clone();
                }
            };
            let doubtful = pods.is_empty() && self.shown.as_ref().is_some_and(|shown| !shown.is_empty());
            if doubtful {
                self.waiting.get_or_insert_with(|| Instant::now() + self.patience);
                continue;
            }
            self.waiting = None;
            if self.shown.as_ref() != Some(&pods) {
                self.shown = Some(pods);
                return self.shown.clone();
            }
        }
    }
}

/// The pods of every cluster that matches a pattern, as one set.
struct Matching {
    client: Client,
    dependency: Dependency,
    own: ClusterName,
    patience: Duration,
    names: Pin<Box<dyn Stream<Item = Vec<String>> + Send>>,
    clusters: StreamMap<String, BoxStream<'static, Pods>>,
    seen: BTreeMap<String, Pods>,
    listed: bool,
}

impl Matching {
    fn new(client: Client, dependency: Dependency, own: ClusterName, patience: Duration) -> Self {
        let names = Box::pin(watch::children(client.clone(), CLUSTERS_PATH.to_owned()));
        Self { client, dependency, own, patience, names, clusters: StreamMap::new(), seen: BTreeMap::new(), listed: false }
    }

    fn stream(self) -> BoxStream<'static, Pods> {
        futures::stream::unfold(self, |mut matching| async {
            let pods = matching.next().await?;
            Some((pods, matching))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Pods> {
        loop {
            tokio::select! {
                names = self.names.next() => self.list(names?),
                Some((name, pods)) = self.clusters.next() => drop(self.seen.insert(name, pods)),
            }
            if self.listed && self.seen.len() == self.clusters.len() {
                return Some(self.seen.values().flatten().map(|(key, pod)| (key.clone(), pod.clone())).collect());
            }
        }
    }

    fn list(&mut self, names: Vec<String>) {
        self.listed = true;
        for name in names {
            let Ok(cluster) = name.parse::<ClusterName>() else { continue };
            let meant = matches!(self.dependency.meant(), Meant::Matching(glob) if glob.matches(&name));
            if meant && cluster != self.own && !self.clusters.contains_key(&name) {
                self.clusters.insert(name, snapshot(self.client.clone(), &cluster, self.patience));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods(keys: &[&str]) -> Pods {
        keys.iter().map(|key| ((*key).to_owned(), serde_json::Map::new())).collect()
    }

    #[tokio::test]
    async fn b10_an_empty_snapshot_is_believed_only_after_a_while() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let patience = Duration::from_millis(100);
        let mut shown = Patient { pods: receiver.boxed(), shown: None, waiting: None, patience }.stream();
        let say = |keys: &[&str]| sender.unbounded_send(pods(keys)).unwrap();
        say(&[]);
        assert_eq!(shown.next().await, Some(pods(&[])), "empty from the start is nothing to wait for");
        say(&["a", "b"]);
        assert_eq!(shown.next().await, Some(pods(&["a", "b"])));
        say(&[]);
        say(&["a"]);
        let start = Instant::now();
        assert_eq!(shown.next().await, Some(pods(&["a"])), "the gap between two leaders is not shown");
        say(&[]);
        assert_eq!(shown.next().await, Some(pods(&[])));
        assert!(start.elapsed() >= patience);
    }

    #[test]
    fn a_snapshot_that_is_no_json_object_is_empty() {
        for text in ["", "[]", "{", "{\"a\": 1}", "null"] {
            assert_eq!(read_snapshot(text.as_bytes()), Pods::new(), "{text}");
        }
        assert_eq!(read_snapshot(json!({"a": {}}).to_string().as_bytes()), pods(&["a"]));
    }
}
