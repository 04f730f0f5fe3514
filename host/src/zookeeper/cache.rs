//! What is known of the registry: clusters, their nodes, the pods in them. Plain values; [`super::session`] fills it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::AbortHandle;
use ocho_core::{ClusterGlob, ClusterName, PodId, PodSeq, Registration};
use ocho_runtime::host::Pod;
use tracing::{debug, warn};

/// Something that is read and then watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The list of clusters.
    Root,
    /// The list of nodes of a cluster.
    Cluster(String),
    /// The content of a node of a cluster.
    Node(String, String),
}

/// A watch that the server holds for us. Dropping it takes it back.
#[derive(Debug)]
pub(super) struct Watch(pub(super) AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The registry holds more than the daemon is set up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// The registry as far as it was asked for. What changed since it was read is marked and read again when somebody asks.
#[derive(Debug)]
pub(super) struct Cache {
    /// How many clusters, and how many nodes in all of them, may be kept.
    limit: usize,
    root: Freshness,
    clusters: BTreeMap<String, Cluster>,
}

#[derive(Debug, Default)]
struct Freshness {
    is_current: bool,
    /// Held for its `Drop`.
    _watch: Option<Watch>,
}

impl Freshness {
    fn current(watch: Option<Watch>) -> Self {
        Self { is_current: true, _watch: watch }
    }
}

#[derive(Debug)]
struct Cluster {
    name: ClusterName,
    list: Freshness,
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Default)]
struct Node {
    content: Freshness,
    pod: Option<Registered>,
}

