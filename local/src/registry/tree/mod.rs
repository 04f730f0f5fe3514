//! The tree of nodes: what it holds and how it changes. No sockets, no sessions, no clock.
//!
//! Every change is checked completely before anything moves, and leaves a `Change` that says what to tell watchers,
//! what to save, and how to take it back when a later operation of the same transaction fails.

mod node;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

pub(super) use self::node::{Counters, Node, Owner, Stamp};
use super::acl::{self, Acl, AclList, Who, perms};
use super::code::Code;
use super::path;
use super::wire::Stat;

/// How much a tree may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeLimits {
    pub(super) nodes: usize,
    /// Data, paths and access lists together.
    pub(super) bytes: usize,
}

/// A change that was made to a node.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) path: String,
    /// Who may hear of it: readers of the node,
    pub(super) acl: AclList,
    /// and for its parent's list of children, readers of the parent.
    pub(super) parent_acl: AclList,
    pub(super) what: What,
}

/// What a change was, with what it takes to undo it.
#[derive(Clone, Debug)]
pub(super) enum What {
    Created { parent_before: Counters },
    Deleted { node: Box<Node>, parent_before: Counters },
    DataSet { data_before: Option<Bytes>, before: Counters },
    AclSet,
}

impl Change {
    /// A change that does not touch the parent.
    fn of_node(path: &str, acl: AclList, what: What) -> Self {
        Self { path: path.to_owned(), parent_acl: acl.clone(), acl, what }
    }
}

/// How a node is to be created.
#[derive(Clone, Debug)]
pub(super) struct NewNode<'a> {
    pub(super) path: &'a str,
    pub(super) data: Option<Bytes>,
    pub(super) acl: Vec<Acl>,
    pub(super) owner: Owner,
    /// Ten digits of the parent's counter are appended to the path.
    pub(super) sequential: bool,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: HashMap<Box<str>, Node>,
    limits: TreeLimits,
    bytes: usize,
    ephemerals: HashMap<i64, BTreeSet<Box<str>>>,
    containers: BTreeSet<Box<str>>,
}

impl Tree {
    /// The tree as a server begins with: the root and the nodes that belong to the server.
    pub(super) fn new(limits: TreeLimits) -> Self {
        let mut tree = Self { nodes: HashMap::new(), limits, bytes: 0, ephemerals: HashMap::new(), containers: BTreeSet::new() };
        for special in path::SPECIAL {
            tree.put(special, Node::new(Stamp { zxid: 0, time_ms: 0 }, Some(Bytes::new()), acl::open(), Owner::Nobody));
        }
        // The one that would describe an ensemble can be read only, since before its first version.
        if let Some(config) = tree.nodes.get_mut("/zookeeper/config") {
            config.acl = acl::read_only();
            config.counters.aversion = -1;
            tree.bytes += acl::size(&config.acl);
        }
        tree
    }

    /// Puts a node as it was saved, parents first. What is there already keeps its children.
    pub(super) fn load(&mut self, path: &str, mut node: Node) -> Result<(), Code> {
        self.find(path::parent(path)?)?;
        if let Some(present) = self.nodes.remove(path) {
            self.bytes -= path.len() + present.size();
            self.unindex(path, present.owner);
            node.children = present.children;
        }
        self.put(path, node);
        Ok(())
    }

    fn put(&mut self, path: &str, node: Node) {
        self.bytes += path.len() + node.size();
        self.index(path, node.owner);
        self.nodes.insert(path.into(), node);
        if let Ok(parent) = path::parent(path)
            && path != "/"
            && let Some(parent) = self.nodes.get_mut(path::canonical(parent))
        {
            parent.children.insert(path::name(path).into());
        }
    }

