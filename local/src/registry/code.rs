//! The error codes of the protocol.

/// What a reply says about how a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(i32)]
pub(super) enum Code {
    #[error("ok")]
    Ok = 0,
    /// An operation of a transaction that was not tried, since one before it failed.
    #[error("not tried")]
    RuntimeInconsistency = -2,
    #[error("a record is malformed")]
    MarshallingError = -5,
    #[error("not a known operation")]
    Unimplemented = -6,
    #[error("bad arguments")]
    BadArguments = -8,
    #[error("no such node")]
    NoNode = -101,
    #[error("not allowed by the access list")]
    NoAuth = -102,
    #[error("another version")]
    BadVersion = -103,
    #[error("ephemeral nodes have no children")]
    NoChildrenForEphemerals = -108,
    #[error("the node exists")]
    NodeExists = -110,
    #[error("the node has children")]
    NotEmpty = -111,
    #[error("not a valid access list")]
    InvalidAcl = -114,
    #[error("authentication failed")]
    AuthFailed = -115,
    #[error("no such watch")]
    NoWatcher = -121,
    #[error("reconfiguration is off")]
    ReconfigDisabled = -123,
    /// Also what a client meets when a bound of the whole registry is reached; the log says which.
    #[error("a bound is reached")]
    QuotaExceeded = -125,
}

impl Code {
    /// The number on the wire.
    pub(super) fn number(self) -> i32 {
        self as i32
    }
}
