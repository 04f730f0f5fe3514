//! The records of the protocol: what clients send, read into `Request`, and what they get, written from `Reply`.

use bytes::{Bytes, BytesMut};

use super::acl::{Acl, Id};
use super::code::Code;
use super::jute::{JuteError, Reader, Writer, put_frame};

/// Counts transactions: the upper half is the life of the server, the lower one the transaction in it.
pub(super) type Zxid = i64;

/// The xid of replies that nobody asked for.
const XID_EVENT: i32 = -1;

/// Numbers of operations.
pub(super) mod op {
    pub(in crate::registry) const CREATE: i32 = 1;
    pub(in crate::registry) const DELETE: i32 = 2;
    pub(in crate::registry) const EXISTS: i32 = 3;
    pub(in crate::registry) const GET_DATA: i32 = 4;
    pub(in crate::registry) const SET_DATA: i32 = 5;
    pub(in crate::registry) const GET_ACL: i32 = 6;
    pub(in crate::registry) const SET_ACL: i32 = 7;
    pub(in crate::registry) const GET_CHILDREN: i32 = 8;
    pub(in crate::registry) const SYNC: i32 = 9;
    pub(in crate::registry) const PING: i32 = 11;
    pub(in crate::registry) const GET_CHILDREN2: i32 = 12;
    pub(in crate::registry) const CHECK: i32 = 13;
    pub(in crate::registry) const MULTI: i32 = 14;
    pub(in crate::registry) const CREATE2: i32 = 15;
    pub(in crate::registry) const RECONFIG: i32 = 16;
    pub(in crate::registry) const CHECK_WATCHES: i32 = 17;
    pub(in crate::registry) const REMOVE_WATCHES: i32 = 18;
    pub(in crate::registry) const CREATE_CONTAINER: i32 = 19;
    pub(in crate::registry) const CREATE_TTL: i32 = 21;
    pub(in crate::registry) const MULTI_READ: i32 = 22;
    pub(in crate::registry) const AUTH: i32 = 100;
    pub(in crate::registry) const SET_WATCHES: i32 = 101;
    pub(in crate::registry) const GET_EPHEMERALS: i32 = 103;
    pub(in crate::registry) const COUNT_CHILDREN: i32 = 104;
    pub(in crate::registry) const SET_WATCHES2: i32 = 105;
    pub(in crate::registry) const ADD_WATCH: i32 = 106;
    pub(in crate::registry) const WHO_AM_I: i32 = 107;
    pub(in crate::registry) const CLOSE_SESSION: i32 = -11;
    pub(in crate::registry) const ERROR: i32 = -1;
}

/// The first record of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectRequest {
    pub(super) last_zxid_seen: Zxid,
    pub(super) timeout_ms: i32,
    /// 0 asks for a new session.
    pub(super) session: i64,
    pub(super) password: Bytes,
    /// Very old clients do not say whether they want to read only, and are not told.
    pub(super) knows_read_only: bool,
}

impl ConnectRequest {
    pub(super) fn read(frame: &[u8]) -> Result<Self, JuteError> {
        let mut reader = Reader::new(frame);
        let _protocol_version = reader.int()?;
        let last_zxid_seen = reader.long()?;
        let timeout_ms = reader.int()?;
        let session = reader.long()?;
        let password = reader.buffer()?.unwrap_or_default();
        let knows_read_only = !reader.is_empty();
        Ok(Self { last_zxid_seen, timeout_ms, session, password, knows_read_only })
    }
}

/// Answer to the first record. One without a session (all zero) says that the session has expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectResponse {
    pub(super) timeout_ms: i32,
    pub(super) session: i64,
    pub(super) password: [u8; 16],
    pub(super) knows_read_only: bool,
}

impl ConnectResponse {
    pub(super) fn put(&self, out: &mut BytesMut) {
        put_frame(out, |writer| {
            writer.int(0);
            writer.int(self.timeout_ms);
            writer.long(self.session);
            writer.buffer(Some(&self.password));
            if self.knows_read_only {
                writer.bool(false);
            }
        });
    }
}

/// What stands in front of every request after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestHeader {
    pub(super) xid: i32,
    pub(super) op: i32,
}

impl RequestHeader {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, JuteError> {
        Ok(Self { xid: reader.int()?, op: reader.int()? })
    }
}

/// A read that may leave a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) path: String,
    pub(super) watch: bool,
}

