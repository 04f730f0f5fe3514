//! The records of the protocol: what clients send, read into `Request`, and what they get, written from `Reply`.

mod hello;
mod reply;
mod request;

pub(super) use self::hello::{ConnectRequest, ConnectResponse};
pub(super) use self::reply::{EventKind, OpResult, Reply, Stat, put_acl, put_event, put_reply};
pub(super) use self::request::{Create, CreateForm, Look, Read, Request, RequestHeader, SetWatches, Write, acl_from_bytes};

/// Counts transactions: the upper half is the life of the server, the lower one the transaction in it.
pub(super) type Zxid = i64;

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
