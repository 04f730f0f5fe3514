//! Tests of the tree.

use proptest::prelude::*;

use super::super::acl::Id;
use super::super::path::SPECIAL;
use super::*;

const LIMITS: TreeLimits = TreeLimits { nodes: 100, bytes: 10_000 };

/// A tree, and who changes it.
struct Garden {
    tree: Tree,
    who: Who,
    zxid: i64,
    changes: Vec<Change>,
}

impl Garden {
    fn new() -> Self {
        let who = Who::at("127.0.0.1:1".parse().unwrap());
        Self { tree: Tree::new(LIMITS), who, zxid: 0, changes: Vec::new() }
    }

    fn stamp(&mut self) -> Stamp {
        self.zxid += 1;
        Stamp { zxid: self.zxid, time_ms: self.zxid * 1000 }
    }

    fn plant(&mut self, path: &str, owner: Owner, sequential: bool) -> Result<String, Code> {
        let acl = acl::open().to_vec();
        let new = NewNode { path, data: Some(Bytes::from_static(b"data")), acl, owner, sequential };
        let stamp = self.stamp();
        self.tree.create(stamp, &self.who, new, &mut self.changes).map(|(path, _)| path)
    }

    fn create(&mut self, path: &str) -> Result<String, Code> {
        self.plant(path, Owner::Nobody, false)
    }

    fn delete(&mut self, path: &str) -> Result<(), Code> {
        let stamp = self.stamp();
        self.tree.delete(stamp, &self.who, path, -1, &mut self.changes)
    }

    fn set(&mut self, path: &str, data: &'static [u8], version: i32) -> Result<Stat, Code> {
        let stamp = self.stamp();
        let data = Some(Bytes::from_static(data));
        self.tree.set_data(stamp, &self.who, path, data, version, &mut self.changes)
    }

    fn stat(&self, path: &str) -> Stat {
        self.tree.get(path).unwrap().stat()
    }

    /// All that can be seen, to compare by.
    fn picture(&self) -> String {
        let mut nodes: Vec<_> =
            self.tree.nodes.iter().map(|(path, node)| (path, node.data.clone(), node.stat(), node.names())).collect();
        nodes.sort_by_key(|(path, ..)| *path);
        format!("{nodes:?} {} {:?} {:?}", self.tree.bytes, self.tree.ephemerals, self.tree.containers)
    }
}

#[test]
fn numbers_of_sequential_nodes_never_repeat() {
    let mut garden = Garden::new();
    garden.create("/a").unwrap();
    assert_eq!(garden.plant("/a/s-", Owner::Nobody, true).unwrap(), "/a/s-0000000000");
    assert_eq!(garden.create("/a/other").unwrap(), "/a/other");
    assert_eq!(garden.plant("/a/s-", Owner::Nobody, true).unwrap(), "/a/s-0000000002");
    garden.delete("/a/s-0000000002").unwrap();
    assert_eq!(garden.plant("/a/t-", Owner::Nobody, true).unwrap(), "/a/t-0000000003");
    assert_eq!(garden.plant("/a/", Owner::Nobody, true).unwrap(), "/a/0000000004");
}

#[test]
fn stats_count_as_the_original_does() {
    let mut garden = Garden::new();
    garden.create("/a").unwrap();
    garden.create("/a/x").unwrap();
    garden.delete("/a/x").unwrap();
    garden.set("/a", b"longer data", 0).unwrap();
    let stat = garden.stat("/a");
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (1, 4, 3));
    assert_eq!((stat.ctime_ms, stat.mtime_ms), (1000, 4000));
    assert_eq!((stat.version, stat.cversion, stat.num_children, stat.data_length), (1, 2, 0, 11));
    assert_eq!(garden.stat("/").cversion, 0);
    assert_eq!(garden.stat("/zookeeper").cversion, -2);
}

#[test]
fn refusals() {
    let mut garden = Garden::new();
    garden.create("/a").unwrap();
    garden.create("/a/x").unwrap();
    garden.plant("/mine", Owner::Session(7), false).unwrap();
    let before = garden.picture();
    assert_eq!(garden.create("/a"), Err(Code::NodeExists));
    assert_eq!(garden.create("/"), Err(Code::NodeExists));
    assert_eq!(garden.create("/no/x"), Err(Code::NoNode));
    assert_eq!(garden.create("/mine/x"), Err(Code::NoChildrenForEphemerals));
    assert_eq!(garden.create("/a/"), Err(Code::BadArguments));
    assert_eq!(garden.create("a"), Err(Code::BadArguments));
    assert_eq!(garden.delete("/a"), Err(Code::NotEmpty));
    assert_eq!(garden.delete("/zookeeper"), Err(Code::BadArguments));
    assert_eq!(garden.delete("/no"), Err(Code::NoNode));
    assert_eq!(garden.set("/a", b"", 1), Err(Code::BadVersion));
    assert_eq!(garden.set("/no", b"", -1), Err(Code::NoNode));
    assert_eq!(garden.tree.check(&garden.who, "/a", 3), Err(Code::BadVersion));
    assert_eq!(garden.picture(), before);
}

