//! Sessions: who is known, and until when.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::watches::ConnId;

/// Proves that a client that comes back is the one that went.
pub(super) type Password = [u8; 16];

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) password: Password,
    pub(super) timeout: Duration,
    pub(super) conn: Option<ConnId>,
    /// Was taken over from the last life of the server, and nobody came back for it so far.
    pub(super) restored: bool,
    deadline: Instant,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    by_id: HashMap<i64, Session>,
    next_id: i64,
}

impl Sessions {
    /// Ids begin at a number made from the time, so that they do not repeat in the next life of the server.
    pub(super) fn new(time_ms: i64) -> Self {
        Self { by_id: HashMap::new(), next_id: ((time_ms << 24) & i64::MAX) >> 8 }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: i64) -> Option<&Session> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Session)> {
        self.by_id.iter().map(|(id, session)| (*id, session))
    }

    /// Opens a session; gives its id.
    pub(super) fn open(&mut self, now: Instant, password: Password, timeout: Duration, conn: ConnId) -> i64 {
        while self.next_id == 0 || self.by_id.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        let id = self.next_id;
        self.next_id += 1;
        let deadline = now + timeout;
        self.by_id.insert(id, Session { password, timeout, conn: Some(conn), restored: false, deadline });
        id
    }

    /// Takes over a session of the last life; its client has the whole time-out to come back.
    pub(super) fn restore(&mut self, now: Instant, id: i64, password: Password, timeout: Duration) {
        let deadline = now + timeout;
        self.by_id.insert(id, Session { password, timeout, conn: None, restored: true, deadline });
    }

    /// Gives the session to another connection; gives the one that had it.
    pub(super) fn reopen(&mut self, now: Instant, id: i64, timeout: Duration, conn: ConnId) -> Option<ConnId> {
        let session = self.by_id.get_mut(&id)?;
        session.timeout = timeout;
        session.deadline = now + timeout;
        session.restored = false;
        session.conn.replace(conn)
    }

    /// Hears from the client. False: there is no such session.
    pub(super) fn touch(&mut self, now: Instant, id: i64) -> bool {
        let Some(session) = self.by_id.get_mut(&id) else { return false };
        session.deadline = now + session.timeout;
        true
    }

    /// The connection is gone; the session waits for another.
    pub(super) fn detach(&mut self, id: i64, conn: ConnId) {
        if let Some(session) = self.by_id.get_mut(&id)
            && session.conn == Some(conn)
        {
            session.conn = None;
        }
    }

    pub(super) fn close(&mut self, id: i64) -> Option<Session> {
        self.by_id.remove(&id)
    }

    /// Sessions whose time is over, the longest overdue first.
    pub(super) fn overdue(&self, now: Instant) -> Vec<i64> {
        let mut overdue: Vec<_> = self.iter().filter(|(_, session)| session.deadline <= now).collect();
        overdue.sort_by_key(|(id, session)| (session.deadline, *id));
        overdue.into_iter().map(|(id, _)| id).collect()
    }

    /// When the next session may be over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_id.values().map(|session| session.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_lives_while_it_is_heard() {
        let start = Instant::now();
        let mut sessions = Sessions::new(1);
        let id = sessions.open(start, [7; 16], 4 * SECOND, ConnId(1));
        assert!(sessions.overdue(start + 3 * SECOND).is_empty());
        assert!(sessions.touch(start + 3 * SECOND, id));
        assert!(sessions.overdue(start + 6 * SECOND).is_empty());
        assert_eq!(sessions.next_deadline(), Some(start + 7 * SECOND));
        assert_eq!(sessions.overdue(start + 7 * SECOND), [id]);
        sessions.close(id);
        assert!(!sessions.touch(start, id));
    }

    #[test]
    fn a_session_moves_between_connections() {
        let start = Instant::now();
        let mut sessions = Sessions::new(1);
        let id = sessions.open(start, [7; 16], SECOND, ConnId(1));
        assert_eq!(sessions.reopen(start, id, SECOND, ConnId(2)), Some(ConnId(1)));
        // The first connection ends late: that says nothing about the second.
        sessions.detach(id, ConnId(1));
        assert_eq!(sessions.get(id).unwrap().conn, Some(ConnId(2)));
        sessions.detach(id, ConnId(2));
        assert_eq!(sessions.get(id).unwrap().conn, None);
    }

    #[test]
    fn ids_grow_from_life_to_life() {
        let start = Instant::now();
        let id = |time_ms| Sessions::new(time_ms).open(start, [0; 16], SECOND, ConnId(1));
        assert!(id(1_700_000_000_000) > 0);
        assert!(id(1_700_000_000_000) + 65_000 < id(1_700_000_000_001));
    }
}
