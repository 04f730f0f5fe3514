//! All that the registry knows, and how a frame of a client changes it. No sockets and no clock: the time is handed in.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tracing::{info, warn};

use super::acl::{Acl, Who, perms};
use super::code::Code;
use super::config::RegistryLimits;
use super::dirty::Dirty;
use super::jute::Reader;
use super::outbox::Outbox;
use super::sessions::Sessions;
use super::stats::Stats;
use super::store::{Batch, Saved};
use super::tree::{Change, Stamp, Tree, TreeLimits};
use super::watches::{ConnId, Watches};
use super::wire::{EventKind, Reply, Request, RequestHeader, Zxid, op, put_event, put_reply};

/// The time, as the caller sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// For time-outs.
    pub(super) instant: Instant,
    /// For what clients are shown: milliseconds since 1970.
    pub(super) wall_ms: i64,
}

impl Now {
    pub(super) fn read() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }
}

/// What becomes of a connection after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Continue,
    /// It ends once what waits is sent.
    Close,
}

/// A connection, as the state knows it.
#[derive(Debug)]
pub(super) struct Conn {
    outbox: Arc<Outbox>,
    address: SocketAddr,
    received: u64,
    sent: u64,
    pub(super) who: Arc<Who>,
    /// None before the first frame.
    session: Option<i64>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: RegistryLimits,
    /// Where the clients come in; shown to operators.
    pub(super) port: u16,
    pub(super) tree: Tree,
    pub(super) watches: Watches,
    pub(super) sessions: Sessions,
    pub(super) stats: Stats,
    conns: HashMap<ConnId, Conn>,
    next_conn: u64,
    pub(super) zxid: Zxid,
    /// The last transaction of the last life that was saved. A client that saw a later one saw something that is lost.
    pub(super) restored_zxid: Zxid,
    /// None where nothing is saved.
    dirty: Option<Dirty>,
}

impl State {
    pub(super) fn new(now: Now, limits: RegistryLimits, port: u16) -> Self {
        Self {
            port,
            tree: Tree::new(TreeLimits { nodes: limits.nodes, bytes: limits.bytes }),
            watches: Watches::new(limits.watches),
            sessions: Sessions::new(now.wall_ms),
            stats: Stats::new(now.instant),
            conns: HashMap::new(),
            next_conn: 1,
            zxid: 0,
            restored_zxid: 0,
            dirty: None,
            limits,
        }
    }

    /// Begins where the last life ended. From now on changes are remembered for the store.
    pub(super) fn restore(&mut self, now: Now, saved: Saved) {
        for (path, node) in saved.nodes {
            if self.tree.load(&path, node).is_err() {
                warn!(path, "a saved node has no parent and is left out");
            }
        }
        for (id, session) in saved.sessions {
            self.sessions.restore(now.instant, id, session.password, session.timeout);
        }
        self.restored_zxid = saved.zxid;
        // As a new leader does it: what this life counts never meets what the last one counted.
        self.zxid = if saved.zxid == 0 { 0 } else { ((saved.zxid >> 32) + 1) << 32 };
        self.dirty = Some(Dirty::new(self.zxid));
        for owner in self.tree.ephemeral_owners() {
            if self.sessions.get(owner).is_none() {
                self.remove_ephemerals(now, owner);
            }
        }
    }

