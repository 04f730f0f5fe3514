//! The operations: what each request does to the state, and what it answers.

use super::acl::{Who, masked, perms};
use super::code::Code;
use super::state::{Now, State};
use super::tree::{Change, NewNode, Owner, Stamp, Tree};
use super::watches::{ConnId, Kind, Mode};
use super::wire::{Create, CreateForm, EventKind, Look, OpResult, Read, Reply, Request, SetWatches, Write, op};

impl State {
    /// Does what a request asks for. A request that did not read comes here too: it may still count as a transaction.
    pub(super) fn execute(
        &mut self,
        now: Now,
        conn: ConnId,
        session: i64,
        op: i32,
        request: Result<Request, Code>,
    ) -> Result<Reply, Code> {
        // Every attempt to write is a transaction, also one that fails.
        let stamp = if writes(op) { self.stamp(now) } else { Stamp { zxid: self.zxid, time_ms: now.wall_ms } };
        let who = self.conn(conn).map(|conn| conn.who.clone()).unwrap_or_default();
        match request? {
            Request::Write(write) => self.write(stamp, &who, session, write),
            Request::Multi(writes) => Ok(self.multi(stamp, &who, session, writes)),
            Request::SetAcl { path, acl, version } => {
                let mut changes = Vec::new();
                let stat = self.tree.set_acl(&who, &path, acl, version, &mut changes)?;
                self.commit(stamp, &changes);
                Ok(Reply::Stat(stat))
            }
            Request::Exists(look) => self.exists(conn, &look),
            Request::GetData(look) => self.get_data(conn, &who, &look).map(Reply::One),
            Request::GetChildren(look) => self.get_children(conn, &who, &look).map(Reply::One),
            Request::GetChildren2(look) => self.get_children2(conn, &who, &look),
            Request::MultiRead(reads) => Ok(self.multi_read(conn, &who, reads)),
            Request::GetAcl { path } => self.get_acl(&who, &path),
            Request::Sync { path } => Ok(Reply::Path(path)),
            Request::Ephemerals { prefix } => Ok(self.ephemerals(session, &prefix)),
            Request::CountChildren { path } => {
                who.check(&self.tree.find(&path)?.acl, perms::READ)?;
                self.tree.count_below(&path).map(Reply::Count)
            }
            Request::SetWatches(watches) => self.set_watches(conn, watches),
            Request::AddWatch { path, mode } => self.add_watch(conn, &path, mode),
            Request::CheckWatches { path, kind } => {
                let kind = Kind::from_number(kind).ok_or(Code::MarshallingError)?;
                if self.watches.has(conn, &path, kind) { Ok(Reply::Empty) } else { Err(Code::NoWatcher) }
            }
            Request::RemoveWatches { path, kind } => {
                let kind = Kind::from_number(kind).ok_or(Code::MarshallingError)?;
                if self.watches.remove(conn, &path, kind) { Ok(Reply::Empty) } else { Err(Code::NoWatcher) }
            }
            Request::Auth { scheme, proof } => self.authenticate(conn, &scheme, &proof),
            Request::WhoAmI => Ok(Reply::Ids(who.ids().to_vec())),
            Request::Reconfig => Err(Code::ReconfigDisabled),
            Request::Ping => Ok(Reply::Empty),
            Request::CloseSession => {
                self.end_session(now, session);
                Ok(Reply::Empty)
            }
        }
    }

    fn write(&mut self, stamp: Stamp, who: &Who, session: i64, write: Write) -> Result<Reply, Code> {
        let mut changes = Vec::new();
        let result = apply(&mut self.tree, stamp, who, session, write, &mut changes)?;
        self.commit(stamp, &changes);
        Ok(Reply::One(result))
    }

    /// All operations or none, in one transaction.
    fn multi(&mut self, stamp: Stamp, who: &Who, session: i64, writes: Vec<Write>) -> Reply {
        let count = writes.len();
        let mut changes = Vec::new();
        let mut results = Vec::with_capacity(count);
        for write in writes {
            match apply(&mut self.tree, stamp, who, session, as_part(write), &mut changes) {
                Ok(result) => results.push(result),
                Err(code) => {
                    self.tree.undo(changes);
                    return Reply::Many(failed(results.len(), code, count));
                }
            }
        }
        self.commit(stamp, &changes);
        Reply::Many(results)
    }

