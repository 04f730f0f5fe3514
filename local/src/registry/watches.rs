//! Watches: which connection wants to hear of which node.

use std::collections::{HashMap, HashSet};

use super::acl::AclList;
use super::path;
use super::tree::{Change, What};
use super::wire::EventKind;

/// Names a connection for as long as the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConnId(pub(super) u64);

/// How long a watch holds and how far it sees. A connection can have several on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One event, then it is gone.
    Once,
    /// All events of the node.
    Persistent,
    /// All events of the node and of what is below it, save changes of lists of children.
    Recursive,
}

impl Mode {
    fn bit(self) -> u8 {
        match self {
            Self::Once => 1,
            Self::Persistent => 2,
            Self::Recursive => 4,
        }
    }
}

/// Which watches are to be looked for or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Children,
    Data,
    Any,
    Persistent,
    Recursive,
}

impl Kind {
    pub(super) fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::Recursive,
            _ => return None,
        })
    }

    /// The bits that it means among watches of data and among those of children.
    fn bits(self) -> (u8, u8) {
        let (once, all) = (Mode::Once.bit(), u8::MAX);
        match self {
            Self::Data => (once, 0),
            Self::Children => (0, once),
            Self::Any => (all, all),
            Self::Persistent => (Mode::Persistent.bit(), Mode::Persistent.bit()),
            Self::Recursive => (Mode::Recursive.bit(), Mode::Recursive.bit()),
        }
    }
}

/// Somebody is to hear of something, if the list allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) path: String,
    pub(super) acl: AclList,
    pub(super) to: Vec<ConnId>,
}

/// There are as many watches as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for another watch")]
pub(super) struct Full;

/// All watches.
#[derive(Debug)]
pub(super) struct Watches {
    data: Table,
    children: Table,
    limit: usize,
}

impl Watches {
    pub(super) fn new(limit: usize) -> Self {
        Self { data: Table::default(), children: Table::default(), limit }
    }

    /// Pairs of a connection and a path.
    pub(super) fn count(&self) -> usize {
        self.data.count + self.children.count
    }

    pub(super) fn watch_data(&mut self, conn: ConnId, path: &str) -> Result<(), Full> {
        self.room(1)?;
        self.data.add(conn, path, Mode::Once);
        Ok(())
    }

    pub(super) fn watch_children(&mut self, conn: ConnId, path: &str) -> Result<(), Full> {
        self.room(1)?;
        self.children.add(conn, path, Mode::Once);
        Ok(())
    }

    pub(super) fn watch_for_good(&mut self, conn: ConnId, path: &str, mode: Mode) -> Result<(), Full> {
        self.room(2)?;
        self.data.add(conn, path, mode);
        // A recursive watch hears of children as nodes of their own.
        if mode != Mode::Recursive {
            self.children.add(conn, path, mode);
        }
        Ok(())
    }

    fn room(&self, more: usize) -> Result<(), Full> {
        if self.count() + more <= self.limit { Ok(()) } else { Err(Full) }
    }

    pub(super) fn has(&self, conn: ConnId, path: &str, kind: Kind) -> bool {
        let (data, children) = kind.bits();
        self.data.has(conn, path, data) || self.children.has(conn, path, children)
    }

    /// Removes watches; says whether there were any.
    pub(super) fn remove(&mut self, conn: ConnId, path: &str, kind: Kind) -> bool {
        let (data, children) = kind.bits();
        let of_data = self.data.remove(conn, path, data);
        let of_children = self.children.remove(conn, path, children);
        of_data || of_children
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.data.forget(conn);
        self.children.forget(conn);
    }

    /// What is to be told about a change. Watches that hold once are used up by it.
    pub(super) fn trigger(&mut self, change: &Change) -> Vec<Event> {
        let path = &change.path;
        match change.what {
            What::Created { .. } => {
                let told = self.data.trigger(path, EventKind::Created);
                vec![event(EventKind::Created, change, told), self.parent_changed(change)]
            }
            What::Deleted { .. } => {
                let mut told = self.data.trigger(path, EventKind::Deleted);
                // Who watches data and children of a node hears once that it is gone.
                told.extend(self.children.trigger(path, EventKind::Deleted));
                told.sort_unstable();
                told.dedup();
                vec![event(EventKind::Deleted, change, told), self.parent_changed(change)]
            }
            What::DataSet { .. } => {
                let told = self.data.trigger(path, EventKind::DataChanged);
                vec![event(EventKind::DataChanged, change, told)]
            }
            What::AclSet => Vec::new(),
        }
    }