    /// What the store has to be told; nothing if it knows all.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        self.dirty.as_mut()?.take_batch(self.zxid, &mut self.tree, &self.sessions)
    }

    /// A batch could not be saved: its content is to come again.
    pub(super) fn keep_batch(&mut self, batch: &Batch) {
        if let Some(dirty) = &mut self.dirty {
            dirty.keep(batch);
        }
    }

    /// Rings when there is something to save. None where nothing is saved.
    pub(super) fn save_bell(&self) -> Option<Arc<Notify>> {
        self.dirty.as_ref().map(Dirty::bell)
    }

    /// Lets a connection in. None: there are as many as there may be.
    pub(super) fn join(&mut self, address: SocketAddr, outbox: Arc<Outbox>) -> Option<ConnId> {
        if self.conns.len() >= self.limits.connections {
            return None;
        }
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let who = Arc::new(Who::at(address));
        self.conns.insert(conn, Conn { outbox, address, received: 0, sent: 0, who, session: None });
        Some(conn)
    }

    /// Forgets a connection. Its session goes on until its time is over.
    pub(super) fn leave(&mut self, conn: ConnId) {
        self.watches.forget(conn);
        if let Some(Conn { session: Some(session), .. }) = self.conns.remove(&conn) {
            self.sessions.detach(session, conn);
        }
    }

    /// From now on the connection's frames are requests of this session.
    pub(super) fn attach(&mut self, conn: ConnId, session: i64) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.session = Some(session);
        }
    }

    pub(super) fn conn_count(&self) -> usize {
        self.conns.len()
    }

    /// Clients as one line each, for `stat`.
    pub(super) fn clients(&self) -> impl Iterator<Item = String> {
        self.conns.values().map(|conn| {
            // As the original writes it; the number in brackets is 1 for who may go on asking.
            let Conn { address, outbox, received, sent, .. } = conn;
            format!("/{address}[1](queued={},recved={received},sent={sent})", usize::from(outbox.len() > 0))
        })
    }

    pub(super) fn conn(&self, conn: ConnId) -> Option<&Conn> {
        self.conns.get(&conn)
    }

    /// Answers one frame of a client.
    pub(super) fn frame(&mut self, now: Now, conn: ConnId, frame: &[u8]) -> Next {
        let Some(known) = self.conns.get_mut(&conn) else { return Next::Close };
        known.received += 1;
        self.stats.received += 1;
        match known.session {
            None => self.connect(now, conn, frame),
            Some(session) => self.request(now, conn, session, frame),
        }
    }

    fn request(&mut self, now: Now, conn: ConnId, session: i64, frame: &[u8]) -> Next {
        let mut reader = Reader::new(frame);
        let Ok(header) = RequestHeader::read(&mut reader) else { return Next::Close };
        let known = self.sessions.get(session).is_some_and(|session| session.conn == Some(conn));
        if !known || !self.sessions.touch(now.instant, session) {
            return Next::Close;
        }
        let request = Request::read(header.op, &mut reader);
        let next = match &request {
            Ok(Request::CloseSession) => Next::Close,
            _ => Next::Continue,
        };
        let outcome = self.execute(now, conn, session, header.op, request);
        // Proofs of identity are answered before anything looks at transactions.
        let zxid = if header.op == op::AUTH { 0 } else { self.zxid };
        self.reply(conn, |out| put_reply(out, header.xid, zxid, &outcome));
        if outcome == Err(Code::AuthFailed) { Next::Close } else { next }
    }

    /// Ends a session: what is ephemeral goes in one transaction, and who watched is told.
    pub(super) fn end_session(&mut self, now: Now, id: i64) {
        if self.sessions.close(id).is_some() {
            self.remove_ephemerals(now, id);
            self.mark_session(id);
        }
    }

    fn remove_ephemerals(&mut self, now: Now, owner: i64) {
        let stamp = self.stamp(now);
        let paths: Vec<String> = self.tree.ephemerals_of(owner).map(str::to_owned).collect();
        let mut changes = Vec::with_capacity(paths.len());
        for path in &paths {
            if let Err(error) = self.tree.remove(stamp, path, &mut changes) {
                warn!(path, %error, "an ephemeral node was gone before its session");
            }
        }
        self.commit(stamp, &changes);
    }

    /// Ends the sessions whose time is over; gives when to look again.
    pub(super) fn expire(&mut self, now: Now) -> Instant {
        for id in self.sessions.overdue(now.instant) {
            let conn = self.sessions.get(id).and_then(|session| session.conn);
            info!(session = id, ephemerals = self.tree.ephemerals_of(id).count(), "session expired");
            self.end_session(now, id);
            if let Some(conn) = conn {
                self.kill(conn);
            }
        }
        // A session that is opened meanwhile lasts at least this long.
        let soonest = now.instant + self.limits.session_timeout_min;
        self.sessions.next_deadline().map_or(soonest, |deadline| deadline.min(soonest))
    }

    /// Deletes containers that had children and have none any more.
    pub(super) fn sweep_containers(&mut self, now: Now) {
        for path in self.tree.idle_containers() {
            let stamp = self.stamp(now);
            let mut changes = Vec::new();
            if self.tree.remove(stamp, &path, &mut changes).is_ok() {
                self.commit(stamp, &changes);
            }
        }
    }

    /// Begins a transaction.
    pub(super) fn stamp(&mut self, now: Now) -> Stamp {
        self.zxid += 1;
        if let Some(dirty) = &self.dirty {
            dirty.ring();
        }
        Stamp { zxid: self.zxid, time_ms: now.wall_ms }
    }

    /// Tells watchers of changes and remembers to save them.
    pub(super) fn commit(&mut self, stamp: Stamp, changes: &[Change]) {
        for change in changes {
            for event in self.watches.trigger(change) {
                for conn in &event.to {
                    if self.may_read(*conn, &event.acl) {
                        self.event(*conn, stamp.zxid, event.kind, &event.path);
                    }
                }
            }
            if let Some(dirty) = &mut self.dirty {
                dirty.mark(change, &mut self.tree);
            }
        }
    }

    /// An event says that a node is there, which is not for everybody.
    fn may_read(&self, conn: ConnId, list: &[Acl]) -> bool {
        self.conns.get(&conn).is_some_and(|conn| conn.who.check(list, perms::READ).is_ok())
    }

    pub(super) fn event(&mut self, conn: ConnId, zxid: Zxid, kind: EventKind, path: &str) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.outbox.event(|out| put_event(out, zxid, kind, path));
            conn.sent += 1;
            self.stats.sent += 1;
        }
    }

    pub(super) fn reply(&mut self, conn: ConnId, put: impl FnOnce(&mut bytes::BytesMut)) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.outbox.reply(put);
            conn.sent += 1;
            self.stats.sent += 1;
        }
    }

    pub(super) fn kill(&mut self, conn: ConnId) {
        if let Some(conn) = self.conns.get(&conn) {
            conn.outbox.kill();
        }
    }

    pub(super) fn mark_session(&mut self, id: i64) {
        if let Some(dirty) = &mut self.dirty {
            dirty.mark_session(id);
        }
    }

    pub(super) fn authenticate(&mut self, conn: ConnId, scheme: &str, proof: &[u8]) -> Result<Reply, Code> {
        let conn = self.conns.get_mut(&conn).ok_or(Code::AuthFailed)?;
        Arc::make_mut(&mut conn.who).authenticate(scheme, proof).map(|()| Reply::Empty)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::BytesMut;
    use tokio_util::sync::CancellationToken;

    use super::super::acl;
    use super::super::jute::Writer;
    use super::super::sessions::Password;
    use super::super::store::SavedSession;
    use super::super::tree::{Counters, Node, Owner};
    use super::super::wire::op;
    use super::*;

    fn state() -> (State, Now) {
        let now = Now { instant: Instant::now(), wall_ms: 1_000 };
        (State::new(now, RegistryLimits::default(), 0), now)
    }

    fn join(state: &mut State) -> (ConnId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::new(1 << 20, CancellationToken::new()));
        (state.join("127.0.0.1:1".parse().unwrap(), outbox.clone()).unwrap(), outbox)
    }

    fn hello(session: i64, password: Password, seen: Zxid) -> BytesMut {
        let mut out = BytesMut::new();
        let mut writer = Writer::new(&mut out);
        writer.int(0);
        writer.long(seen);
        writer.int(10_000);
        writer.long(session);
        writer.buffer(Some(&password));
        out
    }

    /// What a crash left: one session with one node, up to transaction 7.
    fn saved() -> Saved {
        let session = SavedSession { password: [3; 16], timeout: Duration::from_secs(10) };
        let node = |owner| Node::saved(None, acl::open(), owner, Counters::default());
        let nodes = [("/", Owner::Nobody), ("/mine", Owner::Session(5)), ("/of-nobody", Owner::Session(6))];
        let nodes = nodes.map(|(path, owner)| (path.to_owned(), node(owner))).to_vec();
        Saved { zxid: 7, sessions: vec![(5, session)], nodes }
    }

    #[test]
    fn a_restored_session_goes_on_in_another_epoch() {
        let (mut state, now) = state();
        state.restore(now, saved());
        assert!(state.tree.get("/mine").is_some());
        assert!(state.tree.get("/of-nobody").is_none(), "its session was not saved");
        assert_eq!(state.zxid >> 32, 1);
        let (conn, outbox) = join(&mut state);
        assert_eq!(state.frame(now, conn, &hello(5, [3; 16], 7)), Next::Continue);
        assert_eq!(outbox.take()[12..20], 5_i64.to_be_bytes());
    }

    #[test]
    fn a_client_that_saw_what_the_crash_took_begins_anew() {
        let (mut state, now) = state();
        state.restore(now, saved());
        let (conn, outbox) = join(&mut state);
        assert_eq!(state.frame(now, conn, &hello(5, [3; 16], 8)), Next::Close);
        assert_eq!(outbox.take()[12..20], 0_i64.to_be_bytes());
        assert!(state.tree.get("/mine").is_none());
    }

    #[test]
    fn a_batch_that_was_not_saved_comes_again() {
        let (mut state, now) = state();
        state.restore(now, Saved { zxid: 0, sessions: Vec::new(), nodes: Vec::new() });
        assert!(state.take_batch().is_none());
        let (conn, _outbox) = join(&mut state);
        state.frame(now, conn, &hello(0, [0; 16], 0));
        let batch = state.take_batch().unwrap();
        assert_eq!((batch.zxid, batch.sessions.len()), (1, 1));
        assert!(state.take_batch().is_none());
        state.keep_batch(&batch);
        assert_eq!(state.take_batch().unwrap().sessions.len(), 1);
    }

    #[test]
    fn any_frames_are_an_answer_not_a_panic() {
        use proptest::prelude::*;
        let ops = prop::sample::select(vec![
            op::CREATE,
            op::DELETE,
            op::SET_DATA,
            op::MULTI,
            op::MULTI_READ,
            op::SET_WATCHES2,
            op::ADD_WATCH,
            op::AUTH,
            op::SET_ACL,
            op::GET_CHILDREN2,
            op::REMOVE_WATCHES,
            op::CREATE_TTL,
            op::COUNT_CHILDREN,
        ]);
        proptest!(|(frames in prop::collection::vec((ops, any::<Vec<u8>>()), 1..20), first: Vec<u8>)| {
            let (mut state, now) = state();
            let (conn, _outbox) = join(&mut state);
            state.frame(now, conn, &first);
            let (conn, _outbox) = join(&mut state);
            state.frame(now, conn, &hello(0, [0; 16], 0));
            for (op, body) in frames {
                let head = [1_i32.to_be_bytes(), op.to_be_bytes()].concat();
                state.frame(now, conn, &[head, body].concat());
            }
        });
    }
}