#[derive(Debug)]
struct Registered {
    /// The transaction that created the node: a larger number is a younger node.
    created: i64,
    /// Shared, so that the keeper hands out a thousand pods in no time; who asked makes copies.
    pod: Arc<Pod>,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, root: Freshness::default(), clusters: BTreeMap::new() }
    }

    /// The pods of the clusters that match, sorted by cluster, then seq.
    ///
    /// A pod that lost its session registers again under a new node while the old one waits for its end: the younger one
    /// is where it can be reached.
    pub(super) fn pods(&self, glob: &ClusterGlob) -> Vec<Arc<Pod>> {
        let mut found = Vec::new();
        for cluster in self.matching(std::slice::from_ref(glob)).map(|(_, cluster)| cluster) {
            let mut newest: BTreeMap<PodSeq, &Registered> = BTreeMap::new();
            for registered in cluster.nodes.values().filter_map(|node| node.pod.as_ref()) {
                let place = newest.entry(registered.pod.id.seq).or_insert(registered);
                if place.created < registered.created {
                    *place = registered;
                }
            }
            found.extend(newest.into_values().map(|registered| Arc::clone(&registered.pod)));
        }
        found
    }

    pub(super) fn needs_clusters(&self) -> bool {
        !self.root.is_current
    }

    /// The clusters that match and whose nodes have to be listed (again).
    pub(super) fn clusters_to_list(&self, globs: &[ClusterGlob]) -> Vec<String> {
        self.matching(globs).filter(|(_, cluster)| !cluster.list.is_current).map(|(name, _)| name.clone()).collect()
    }

    /// The nodes of clusters that match and whose content has to be read (again).
    pub(super) fn nodes_to_read(&self, globs: &[ClusterGlob]) -> Vec<(String, String)> {
        let unread = |(name, node): (&String, &Node)| (!node.content.is_current).then(|| name.clone());
        self.matching(globs)
            .flat_map(|(cluster, known)| known.nodes.iter().filter_map(unread).map(|node| (cluster.clone(), node)))
            .collect()
    }

    /// Takes the list of clusters.
    pub(super) fn set_clusters(&mut self, names: Vec<String>, watch: Option<Watch>) -> Result<(), TooMany> {
        if names.len() > self.limit {
            return Err(TooMany);
        }
        let mut before = std::mem::take(&mut self.clusters);
        for folder in names {
            let cluster = match before.remove(&folder) {
                Some(known) => known,
                None => match folder.parse() {
                    Ok(name) => Cluster { name, list: Freshness::default(), nodes: BTreeMap::new() },
                    Err(error) => {
                        warn!(cluster = folder, %error, "left out a cluster that cannot be named");
                        continue;
                    }
                },
            };
            self.clusters.insert(folder, cluster);
        }
        self.root = Freshness::current(watch);
        Ok(())
    }

    /// Takes the list of a cluster's nodes.
    pub(super) fn set_nodes(&mut self, cluster: &str, names: Vec<String>, watch: Option<Watch>) -> Result<(), TooMany> {
        let elsewhere: usize =
            self.clusters.iter().filter(|(name, _)| *name != cluster).map(|(_, other)| other.nodes.len()).sum();
        if elsewhere.saturating_add(names.len()) > self.limit {
            return Err(TooMany);
        }
        let Some(known) = self.clusters.get_mut(cluster) else { return Ok(()) };
        let mut before = std::mem::take(&mut known.nodes);
        known.nodes =
            names.into_iter().map(|name| (before.remove(&name).unwrap_or_default(), name)).map(|(n, name)| (name, n)).collect();
        known.list = Freshness::current(watch);
        Ok(())
    }

    /// Takes the content of a node that was created by the transaction `created`.
    pub(super) fn set_content(&mut self, cluster: &str, node: &str, created: i64, content: &[u8], watch: Option<Watch>) {
        let Some(known) = self.clusters.get_mut(cluster) else { return };
        let Some(place) = known.nodes.get_mut(node) else { return };
        place.content = Freshness::current(watch);
        place.pod = match Registration::parse(content) {
            Ok(registration) => {
                let id = PodId { cluster: known.name.clone(), seq: registration.seq };
                Some(Registered { created, pod: Arc::new(Pod { id, registration }) })
            }
            // The content is never logged: registrations carry tokens.
            Err(error) => {
                warn!(cluster, node, %error, "left out a node that is no registration");
                None
            }
        };
    }

    /// Takes that a node went away between the list and the look at it.
    pub(super) fn set_vanished(&mut self, cluster: &str, node: &str) {
        debug!(cluster, node, "a node vanished while it was read");
        if let Some(known) = self.clusters.get_mut(cluster) {
            known.nodes.remove(node);
        }
    }

    /// Marks what has to be read again.
    pub(super) fn mark_changed(&mut self, place: &Place) {
        match place {
            Place::Root => self.root = Freshness::default(),
            Place::Cluster(cluster) => {
                if let Some(known) = self.clusters.get_mut(cluster) {
                    known.list = Freshness::default();
                }
            }
            Place::Node(cluster, node) => {
                if let Some(known) = self.clusters.get_mut(cluster).and_then(|known| known.nodes.get_mut(node)) {
                    known.content = Freshness::default();
                }
            }
        }
    }

    fn matching(&self, globs: &[ClusterGlob]) -> impl Iterator<Item = (&String, &Cluster)> {
        self.clusters.iter().filter(|(name, _)| globs.iter().any(|glob| glob.matches(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [ClusterGlob; 1] {
        [ClusterGlob::new("*")]
    }

    fn keys(cache: &Cache, glob: &str) -> Vec<String> {
        cache.pods(&ClusterGlob::new(glob)).iter().map(|pod| pod.id.to_string()).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Name, transaction, content.
    type TestNode<'a> = (&'a str, i64, &'a str);

    /// A cache of these clusters, each with these nodes.
    fn cache(clusters: &[(&str, &[TestNode<'_>])]) -> Cache {
        let mut cache = Cache::new(100);
        cache.set_clusters(clusters.iter().map(|(name, _)| (*name).to_owned()).collect(), None).unwrap();
        for (cluster, nodes) in clusters {
            cache.set_nodes(cluster, nodes.iter().map(|(name, ..)| (*name).to_owned()).collect(), None).unwrap();
            for (node, created, content) in *nodes {
                cache.set_content(cluster, node, *created, content.as_bytes(), None);
            }
        }
        cache
    }

    #[test]
    fn pods_are_sorted_by_cluster_then_seq() {
        let cache = cache(&[
            ("m.web", &[("a.0", 1, r#"{"seq": 12}"#), ("b.1", 2, r#"{"seq": 3}"#)]),
            ("m.db", &[("c.0", 3, r#"{"seq": 0}"#)]),
            ("m.old", &[]),
        ]);
        assert_eq!(keys(&cache, "*"), ["m.db #0", "m.web #3", "m.web #12"]);
        assert_eq!(keys(&cache, "*.w?b"), ["m.web #3", "m.web #12"]);
        assert_eq!(keys(&cache, "web"), [""; 0]);
    }

    #[test]
    fn nodes_that_are_no_registrations_are_left_out() {
        let cache = cache(&[(
            "m.web",
            &[("a.0", 1, ""), ("b.1", 2, "[]"), ("c.2", 3, r#"{"ip": "h"}"#), ("d.3", 4, r#"{"seq": 3}"#), ("e.4", 5, "{\"seq")],
        )]);
        assert_eq!(keys(&cache, "*"), ["m.web #3"]);
    }

    #[test]
    fn a_pod_that_registered_again_is_where_its_younger_node_says() {
        let young = r#"{"seq": 1, "ip": "young"}"#;
        let old = r#"{"seq": 1, "ip": "old"}"#;
        for nodes in [[("a.2", 20, young), ("a.1", 7, old)], [("z.1", 7, old), ("b.2", 20, young)]] {
            let pods = cache(&[("m.web", &nodes)]).pods(&ClusterGlob::new("*"));
            assert_eq!(pods.len(), 1);
            assert_eq!(pods[0].registration.all["ip"], "young");
        }
    }

    #[test]
    fn only_what_changed_and_matches_is_read_again() {
        let pod = r#"{"seq": 1}"#;
        let mut cache = cache(&[("m.web", &[("a.0", 1, pod), ("b.1", 2, pod)]), ("m.db", &[("c.0", 3, pod)])]);
        assert!(!cache.needs_clusters());
        assert_eq!((cache.clusters_to_list(&all()), cache.nodes_to_read(&all())), (vec![], vec![]));

        for place in [Place::Root, Place::Cluster("m.web".into()), Place::Node("m.db".into(), "c.0".into())] {
            cache.mark_changed(&place);
        }
        assert!(cache.needs_clusters());
        assert_eq!(cache.clusters_to_list(&all()), ["m.web"]);
        assert_eq!(cache.nodes_to_read(&all()), [("m.db".to_owned(), "c.0".to_owned())]);
        assert!(cache.nodes_to_read(&[ClusterGlob::new("*.web")]).is_empty());

        cache.set_nodes("m.web", names(&["b.1", "d.2"]), None).unwrap();
        let unread = cache.nodes_to_read(&[ClusterGlob::new("*.web")]);
        assert_eq!(unread, [("m.web".to_owned(), "d.2".to_owned())], "known nodes are not read again, gone ones are forgotten");
    }

    #[test]
    fn clusters_and_nodes_that_went_are_forgotten_with_their_watches() {
        let mut cache = cache(&[("m.web", &[]), ("m.db", &[("c.0", 1, r#"{"seq": 1}"#)])]);
        let (watch, registration) = AbortHandle::new_pair();
        cache.set_nodes("m.web", vec![], Some(Watch(watch))).unwrap();
        cache.set_clusters(names(&["m.db"]), None).unwrap();
        assert!(registration.handle().is_aborted());
        cache.set_vanished("m.db", "c.0");
        assert_eq!(keys(&cache, "*"), [""; 0]);
        // What was asked for before they went may still arrive.
        cache.set_nodes("m.web", names(&["x"]), None).unwrap();
        cache.set_content("m.web", "x", 1, b"{}", None);
        cache.set_vanished("m.web", "x");
        for place in [Place::Cluster("m.web".into()), Place::Node("m.db".into(), "c.0".into())] {
            cache.mark_changed(&place);
        }
        assert_eq!(keys(&cache, "*"), [""; 0]);
    }

    #[test]
    fn odd_cluster_names_are_left_out() {
        let cache = cache(&[("a b", &[("c.0", 1, r#"{"seq": 1}"#)]), ("ok", &[("c.0", 1, r#"{"seq": 1}"#)])]);
        assert_eq!(keys(&cache, "*"), ["ok #1"]);
    }

    #[test]
    fn the_number_of_clusters_and_nodes_is_bounded() {
        let mut cache = Cache::new(3);
        assert_eq!(cache.set_clusters(names(&["a", "b", "c", "d"]), None), Err(TooMany));
        cache.set_clusters(names(&["a", "b"]), None).unwrap();
        cache.set_nodes("a", names(&["1", "2"]), None).unwrap();
        assert_eq!(cache.set_nodes("b", names(&["1", "2"]), None), Err(TooMany));
        cache.set_nodes("a", names(&["1", "2", "3"]), None).unwrap();
    }
}