    fn exists(&mut self, conn: ConnId, look: &Look) -> Result<Reply, Code> {
        if look.path.contains('\0') {
            return Err(Code::BadArguments);
        }
        // The one read that leaves a watch also where there is nothing, for that is what the client waits for.
        if look.watch {
            self.watch_data(conn, &look.path)?;
        }
        Ok(Reply::Stat(self.tree.find(&look.path)?.stat()))
    }

    fn get_data(&mut self, conn: ConnId, who: &Who, look: &Look) -> Result<OpResult, Code> {
        let node = self.tree.find(&look.path)?;
        who.check(&node.acl, perms::READ)?;
        let result = OpResult::Data { data: node.data.clone(), stat: node.stat() };
        if look.watch {
            self.watch_data(conn, &look.path)?;
        }
        Ok(result)
    }

    fn get_children(&mut self, conn: ConnId, who: &Who, look: &Look) -> Result<OpResult, Code> {
        self.list_children(conn, who, look).map(OpResult::Children)
    }

    fn list_children(&mut self, conn: ConnId, who: &Who, look: &Look) -> Result<Vec<String>, Code> {
        let node = self.tree.find(&look.path)?;
        who.check(&node.acl, perms::READ)?;
        let names = node.names();
        if look.watch {
            self.watches.watch_children(conn, &look.path).map_err(|_| Code::QuotaExceeded)?;
        }
        Ok(names)
    }

    fn get_children2(&mut self, conn: ConnId, who: &Who, look: &Look) -> Result<Reply, Code> {
        let names = self.list_children(conn, who, look)?;
        Ok(Reply::ChildrenWithStat { names, stat: self.tree.find(&look.path)?.stat() })
    }

    /// Reads of a list fail each for itself, and leave no watch. A short list can ask for the same long node many times:
    /// what would not fit into the outbox is refused, and what follows is not even looked at.
    fn multi_read(&mut self, conn: ConnId, who: &Who, reads: Vec<Read>) -> Reply {
        let mut room = self.limits.outbox_bytes;
        let mut results = Vec::with_capacity(reads.len());
        for read in reads {
            let result = match read {
                _ if room == 0 => Err(Code::QuotaExceeded),
                Read::Data(look) => self.get_data(conn, who, &Look { watch: false, ..look }),
                Read::Children(look) => self.get_children(conn, who, &Look { watch: false, ..look }),
            };
            let result = result.and_then(|result| {
                let left = room.checked_sub(result.size());
                room = left.unwrap_or(0);
                left.map(|_| result).ok_or(Code::QuotaExceeded)
            });
            results.push(result.unwrap_or_else(OpResult::Failed));
        }
        Reply::Many(results)
    }

    fn get_acl(&self, who: &Who, path: &str) -> Result<Reply, Code> {
        let node = self.tree.find(path)?;
        who.check(&node.acl, perms::READ | perms::ADMIN)?;
        let whole = who.check(&node.acl, perms::ADMIN).is_ok();
        let list = if whole { node.acl.to_vec() } else { masked(&node.acl) };
        Ok(Reply::Acl { list, stat: node.stat() })
    }

    fn ephemerals(&self, session: i64, prefix: &str) -> Reply {
        let all = prefix.trim().is_empty() || prefix == "/";
        let mine = self.tree.ephemerals_of(session).filter(|path| all || path.starts_with(prefix));
        Reply::Paths(mine.map(str::to_owned).collect())
    }

    fn watch_data(&mut self, conn: ConnId, path: &str) -> Result<(), Code> {
        self.watches.watch_data(conn, path).map_err(|_| Code::QuotaExceeded)
    }

    fn add_watch(&mut self, conn: ConnId, path: &str, mode: i32) -> Result<Reply, Code> {
        let mode = match mode {
            0 => Mode::Persistent,
            1 => Mode::Recursive,
            _ => return Err(Code::MarshallingError),
        };
        self.watches.watch_for_good(conn, path, mode).map_err(|_| Code::QuotaExceeded)?;
        Ok(Reply::ErrorNumber(Code::Ok))
    }

