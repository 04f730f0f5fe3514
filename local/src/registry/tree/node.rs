//! One node of the tree.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::acl::{self, AclList};
use super::super::wire::{Stat, Zxid};

/// To whom a node belongs, which decides when it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) enum Owner {
    /// Nobody: it stays until it is deleted.
    #[default]
    Nobody,
    /// It goes once its last child is gone.
    Container,
    /// It goes with this session.
    Session(i64),
}

/// Marks containers among owners; no session has this id.
const CONTAINER: i64 = i64::MIN;

impl Owner {
    /// The owner that clients see: a container does not show that it is one.
    fn shown(self) -> i64 {
        if let Self::Session(session) = self { session } else { 0 }
    }

    /// The owner as it is saved.
    pub(in crate::registry) fn number(self) -> i64 {
        match self {
            Self::Nobody => 0,
            Self::Container => CONTAINER,
            Self::Session(session) => session,
        }
    }

    pub(in crate::registry) fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Nobody,
            CONTAINER => Self::Container,
            session => Self::Session(session),
        }
    }
}

/// The transaction that makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Stamp {
    pub(in crate::registry) zxid: Zxid,
    /// Milliseconds since 1970.
    pub(in crate::registry) time_ms: i64,
}

/// The numbers that a node keeps; `Stat` is what is shown of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Counters {
    pub(in crate::registry) czxid: Zxid,
    pub(in crate::registry) mzxid: Zxid,
    pub(in crate::registry) pzxid: Zxid,
    pub(in crate::registry) ctime_ms: i64,
    pub(in crate::registry) mtime_ms: i64,
    pub(in crate::registry) version: i32,
    pub(in crate::registry) aversion: i32,
    /// Children created so far. Deletions do not count: names of sequential nodes come from here and never repeat.
    pub(in crate::registry) creates: i32,
}

impl Counters {
    fn born(stamp: Stamp) -> Self {
        Self {
            czxid: stamp.zxid,
            mzxid: stamp.zxid,
            pzxid: stamp.zxid,
            ctime_ms: stamp.time_ms,
            mtime_ms: stamp.time_ms,
            ..Self::default()
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Node {
    /// Absent differs from empty on the wire.
    pub(in crate::registry) data: Option<Bytes>,
    pub(in crate::registry) acl: AclList,
    pub(in crate::registry) owner: Owner,
    pub(in crate::registry) counters: Counters,
    pub(in crate::registry) children: BTreeSet<Box<str>>,
    /// Whether the store has, or is about to have, some state of it.
    pub(in crate::registry) saved: bool,
}

impl Node {
    pub(super) fn new(stamp: Stamp, data: Option<Bytes>, acl: AclList, owner: Owner) -> Self {
        let counters = Counters::born(stamp);
        Self { data, acl, owner, counters, children: BTreeSet::new(), saved: false }
    }

    /// A node that the store has.
    pub(in crate::registry) fn saved(data: Option<Bytes>, acl: AclList, owner: Owner, counters: Counters) -> Self {
        Self { data, acl, owner, counters, children: BTreeSet::new(), saved: true }
    }

    /// What clients see.
    pub(in crate::registry) fn stat(&self) -> Stat {
        let counters = &self.counters;
        let num_children = as_int(self.children.len());
        Stat {
            czxid: counters.czxid,
            mzxid: counters.mzxid,
            ctime_ms: counters.ctime_ms,
            mtime_ms: counters.mtime_ms,
            version: counters.version,
            // Creations and deletions: each child that is not there any more was created and deleted.
            cversion: counters.creates.wrapping_mul(2).wrapping_sub(num_children),
            aversion: counters.aversion,
            ephemeral_owner: self.owner.shown(),
            data_length: as_int(self.data_len()),
            num_children,
            pzxid: counters.pzxid,
        }
    }

    pub(in crate::registry) fn names(&self) -> Vec<String> {
        self.children.iter().map(ToString::to_string).collect()
    }

    fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }

    /// Bytes that count towards the bound of the tree, without the path.
    pub(super) fn size(&self) -> usize {
        self.data_len() + acl::size(&self.acl)
    }
}

fn as_int(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
