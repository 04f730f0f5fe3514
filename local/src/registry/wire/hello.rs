//! The first record of a connection, and its answer.

use bytes::{Bytes, BytesMut};

use super::super::jute::{JuteError, Reader, put_frame};
use super::Zxid;

/// The first record of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct ConnectRequest {
    pub(in crate::registry) last_zxid_seen: Zxid,
    pub(in crate::registry) timeout_ms: i32,
    /// 0 asks for a new session.
    pub(in crate::registry) session: i64,
    pub(in crate::registry) password: Bytes,
    /// Very old clients do not say whether they want to read only, and are not told.
    pub(in crate::registry) knows_read_only: bool,
}

impl ConnectRequest {
    pub(in crate::registry) fn read(frame: &[u8]) -> Result<Self, JuteError> {
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
pub(in crate::registry) struct ConnectResponse {
    pub(in crate::registry) timeout_ms: i32,
    pub(in crate::registry) session: i64,
    pub(in crate::registry) password: [u8; 16],
    pub(in crate::registry) knows_read_only: bool,
}

impl ConnectResponse {
    pub(in crate::registry) fn put(&self, out: &mut BytesMut) {
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