    /// The node, if there is one. The empty path is the root.
    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path::canonical(path))
    }

    pub(super) fn find(&self, path: &str) -> Result<&Node, Code> {
        self.get(path).ok_or(Code::NoNode)
    }

    fn find_mut(&mut self, path: &str) -> Result<&mut Node, Code> {
        self.nodes.get_mut(path::canonical(path)).ok_or(Code::NoNode)
    }

    /// Notes that the store has, or is about to have, some state of the node.
    pub(super) fn mark_saved(&mut self, path: &str) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.saved = true;
        }
    }

    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn byte_count(&self) -> usize {
        self.bytes
    }

    pub(super) fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// What goes with the session, sorted.
    pub(super) fn ephemerals_of(&self, session: i64) -> impl Iterator<Item = &str> {
        self.ephemerals.get(&session).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Sessions that have ephemeral nodes.
    pub(super) fn ephemeral_owners(&self) -> Vec<i64> {
        self.ephemerals.keys().copied().collect()
    }

    /// How many nodes are below the path.
    pub(super) fn count_below(&self, path: &str) -> Result<usize, Code> {
        if path::canonical(path) == "/" {
            return Ok(self.nodes.len() - 1);
        }
        self.find(path)?;
        let prefix = format!("{path}/");
        Ok(self.nodes.keys().filter(|path| path.starts_with(&prefix)).count())
    }

    /// Containers that had children and have none now.
    pub(super) fn idle_containers(&self) -> Vec<String> {
        let idle = |node: &Node| node.counters.creates > 0 && node.children.is_empty();
        let containers = self.containers.iter().filter(|path| self.get(path).is_some_and(idle));
        containers.map(ToString::to_string).collect()
    }

    /// Creates a node; gives its path, which a sequential node learns only now.
    pub(super) fn create(
        &mut self,
        stamp: Stamp,
        who: &Who,
        new: NewNode<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<(String, Stat), Code> {
        let parent_path = path::parent(new.path)?;
        let acl = who.resolve(new.acl)?;
        let parent = self.find(parent_path)?;
        who.check(&parent.acl, perms::CREATE)?;
        let path = if new.sequential { format!("{}{:010}", new.path, parent.counters.creates) } else { new.path.to_owned() };
        path::validate(&path)?;
        if self.nodes.contains_key(path.as_str()) {
            return Err(Code::NodeExists);
        }
        if matches!(parent.owner, Owner::Session(_)) {
            return Err(Code::NoChildrenForEphemerals);
        }
        let node = Node::new(stamp, new.data, acl::shared(acl), new.owner);
        self.check_room(1, path.len() + node.size())?;
        let stat = node.stat();
        let (parent_before, parent_acl) = self.count_change(parent_path, stamp, 1)?;
        changes.push(Change { path: path.clone(), acl: node.acl.clone(), parent_acl, what: What::Created { parent_before } });
        self.put(&path, node);
        Ok((path, stat))
    }

    /// Deletes a node without children.
    pub(super) fn delete(
        &mut self,
        stamp: Stamp,
        who: &Who,
        path: &str,
        version: i32,
        changes: &mut Vec<Change>,
    ) -> Result<(), Code> {
        let parent_path = path::parent(path)?;
        if path::SPECIAL.contains(&path) {
            return Err(Code::BadArguments);
        }
        who.check(&self.find(parent_path)?.acl, perms::DELETE)?;
        let node = self.find(path)?;
        check_version(node.counters.version, version)?;
        if !node.children.is_empty() {
            return Err(Code::NotEmpty);
        }
        self.remove(stamp, path, changes)
    }

    /// Deletes what is known to be there and to have no children, whoever asks.
    pub(super) fn remove(&mut self, stamp: Stamp, path: &str, changes: &mut Vec<Change>) -> Result<(), Code> {
        let (parent_before, parent_acl) = self.count_change(path::parent(path)?, stamp, 0)?;
        let node = self.take(path).ok_or(Code::NoNode)?;
        let acl = node.acl.clone();
        let what = What::Deleted { node: Box::new(node), parent_before };
        changes.push(Change { path: path.to_owned(), acl, parent_acl, what });
        Ok(())
    }

    pub(super) fn set_data(
        &mut self,
        stamp: Stamp,
        who: &Who,
        path: &str,
        data: Option<Bytes>,
        version: i32,
        changes: &mut Vec<Change>,
    ) -> Result<Stat, Code> {
        path::validate(path)?;
        let node = self.find(path)?;
        who.check(&node.acl, perms::WRITE)?;
        let version = check_version(node.counters.version, version)?;
        let size_before = node.size();
        let size = data.as_ref().map_or(0, Bytes::len) + acl::size(&node.acl);
        self.check_room(0, size.saturating_sub(size_before))?;
        self.bytes = self.bytes - size_before + size;
        let node = self.find_mut(path)?;
        let before = node.counters;
        node.counters = Counters { mzxid: stamp.zxid, mtime_ms: stamp.time_ms, version, ..before };
        let data_before = std::mem::replace(&mut node.data, data);
        let stat = node.stat();
        let acl = node.acl.clone();
        changes.push(Change::of_node(path, acl, What::DataSet { data_before, before }));
        Ok(stat)
    }

    /// Changes the access list. It is never part of a transaction, so it cannot be taken back.
    pub(super) fn set_acl(
        &mut self,
        who: &Who,
        path: &str,
        list: Vec<Acl>,
        version: i32,
        changes: &mut Vec<Change>,
    ) -> Result<Stat, Code> {
        path::validate(path)?;
        let list: AclList = acl::shared(who.resolve(list)?);
        let node = self.find(path)?;
        who.check(&node.acl, perms::ADMIN)?;
        let aversion = check_version(node.counters.aversion, version)?;
        let (size_before, size) = (acl::size(&node.acl), acl::size(&list));
        self.check_room(0, size.saturating_sub(size_before))?;
        self.bytes = self.bytes - size_before + size;
        let node = self.find_mut(path)?;
        node.acl = list;
        node.counters.aversion = aversion;
        let stat = node.stat();
        let acl = node.acl.clone();
        changes.push(Change::of_node(path, acl, What::AclSet));
        Ok(stat)
    }

    /// Checks that a node has a version.
    pub(super) fn check(&self, who: &Who, path: &str, version: i32) -> Result<(), Code> {
        path::validate(path)?;
        let node = self.find(path)?;
        who.check(&node.acl, perms::READ)?;
        check_version(node.counters.version, version).map(drop)
    }

    /// Takes changes back, the last one first.
    pub(super) fn undo(&mut self, changes: Vec<Change>) {
        for change in changes.into_iter().rev() {
            self.undo_one(change);
        }
    }

    fn undo_one(&mut self, change: Change) {
        let path = change.path.as_str();
        match change.what {
            What::Created { parent_before } => {
                self.take(path);
                self.restore_parent(path, parent_before);
            }
            What::Deleted { node, parent_before } => {
                self.put(path, *node);
                self.restore_parent(path, parent_before);
            }
            What::DataSet { data_before, before } => {
                let Some(node) = self.nodes.get_mut(path) else { return };
                self.bytes -= node.size();
                node.data = data_before;
                node.counters = before;
                self.bytes += node.size();
            }
            What::AclSet => {}
        }
    }

    fn restore_parent(&mut self, path: &str, before: Counters) {
        let parent = path::parent(path).map(path::canonical);
        if let Some(parent) = parent.ok().and_then(|parent| self.nodes.get_mut(parent)) {
            parent.counters = before;
        }
    }

    /// The parent's side of a create or delete; gives what it was before, and who may read it.
    fn count_change(&mut self, parent: &str, stamp: Stamp, creates: i32) -> Result<(Counters, AclList), Code> {
        let parent = self.find_mut(parent)?;
        let before = parent.counters;
        parent.counters.creates = before.creates.wrapping_add(creates);
        parent.counters.pzxid = stamp.zxid;
        Ok((before, parent.acl.clone()))
    }

    fn take(&mut self, path: &str) -> Option<Node> {
        let node = self.nodes.remove(path)?;
        self.bytes -= path.len() + node.size();
        self.unindex(path, node.owner);
        let parent = path::parent(path).map(path::canonical);
        if let Some(parent) = parent.ok().and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.remove(path::name(path));
        }
        Some(node)
    }

    fn index(&mut self, path: &str, owner: Owner) {
        match owner {
            Owner::Nobody => {}
            Owner::Container => {
                self.containers.insert(path.into());
            }
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(path.into());
            }
        }
    }

    fn unindex(&mut self, path: &str, owner: Owner) {
        match owner {
            Owner::Nobody => {}
            Owner::Container => {
                self.containers.remove(path);
            }
            Owner::Session(session) => {
                let Some(paths) = self.ephemerals.get_mut(&session) else { return };
                paths.remove(path);
                if paths.is_empty() {
                    self.ephemerals.remove(&session);
                }
            }
        }
    }

    fn check_room(&self, nodes: usize, bytes: usize) -> Result<(), Code> {
        let fits = self.nodes.len() + nodes <= self.limits.nodes && self.bytes + bytes <= self.limits.bytes;
        // Shrinking is always possible, also above a bound that was lowered since.
        if fits || (nodes == 0 && bytes == 0) { Ok(()) } else { Err(Code::QuotaExceeded) }
    }
}

/// The version after a change, if the one before is what the client expects; -1 expects nothing.
fn check_version(current: i32, expected: i32) -> Result<i32, Code> {
    if expected == -1 || expected == current { Ok(current.wrapping_add(1)) } else { Err(Code::BadVersion) }
}
