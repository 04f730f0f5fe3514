//! What clients ask for.

use bytes::Bytes;

use super::super::acl::{Acl, Id};
use super::super::code::Code;
use super::super::jute::{JuteError, Reader};
use super::{Zxid, op};

/// What stands in front of every request after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) struct RequestHeader {
    pub(in crate::registry) xid: i32,
    pub(in crate::registry) op: i32,
}

impl RequestHeader {
    pub(in crate::registry) fn read(reader: &mut Reader<'_>) -> Result<Self, JuteError> {
        Ok(Self { xid: reader.int()?, op: reader.int()? })
    }
}

/// A read that may leave a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Look {
    pub(in crate::registry) path: String,
    pub(in crate::registry) watch: bool,
}

/// How a create asks, which decides how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum CreateForm {
    /// Answered with the path.
    Plain,
    /// Answered with path and stat.
    WithStat,
    Container,
    /// Carries a time to live in milliseconds.
    Ttl(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Create {
    pub(in crate::registry) form: CreateForm,
    pub(in crate::registry) path: String,
    pub(in crate::registry) data: Option<Bytes>,
    pub(in crate::registry) acl: Vec<Acl>,
    pub(in crate::registry) flags: i32,
}

/// An operation that may be part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Write {
    Create(Create),
    Delete { path: String, version: i32 },
    SetData { path: String, data: Option<Bytes>, version: i32 },
    Check { path: String, version: i32 },
}

/// A read that may be one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Read {
    Data(Look),
    Children(Look),
}

/// Watches that a client had on its last connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct SetWatches {
    /// What the client has seen; what changed since is told at once.
    pub(in crate::registry) since: Zxid,
    pub(in crate::registry) data: Vec<String>,
    pub(in crate::registry) exists: Vec<String>,
    pub(in crate::registry) children: Vec<String>,
    pub(in crate::registry) persistent: Vec<String>,
    pub(in crate::registry) recursive: Vec<String>,
}

/// A request, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Request {
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
    pub(in crate::registry) fn read(op: i32, reader: &mut Reader<'_>) -> Result<Self, Code> {
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
    // Some clients send an empty text as an absent one: `auth` needs no id.
    Ok(Acl { perms, id: Id { scheme, id: reader.text_or_absent()?.unwrap_or_default().into() } })
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

/// Reads an access list as it was saved.
pub(in crate::registry) fn acl_from_bytes(bytes: &[u8]) -> Result<Vec<Acl>, JuteError> {
    Reader::new(bytes).list(acl)
}