#[test]
fn access_lists_are_kept_to() {
    let mut garden = Garden::new();
    garden.create("/a").unwrap();
    let who = garden.who.clone();
    let read_only = acl::read_only().to_vec();
    assert_eq!(garden.tree.set_acl(&who, "/a", read_only.clone(), 0, &mut garden.changes).unwrap().aversion, 1);
    assert_eq!(garden.set("/a", b"", -1), Err(Code::NoAuth));
    assert_eq!(garden.create("/a/x"), Err(Code::NoAuth));
    assert_eq!(garden.tree.set_acl(&who, "/a", read_only, -1, &mut garden.changes), Err(Code::NoAuth));
    assert_eq!(garden.tree.check(&who, "/a", 0), Ok(()));
    // Deleting is a right on the parent.
    garden.delete("/a").unwrap();
    let bytes = garden.tree.byte_count();
    assert_eq!(bytes, Tree::new(LIMITS).byte_count());
}

#[test]
fn a_full_tree_takes_no_more_and_can_be_emptied() {
    let mut garden = Garden::new();
    let room = LIMITS.nodes - SPECIAL.len();
    for nth in 0..room {
        garden.create(&format!("/n{nth}")).unwrap();
    }
    assert_eq!(garden.create("/one-more"), Err(Code::QuotaExceeded));
    garden.delete("/n0").unwrap();
    garden.create("/one-more").unwrap();

    let mut garden = Garden::new();
    garden.create("/big").unwrap();
    static BIG: [u8; 10_000] = [0; 10_000];
    assert_eq!(garden.set("/big", &BIG, -1), Err(Code::QuotaExceeded));
    garden.set("/big", &BIG[..9_000], -1).unwrap();
    assert_eq!(garden.set("/big", &BIG[..9_990], -1), Err(Code::QuotaExceeded));
    garden.set("/big", b"", -1).unwrap();
    let acl = vec![Acl { perms: 31, id: Id::new("digest", format!("a:{}", "x".repeat(10_000))) }];
    let new = NewNode { path: "/x", data: None, acl, owner: Owner::Nobody, sequential: false };
    let stamp = garden.stamp();
    let refused = garden.tree.create(stamp, &garden.who, new, &mut garden.changes);
    assert_eq!(refused, Err(Code::QuotaExceeded));
}

#[test]
fn containers_are_idle_once_they_were_used() {
    let mut garden = Garden::new();
    garden.plant("/box", Owner::Container, false).unwrap();
    assert!(garden.tree.idle_containers().is_empty());
    garden.create("/box/x").unwrap();
    assert!(garden.tree.idle_containers().is_empty());
    garden.delete("/box/x").unwrap();
    assert_eq!(garden.tree.idle_containers(), ["/box"]);
    garden.delete("/box").unwrap();
    assert!(garden.tree.idle_containers().is_empty());
}

#[test]
fn what_is_below_is_counted() {
    let mut garden = Garden::new();
    for path in ["/a", "/a/x", "/a/x/y", "/ab"] {
        garden.create(path).unwrap();
    }
    assert_eq!(garden.tree.count_below("/a"), Ok(2));
    assert_eq!(garden.tree.count_below("/"), Ok(7));
    assert_eq!(garden.tree.count_below("/no"), Err(Code::NoNode));
}

/// One of a few operations on one of a few paths.
fn act(garden: &mut Garden, (act, path): (u8, u8)) {
    let path = ["/a", "/b", "/a/x", "/a/y", "/a/x/z", "/b/x"][usize::from(path)];
    // Whether it works does not matter here.
    _ = match act {
        0 => garden.create(path).map(drop),
        1 => garden.plant(path, Owner::Session(i64::from(act) + 1), false).map(drop),
        2 => garden.plant(path, Owner::Container, true).map(drop),
        3 => garden.delete(path),
        _ => garden.set(path, b"other", -1).map(drop),
    };
}

proptest! {
    #[test]
    fn what_is_undone_never_was(
        first in prop::collection::vec((0..5_u8, 0..6_u8), 0..20),
        second in prop::collection::vec((0..5_u8, 0..6_u8), 0..20),
    ) {
        let mut garden = Garden::new();
        first.into_iter().for_each(|one| act(&mut garden, one));
        garden.changes.clear();
        let before = garden.picture();
        second.into_iter().for_each(|one| act(&mut garden, one));
        let changes = std::mem::take(&mut garden.changes);
        garden.tree.undo(changes);
        prop_assert_eq!(garden.picture(), before);
    }

    #[test]
    fn any_path_is_an_answer_not_a_panic(path in ".*", sequential: bool) {
        let mut garden = Garden::new();
        _ = garden.plant(&path, Owner::Nobody, sequential);
        _ = garden.set(&path, b"", -1);
        _ = garden.delete(&path);
        _ = garden.tree.count_below(&path);
    }
}