    /// The watches of a client that comes back: what it missed is told now, the rest is watched again.
    fn set_watches(&mut self, conn: ConnId, watches: SetWatches) -> Result<Reply, Code> {
        let since = watches.since;
        for path in &watches.data {
            match self.tree.get(path) {
                None => self.late_event(conn, EventKind::Deleted, path),
                Some(node) if node.counters.mzxid > since => self.late_event(conn, EventKind::DataChanged, path),
                Some(_) => self.watch_data(conn, path)?,
            }
        }
        for path in &watches.exists {
            match self.tree.get(path) {
                Some(_) => self.late_event(conn, EventKind::Created, path),
                None => self.watch_data(conn, path)?,
            }
        }
        for path in &watches.children {
            match self.tree.get(path) {
                None => self.late_event(conn, EventKind::Deleted, path),
                Some(node) if node.counters.pzxid > since => self.late_event(conn, EventKind::ChildrenChanged, path),
                Some(_) => self.watches.watch_children(conn, path).map_err(|_| Code::QuotaExceeded)?,
            }
        }
        for (paths, mode) in [(&watches.persistent, Mode::Persistent), (&watches.recursive, Mode::Recursive)] {
            for path in paths {
                self.watches.watch_for_good(conn, path, mode).map_err(|_| Code::QuotaExceeded)?;
            }
        }
        Ok(Reply::Empty)
    }

    /// An event that belongs to no transaction of now.
    fn late_event(&mut self, conn: ConnId, kind: EventKind, path: &str) {
        self.event(conn, -1, kind, path);
    }
}

/// Whether an operation is a transaction. Closing a session is one, which `end_session` begins.
fn writes(op: i32) -> bool {
    matches!(
        op,
        op::CREATE
            | op::CREATE2
            | op::CREATE_CONTAINER
            | op::CREATE_TTL
            | op::DELETE
            | op::SET_DATA
            | op::SET_ACL
            | op::CHECK
            | op::MULTI
            | op::RECONFIG
    )
}

/// Does one write.
fn apply(
    tree: &mut Tree,
    stamp: Stamp,
    who: &Who,
    session: i64,
    write: Write,
    changes: &mut Vec<Change>,
) -> Result<OpResult, Code> {
    match write {
        Write::Create(create) => apply_create(tree, stamp, who, session, create, changes),
        Write::Delete { path, version } => tree.delete(stamp, who, &path, version, changes).map(|()| OpResult::Deleted),
        Write::SetData { path, data, version } => tree.set_data(stamp, who, &path, data, version, changes).map(OpResult::DataSet),
        Write::Check { path, version } => tree.check(who, &path, version).map(|()| OpResult::Checked),
    }
}

fn apply_create(
    tree: &mut Tree,
    stamp: Stamp,
    who: &Who,
    session: i64,
    create: Create,
    changes: &mut Vec<Change>,
) -> Result<OpResult, Code> {
    let (owner, sequential) = read_flags(create.form, create.flags, session)?;
    let new = NewNode { path: &create.path, data: create.data, acl: create.acl, owner, sequential };
    let (path, stat) = tree.create(stamp, who, new, changes)?;
    Ok(match create.form {
        CreateForm::Plain => OpResult::Created { path },
        CreateForm::WithStat | CreateForm::Container | CreateForm::Ttl(_) => OpResult::CreatedWithStat { path, stat },
    })
}

/// Whose the node is to be, and whether its name gets a number.
fn read_flags(form: CreateForm, flags: i32, session: i64) -> Result<(Owner, bool), Code> {
    let (owner, sequential) = match flags {
        0 => (Owner::Nobody, false),
        1 => (Owner::Session(session), false),
        2 => (Owner::Nobody, true),
        3 => (Owner::Session(session), true),
        // As an original that is not told otherwise takes it: containers come by their own operation.
        4 => (Owner::Nobody, false),
        // Nodes with a time to live are off by default.
        5 | 6 => return Err(Code::Unimplemented),
        _ => return Err(Code::BadArguments),
    };
    match form {
        CreateForm::Plain | CreateForm::WithStat => Ok((owner, sequential)),
        CreateForm::Container => Ok((Owner::Container, sequential)),
        // A time to live for a node that has none.
        CreateForm::Ttl(_) => Err(Code::BadArguments),
    }
}

/// In a transaction the flag alone says what is created.
fn as_part(write: Write) -> Write {
    match write {
        Write::Create(create) if create.flags == 4 => Write::Create(Create { form: CreateForm::Container, ..create }),
        other => other,
    }
}

/// The results of a transaction whose operation `at` failed.
fn failed(at: usize, code: Code, count: usize) -> Vec<OpResult> {
    let result = |nth: usize| match nth.cmp(&at) {
        std::cmp::Ordering::Less => Code::Ok,
        std::cmp::Ordering::Equal => code,
        std::cmp::Ordering::Greater => Code::RuntimeInconsistency,
    };
    (0..count).map(|nth| OpResult::Failed(result(nth))).collect()
}