    fn parent_changed(&mut self, change: &Change) -> Event {
        let kind = EventKind::ChildrenChanged;
        let parent = path::parent(&change.path).map_or("/", path::canonical);
        let to = self.children.trigger(parent, kind);
        Event { kind, path: parent.to_owned(), acl: change.parent_acl.clone(), to }
    }
}

fn event(kind: EventKind, change: &Change, to: Vec<ConnId>) -> Event {
    Event { kind, path: change.path.clone(), acl: change.acl.clone(), to }
}

/// Watches of one sort, by path and by connection.
#[derive(Debug, Default)]
struct Table {
    by_path: HashMap<Box<str>, HashMap<ConnId, u8>>,
    by_conn: HashMap<ConnId, HashSet<Box<str>>>,
    count: usize,
    /// While there is none, nobody looks at the paths above.
    recursive_count: usize,
}

impl Table {
    fn add(&mut self, conn: ConnId, path: &str, mode: Mode) {
        let bits = self.bits(conn, path);
        self.set(conn, path, bits | mode.bit());
    }

    fn bits(&self, conn: ConnId, path: &str) -> u8 {
        self.by_path.get(path).and_then(|conns| conns.get(&conn)).copied().unwrap_or(0)
    }

    fn has(&self, conn: ConnId, path: &str, bits: u8) -> bool {
        self.bits(conn, path) & bits != 0
    }

    fn remove(&mut self, conn: ConnId, path: &str, bits: u8) -> bool {
        let before = self.bits(conn, path);
        self.set(conn, path, before & !bits);
        before & bits != 0
    }

    /// The one place where a pair changes, so that indexes and counts cannot part.
    fn set(&mut self, conn: ConnId, path: &str, bits: u8) {
        let before = self.bits(conn, path);
        if before == bits {
            return;
        }
        if bits == 0 {
            remove_member(&mut self.by_path, path, |conns| conns.remove(&conn), HashMap::is_empty);
            remove_member(&mut self.by_conn, &conn, |paths| paths.take(path), HashSet::is_empty);
        } else {
            self.by_path.entry(path.into()).or_default().insert(conn, bits);
            if before == 0 {
                self.by_conn.entry(conn).or_default().insert(path.into());
            }
        }
        self.count = self.count + usize::from(bits != 0) - usize::from(before != 0);
        let recursive = |bits: u8| usize::from(bits & Mode::Recursive.bit() != 0);
        self.recursive_count = self.recursive_count + recursive(bits) - recursive(before);
    }

    fn forget(&mut self, conn: ConnId) {
        let paths: Vec<_> = self.by_conn.get(&conn).into_iter().flatten().cloned().collect();
        for path in paths {
            self.set(conn, &path, 0);
        }
    }

    fn trigger(&mut self, path: &str, kind: EventKind) -> Vec<ConnId> {
        let mut told: Vec<_> = self.by_path.get(path).into_iter().flatten().map(|(conn, bits)| (*conn, *bits)).collect();
        // Recursive watches do not hear of lists of children, also not of those of their own node.
        told.retain(|(_, bits)| kind != EventKind::ChildrenChanged || *bits != Mode::Recursive.bit());
        for (conn, bits) in &told {
            self.set(*conn, path, bits & !Mode::Once.bit());
        }
        let mut told: Vec<_> = told.into_iter().map(|(conn, _)| conn).collect();
        if kind != EventKind::ChildrenChanged && self.recursive_count > 0 {
            told.extend(self.recursive_above(path));
        }
        told.sort_unstable();
        told.dedup();
        told
    }

    fn recursive_above(&self, path: &str) -> Vec<ConnId> {
        let above = path::ancestors(path).skip(1).filter_map(|above| self.by_path.get(above));
        let recursive = |(conn, bits): (&ConnId, &u8)| (bits & Mode::Recursive.bit() != 0).then_some(*conn);
        above.flatten().filter_map(recursive).collect()
    }
}