/// How a create asks, which decides how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreateForm {
    /// Answered with the path.
    Plain,
    /// Answered with path and stat.
    WithStat,
    Container,
    /// Carries a time to live in milliseconds.
    Ttl(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) form: CreateForm,
    pub(super) path: String,
    pub(super) data: Option<Bytes>,
    pub(super) acl: Vec<Acl>,
    pub(super) flags: i32,
}

/// An operation that may be part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Create(Create),
    Delete { path: String, version: i32 },
    SetData { path: String, data: Option<Bytes>, version: i32 },
    Check { path: String, version: i32 },
}

/// A read that may be one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Data(Look),
    Children(Look),
}

/// Watches that a client had on its last connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SetWatches {
    /// What the client has seen; what changed since is told at once.
    pub(super) since: Zxid,
    pub(super) data: Vec<String>,
    pub(super) exists: Vec<String>,
    pub(super) children: Vec<String>,
    pub(super) persistent: Vec<String>,
    pub(super) recursive: Vec<String>,
}

/// A request, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Write(Write),
    SetAcl { path: String, acl: Vec<Acl>, version: i32 },
    Multi(Vec<Write>),
    MultiRead(Vec<Read>),
    Exists(Look),
    GetData(Look),
    GetChildren(Look),
    GetChildren2(Look),
    GetAcl { path: String },
    Sync { path: String },
    Ephemerals { prefix: String },
    CountChildren { path: String },
    SetWatches(SetWatches),
    AddWatch { path: String, mode: i32 },
    CheckWatches { path: String, kind: i32 },
    RemoveWatches { path: String, kind: i32 },
    Auth { scheme: String, proof: Bytes },
    Reconfig,
    WhoAmI,
    Ping,
    CloseSession,
}

impl Request {
    /// Reads what follows the header. `Unimplemented` for an operation that is not known, `MarshallingError` for one
    /// that does not read.
    pub(super) fn read(op: i32, reader: &mut Reader<'_>) -> Result<Self, Code> {
        read_request(op, reader).map_err(|_| Code::MarshallingError)?.ok_or(Code::Unimplemented)
    }
}

fn read_request(op: i32, reader: &mut Reader<'_>) -> Result<Option<Request>, JuteError> {
    Ok(Some(match op {
        op::MULTI => Request::Multi(read_until_done(reader, read_write)?),
        op::MULTI_READ => Request::MultiRead(read_until_done(reader, read_part)?),
        op::SET_ACL => Request::SetAcl { path: path(reader)?, acl: reader.list(acl)?, version: reader.int()? },
        op::EXISTS => Request::Exists(look(reader)?),
        op::GET_DATA => Request::GetData(look(reader)?),
        op::GET_CHILDREN => Request::GetChildren(look(reader)?),
        op::GET_CHILDREN2 => Request::GetChildren2(look(reader)?),
        op::GET_ACL => Request::GetAcl { path: path(reader)? },
        op::SYNC => Request::Sync { path: path(reader)? },
        op::GET_EPHEMERALS => Request::Ephemerals { prefix: path(reader)? },
        op::COUNT_CHILDREN => Request::CountChildren { path: path(reader)? },
        op::SET_WATCHES => Request::SetWatches(set_watches(reader, false)?),
        op::SET_WATCHES2 => Request::SetWatches(set_watches(reader, true)?),
        op::ADD_WATCH => Request::AddWatch { path: path(reader)?, mode: reader.int()? },
        op::CHECK_WATCHES => Request::CheckWatches { path: path(reader)?, kind: reader.int()? },
        op::REMOVE_WATCHES => Request::RemoveWatches { path: path(reader)?, kind: reader.int()? },
        op::AUTH => auth(reader)?,
        op::RECONFIG => Request::Reconfig,
        op::WHO_AM_I => Request::WhoAmI,
        op::PING => Request::Ping,
        op::CLOSE_SESSION => Request::CloseSession,
        _ => return read_write(op, reader).map(|write| write.map(Request::Write)),
    }))
}

fn path(reader: &mut Reader<'_>) -> Result<String, JuteError> {
    reader.text().map(Into::into)
}

fn look(reader: &mut Reader<'_>) -> Result<Look, JuteError> {
    Ok(Look { path: path(reader)?, watch: reader.bool()? })
}

fn acl(reader: &mut Reader<'_>) -> Result<Acl, JuteError> {
    let perms = reader.int()?;
    let scheme = reader.text()?.into();
    Ok(Acl { perms, id: Id { scheme, id: reader.text()?.into() } })
}

