//! How a connection gets its session: a new one, or the one that its client had before.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::sessions::Password;
use super::state::{Next, Now, State};
use super::watches::ConnId;
use super::wire::{ConnectRequest, ConnectResponse};

/// How a request for a session ends.
enum Opened {
    Session { id: i64, password: Password },
    Expired,
    Full,
}

impl State {
    /// Answers the first frame of a connection.
    pub(super) fn connect(&mut self, now: Now, conn: ConnId, frame: &[u8]) -> Next {
        let Ok(request) = ConnectRequest::read(frame) else {
            debug!(conn = conn.0, "a connection begins with something else than a request for a session");
            return Next::Close;
        };
        let timeout = self.negotiate(request.timeout_ms);
        let opened = if request.session == 0 {
            self.open_session(now, conn, timeout)
        } else {
            self.reopen_session(now, conn, &request, timeout)
        };
        let response = match opened {
            Opened::Session { id, password } => {
                self.attach(conn, id);
                ConnectResponse { timeout_ms: millis(timeout), session: id, password, knows_read_only: false }
            }
            Opened::Expired => ConnectResponse::default(),
            Opened::Full => return Next::Close,
        };
        let response = ConnectResponse { knows_read_only: request.knows_read_only, ..response };
        self.reply(conn, |out| response.put(out));
        if response.session == 0 { Next::Close } else { Next::Continue }
    }

    fn negotiate(&self, timeout_ms: i32) -> Duration {
        let wanted = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        wanted.max(self.limits.session_timeout_min).min(self.limits.session_timeout_max)
    }

    fn open_session(&mut self, now: Now, conn: ConnId, timeout: Duration) -> Opened {
        if self.sessions.len() >= self.limits.sessions {
            warn!(sessions = self.sessions.len(), "the registry has as many sessions as it may, a client is sent away");
            return Opened::Full;
        }
        let password: Password = rand::random();
        let id = self.sessions.open(now.instant, password, timeout, conn);
        self.stamp(now);
        self.mark_session(id);
        debug!(session = id, timeout_ms = millis(timeout), "session opened");
        Opened::Session { id, password }
    }

    fn reopen_session(&mut self, now: Now, conn: ConnId, request: &ConnectRequest, timeout: Duration) -> Opened {
        let id = request.session;
        let Some(session) = self.sessions.get(id).filter(|session| request.password == session.password[..]) else {
            return Opened::Expired;
        };
        let password = session.password;
        if session.restored && request.last_zxid_seen > self.restored_zxid {
            // A crash took the last moments of the session, maybe with a node that the client counts on.
            info!(session = id, "session is ended: its client knows of changes that were lost in a crash");
            self.end_session(now, id);
            return Opened::Expired;
        }
        if let Some(other) = self.sessions.reopen(now.instant, id, timeout, conn) {
            self.kill(other);
        }
        self.mark_session(id);
        debug!(session = id, "session continued on another connection");
        Opened::Session { id, password }
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
