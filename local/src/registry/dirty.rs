//! What changed since the store was told the last time.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::path;
use super::sessions::Sessions;
use super::store::{Batch, SavedNode, SavedSession};
use super::tree::{Change, Tree, What};
use super::wire::Zxid;

/// Paths and sessions, not their content: that is looked up when it is saved. So what waits for a slow disk is bounded
/// by what the tree holds, however often it changes.
#[derive(Debug)]
pub(super) struct Dirty {
    paths: HashSet<Box<str>>,
    sessions: HashSet<i64>,
    saved_zxid: Zxid,
    bell: Arc<Notify>,
}

impl Dirty {
    pub(super) fn new(saved_zxid: Zxid) -> Self {
        Self { paths: HashSet::new(), sessions: HashSet::new(), saved_zxid, bell: Arc::default() }
    }

    /// Says that something is to be saved.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(super) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    pub(super) fn mark_session(&mut self, id: i64) {
        self.sessions.insert(id);
    }

    pub(super) fn mark(&mut self, change: &Change, tree: &mut Tree) {
        let path = change.path.as_str();
        match &change.what {
            What::Created { .. } => {
                // A deletion that the store does not know yet: whatever comes, the store must hear of this path.
                if !self.paths.insert(path.into()) {
                    tree.mark_saved(path);
                }
                self.mark_parent(path);
            }
            What::Deleted { node, .. } => {
                // What the store never saw need not be deleted there: nodes that come and go leave nothing.
                if node.saved {
                    self.paths.insert(path.into());
                } else {
                    self.paths.remove(path);
                }
                self.mark_parent(path);
            }
            What::DataSet { .. } | What::AclSet => {
                self.paths.insert(path.into());
            }
        }
    }

    fn mark_parent(&mut self, path: &str) {
        if let Ok(parent) = path::parent(path) {
            self.paths.insert(path::canonical(parent).into());
        }
    }

    pub(super) fn take_batch(&mut self, zxid: Zxid, tree: &mut Tree, sessions: &Sessions) -> Option<Batch> {
        if zxid == self.saved_zxid && self.paths.is_empty() && self.sessions.is_empty() {
            return None;
        }
        self.saved_zxid = zxid;
        let nodes = std::mem::take(&mut self.paths).into_iter().map(|path| {
            tree.mark_saved(&path);
            let node = tree.get(&path).map(SavedNode::of);
            (path, node)
        });
        let sessions = std::mem::take(&mut self.sessions).into_iter().map(|id| {
            let session = sessions.get(id);
            (id, session.map(|session| SavedSession { password: session.password, timeout: session.timeout }))
        });
        Some(Batch { zxid, nodes: nodes.collect(), sessions: sessions.collect() })
    }

    /// Takes back what could not be saved.
    pub(super) fn keep(&mut self, batch: &Batch) {
        // Unlike any other: the next batch is not empty.
        self.saved_zxid = -1;
        self.paths.extend(batch.nodes.iter().map(|(path, _)| path.clone()));
        self.sessions.extend(batch.sessions.iter().map(|(id, _)| *id));
    }
}