fn auth(reader: &mut Reader<'_>) -> Result<Request, JuteError> {
    let _kind = reader.int()?;
    Ok(Request::Auth { scheme: path(reader)?, proof: reader.buffer()?.unwrap_or_default() })
}

fn set_watches(reader: &mut Reader<'_>, second_form: bool) -> Result<SetWatches, JuteError> {
    let mut watches = SetWatches {
        since: reader.long()?,
        data: reader.texts()?,
        exists: reader.texts()?,
        children: reader.texts()?,
        ..SetWatches::default()
    };
    if second_form {
        watches.persistent = reader.texts()?;
        watches.recursive = reader.texts()?;
    }
    Ok(watches)
}

fn read_write(op: i32, reader: &mut Reader<'_>) -> Result<Option<Write>, JuteError> {
    Ok(Some(match op {
        op::CREATE => Write::Create(create(reader, CreateForm::Plain)?),
        op::CREATE2 => Write::Create(create(reader, CreateForm::WithStat)?),
        op::CREATE_CONTAINER => Write::Create(create(reader, CreateForm::Container)?),
        op::CREATE_TTL => {
            let create = create(reader, CreateForm::Plain)?;
            Write::Create(Create { form: CreateForm::Ttl(reader.long()?), ..create })
        }
        op::DELETE => Write::Delete { path: path(reader)?, version: reader.int()? },
        op::SET_DATA => Write::SetData { path: path(reader)?, data: reader.buffer()?, version: reader.int()? },
        op::CHECK => Write::Check { path: path(reader)?, version: reader.int()? },
        _ => return Ok(None),
    }))
}

fn create(reader: &mut Reader<'_>, form: CreateForm) -> Result<Create, JuteError> {
    let path = path(reader)?;
    let data = reader.buffer()?;
    Ok(Create { form, path, data, acl: reader.list(acl)?, flags: reader.int()? })
}

/// Reads `(header, operation)` pairs up to the header that says that it is the last.
fn read_until_done<T>(
    reader: &mut Reader<'_>,
    mut one: impl FnMut(i32, &mut Reader<'_>) -> Result<Option<T>, JuteError>,
) -> Result<Vec<T>, JuteError> {
    let mut items = Vec::new();
    loop {
        let op = reader.int()?;
        let done = reader.bool()?;
        let _error = reader.int()?;
        if done {
            return Ok(items);
        }
        items.push(one(op, reader)?.ok_or(JuteError::UnknownPart(op))?);
    }
}

fn read_part(op: i32, reader: &mut Reader<'_>) -> Result<Option<Read>, JuteError> {
    Ok(match op {
        op::GET_DATA => Some(Read::Data(look(reader)?)),
        op::GET_CHILDREN => Some(Read::Children(look(reader)?)),
        _ => None,
    })
}

/// What is known of a node besides its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) ctime_ms: i64,
    pub(super) mtime_ms: i64,
    pub(super) version: i32,
    pub(super) cversion: i32,
    pub(super) aversion: i32,
    pub(super) ephemeral_owner: i64,
    pub(super) data_length: i32,
    pub(super) num_children: i32,
    pub(super) pzxid: Zxid,
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
pub(super) enum OpResult {
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
    pub(super) fn size(&self) -> usize {
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
pub(super) enum Reply {
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

/// An access list by itself, as it is saved.
pub(super) fn put_acl(out: &mut BytesMut, list: &[Acl]) {
    write_acl_list(&mut Writer::new(out), list);
}

/// Reads what `put_acl` wrote.
pub(super) fn acl_from_bytes(bytes: &[u8]) -> Result<Vec<Acl>, JuteError> {
    Reader::new(bytes).list(acl)
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
pub(super) fn put_reply(out: &mut BytesMut, xid: i32, zxid: Zxid, outcome: &Result<Reply, Code>) {
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
pub(super) enum EventKind {
    Created = 1,
    Deleted = 2,
    DataChanged = 3,
    ChildrenChanged = 4,
}

/// The client is connected: the one state that comes with events of nodes.
const STATE_CONNECTED: i32 = 3;

/// Appends an event. `zxid` is the transaction behind it, -1 where it is told late.
pub(super) fn put_event(out: &mut BytesMut, zxid: Zxid, kind: EventKind, path: &str) {
    put_frame(out, |writer| {
        writer.int(XID_EVENT);
        writer.long(zxid);
        writer.int(Code::Ok.number());
        writer.int(kind as i32);
        writer.int(STATE_CONNECTED);
        writer.text(path);
    });
}