/// Removes a member of one set, and the set when it was the last.
fn remove_member<K, Q, S, R>(
    sets: &mut HashMap<K, S>,
    key: &Q,
    remove: impl FnOnce(&mut S) -> R,
    is_empty: impl FnOnce(&S) -> bool,
) where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    let Some(set) = sets.get_mut(key) else { return };
    remove(set);
    if is_empty(set) {
        sets.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::acl;
    use super::super::tree::{Counters, Tree, TreeLimits};
    use super::*;

    const ONE: ConnId = ConnId(1);
    const TWO: ConnId = ConnId(2);

    fn change(path: &str, what: What) -> Change {
        Change { path: path.to_owned(), acl: acl::open(), parent_acl: acl::open(), what }
    }

    fn created(path: &str) -> Change {
        change(path, What::Created { parent_before: Counters::default() })
    }

    fn data_set(path: &str) -> Change {
        change(path, What::DataSet { data_before: None, before: Counters::default() })
    }

    fn deleted(path: &str) -> Change {
        let node = Tree::new(TreeLimits { nodes: 9, bytes: 999 }).get("/").unwrap().clone();
        change(path, What::Deleted { node: Box::new(node), parent_before: Counters::default() })
    }

    #[track_caller]
    fn check(watches: &mut Watches, change: &Change, expected: &[(EventKind, &str, &[ConnId])]) {
        let told: Vec<_> = watches.trigger(change).into_iter().filter(|event| !event.to.is_empty()).collect();
        let told: Vec<_> = told.iter().map(|event| (event.kind, event.path.as_str(), event.to.as_slice())).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_plain_watch_tells_once() {
        let mut watches = Watches::new(10);
        watches.watch_data(ONE, "/a").unwrap();
        watches.watch_data(TWO, "/a").unwrap();
        check(&mut watches, &data_set("/a"), &[(EventKind::DataChanged, "/a", &[ONE, TWO])]);
        check(&mut watches, &data_set("/a"), &[]);
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn creation_tells_the_node_then_its_parent() {
        let mut watches = Watches::new(10);
        watches.watch_data(ONE, "/a").unwrap();
        watches.watch_children(ONE, "/").unwrap();
        check(&mut watches, &created("/a"), &[(EventKind::Created, "/a", &[ONE]), (EventKind::ChildrenChanged, "/", &[ONE])]);
    }

    #[test]
    fn deletion_tells_who_watches_data_and_children_once() {
        let mut watches = Watches::new(10);
        watches.watch_data(ONE, "/a").unwrap();
        watches.watch_children(ONE, "/a").unwrap();
        watches.watch_children(TWO, "/a").unwrap();
        check(&mut watches, &deleted("/a"), &[(EventKind::Deleted, "/a", &[ONE, TWO])]);
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn recursive_watches_see_below_but_no_lists() {
        let mut watches = Watches::new(10);
        watches.watch_for_good(ONE, "/", Mode::Recursive).unwrap();
        watches.watch_for_good(TWO, "/a", Mode::Persistent).unwrap();
        for _ in 0..2 {
            check(
                &mut watches,
                &created("/a/b"),
                &[(EventKind::Created, "/a/b", &[ONE]), (EventKind::ChildrenChanged, "/a", &[TWO])],
            );
        }
    }

    #[test]
    fn modes_live_side_by_side() {
        let mut watches = Watches::new(10);
        watches.watch_for_good(ONE, "/a", Mode::Persistent).unwrap();
        watches.watch_for_good(ONE, "/a", Mode::Recursive).unwrap();
        watches.watch_data(ONE, "/a").unwrap();
        check(&mut watches, &data_set("/a"), &[(EventKind::DataChanged, "/a", &[ONE])]);
        assert!(!watches.has(ONE, "/a", Kind::Data));
        assert!(watches.remove(ONE, "/a", Kind::Persistent));
        assert!(!watches.remove(ONE, "/a", Kind::Persistent));
        check(&mut watches, &data_set("/a"), &[(EventKind::DataChanged, "/a", &[ONE])]);
        assert!(watches.remove(ONE, "/a", Kind::Any));
        check(&mut watches, &data_set("/a"), &[]);
    }

    #[test]
    fn a_connection_is_forgotten_and_the_bound_holds() {
        let mut watches = Watches::new(2);
        watches.watch_data(ONE, "/a").unwrap();
        watches.watch_children(ONE, "/b").unwrap();
        assert_eq!(watches.watch_data(TWO, "/c"), Err(Full));
        watches.forget(ONE);
        assert_eq!(watches.count(), 0);
        assert_eq!(watches.watch_data(TWO, "/c"), Ok(()));
        check(&mut watches, &data_set("/a"), &[]);
    }
}
