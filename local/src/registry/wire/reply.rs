//! What clients are answered and told.

use bytes::{Bytes, BytesMut};

use super::super::acl::{Acl, Id};
use super::super::code::Code;
use super::super::jute::{Writer, put_frame};
use super::{Zxid, op};

/// The xid of replies that nobody asked for.
const XID_EVENT: i32 = -1;

/// What is known of a node besides its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Stat {
    pub(in crate::registry) czxid: Zxid,
    pub(in crate::registry) mzxid: Zxid,
    pub(in crate::registry) ctime_ms: i64,
    pub(in crate::registry) mtime_ms: i64,
    pub(in crate::registry) version: i32,
    pub(in crate::registry) cversion: i32,
    pub(in crate::registry) aversion: i32,
    pub(in crate::registry) ephemeral_owner: i64,
    pub(in crate::registry) data_length: i32,
    pub(in crate::registry) num_children: i32,
    pub(in crate::registry) pzxid: Zxid,
}

/// The length of a stat.
const STAT_BYTES: usize = 68;

impl Stat {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.long(self.czxid);
        writer.long(self.mzxid);
        writer.long(self.ctime_ms);
        writer.long(self.mtime_ms);
        writer.int(self.version);
        writer.int(self.cversion);
        writer.int(self.aversion);
        writer.long(self.ephemeral_owner);
        writer.int(self.data_length);
        writer.int(self.num_children);
        writer.long(self.pzxid);
    }
}

/// What one operation of a transaction, or one read of several, came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum OpResult {
    Created { path: String },
    CreatedWithStat { path: String, stat: Stat },
    Deleted,
    DataSet(Stat),
    Checked,
    Data { data: Option<Bytes>, stat: Stat },
    Children(Vec<String>),
    Failed(Code),
}

impl OpResult {
    fn op(&self) -> i32 {
        match self {
            Self::Created { .. } => op::CREATE,
            Self::CreatedWithStat { .. } => op::CREATE2,
            Self::Deleted => op::DELETE,
            Self::DataSet(_) => op::SET_DATA,
            Self::Checked => op::CHECK,
            Self::Data { .. } => op::GET_DATA,
            Self::Children(_) => op::GET_CHILDREN,
            Self::Failed(_) => op::ERROR,
        }
    }

    /// About how many bytes it takes.
    pub(in crate::registry) fn size(&self) -> usize {
        match self {
            Self::Data { data, .. } => STAT_BYTES + data.as_ref().map_or(0, Bytes::len),
            Self::Children(names) => names.iter().map(|name| 4 + name.len()).sum(),
            _ => STAT_BYTES,
        }
    }

    fn write_body(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Created { path } => writer.text(path),
            Self::CreatedWithStat { path, stat } => {
                writer.text(path);
                stat.write(writer);
            }
            Self::DataSet(stat) => stat.write(writer),
            Self::Data { data, stat } => {
                writer.buffer(data.as_deref());
                stat.write(writer);
            }
            Self::Children(names) => writer.texts(names),
            Self::Failed(code) => writer.int(code.number()),
            Self::Deleted | Self::Checked => {}
        }
    }

    /// As a part: behind a header of its own.
    fn write_part(&self, writer: &mut Writer<'_>) {
        let error = if let Self::Failed(code) = self { code.number() } else { 0 };
        write_part_header(writer, self.op(), false, error);
        self.write_body(writer);
    }
}

fn write_part_header(writer: &mut Writer<'_>, op: i32, done: bool, error: i32) {
    writer.int(op);
    writer.bool(done);
    writer.int(error);
}

/// The body of a reply to a request that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Reply {
    Empty,
    One(OpResult),
    Many(Vec<OpResult>),
    Stat(Stat),
    ChildrenWithStat {
        names: Vec<String>,
        stat: Stat,
    },
    Acl {
        list: Vec<Acl>,
        stat: Stat,
    },
    Path(String),
    Paths(Vec<String>),
    Count(usize),
    Ids(Vec<Id>),
    /// An error code as a body of its own: so a watch is confirmed.
    ErrorNumber(Code),
}

impl Reply {
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Empty => {}
            Self::One(result) => result.write_body(writer),
            Self::Many(results) => {
                for result in results {
                    result.write_part(writer);
                }
                write_part_header(writer, -1, true, -1);
            }
            Self::Stat(stat) => stat.write(writer),
            Self::ChildrenWithStat { names, stat } => {
                writer.texts(names);
                stat.write(writer);
            }
            Self::Acl { list, stat } => {
                write_acl_list(writer, list);
                stat.write(writer);
            }
            Self::Path(path) => writer.text(path),
            Self::Paths(paths) => writer.texts(paths),
            Self::Count(count) => writer.int(i32::try_from(*count).unwrap_or(i32::MAX)),
            Self::Ids(ids) => writer.list(ids, write_shown_id),
            Self::ErrorNumber(code) => writer.int(code.number()),
        }
    }
}

fn write_acl_list(writer: &mut Writer<'_>, list: &[Acl]) {
    writer.list(list, write_acl);
}

/// Appends an access list by itself, as it is saved.
pub(in crate::registry) fn put_acl(out: &mut BytesMut, list: &[Acl]) {
    write_acl_list(&mut Writer::new(out), list);
}

fn write_acl(writer: &mut Writer<'_>, acl: &Acl) {
    writer.int(acl.perms);
    writer.text(&acl.id.scheme);
    writer.text(&acl.id.id);
}

/// Of `ann:hash` the name alone is shown.
fn write_shown_id(writer: &mut Writer<'_>, id: &Id) {
    writer.text(&id.scheme);
    let shown = if id.scheme == "digest" { id.id.split(':').next().unwrap_or_default() } else { &id.id };
    writer.text(shown);
}

/// Appends the reply to request `xid`; `zxid` is the last transaction that it knows of.
pub(in crate::registry) fn put_reply(out: &mut BytesMut, xid: i32, zxid: Zxid, outcome: &Result<Reply, Code>) {
    put_frame(out, |writer| {
        writer.int(xid);
        writer.long(zxid);
        match outcome {
            Ok(reply) => {
                writer.int(Code::Ok.number());
                reply.write(writer);
            }
            Err(code) => writer.int(code.number()),
        }
    });
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub(in crate::registry) enum EventKind {
    Created = 1,
    Deleted = 2,
    DataChanged = 3,
    ChildrenChanged = 4,
}

/// The client is connected: the one state that comes with events of nodes.
const STATE_CONNECTED: i32 = 3;

/// Appends an event. `zxid` is the transaction behind it, -1 where it is told late.
pub(in crate::registry) fn put_event(out: &mut BytesMut, zxid: Zxid, kind: EventKind, path: &str) {
    put_frame(out, |writer| {
        writer.int(XID_EVENT);
        writer.long(zxid);
        writer.int(Code::Ok.number());
        writer.int(kind as i32);
        writer.int(STATE_CONNECTED);
        writer.text(path);
    });
}
