//! The state on disk: an SQLite file that is written behind, in batches.
//!
//! Each batch is one transaction, so what a crash leaves is the registry as it was a moment before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use super::acl::{self, AclList};
use super::config::RegistryError;
use super::sessions::Password;
use super::tree::{Counters, Node, Owner};
use super::wire::{Zxid, acl_from_bytes, put_acl};

const FILE: &str = "registry.db";

/// Raised when the tables change.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE nodes (
        path TEXT NOT NULL PRIMARY KEY,
        data BLOB,
        acl BLOB,
        owner INTEGER NOT NULL,
        czxid INTEGER NOT NULL,
        mzxid INTEGER NOT NULL,
        pzxid INTEGER NOT NULL,
        ctime_ms INTEGER NOT NULL,
        mtime_ms INTEGER NOT NULL,
        version INTEGER NOT NULL,
        aversion INTEGER NOT NULL,
        creates INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE sessions (id INTEGER PRIMARY KEY, password BLOB NOT NULL, timeout_ms INTEGER NOT NULL);
    CREATE TABLE last (zxid INTEGER NOT NULL);
    INSERT INTO last VALUES (0);
";

/// A session as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SavedSession {
    pub(super) password: Password,
    pub(super) timeout: Duration,
}

/// What the last life left.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) zxid: Zxid,
    pub(super) sessions: Vec<(i64, SavedSession)>,
    /// Sorted, so that parents come first.
    pub(super) nodes: Vec<(String, Node)>,
}

/// What changed: `None` stands for what is gone.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) zxid: Zxid,
    pub(super) sessions: Vec<(i64, Option<SavedSession>)>,
    pub(super) nodes: Vec<(Box<str>, Option<SavedNode>)>,
}

/// A node as it is saved.
#[derive(Debug)]
pub(super) struct SavedNode {
    data: Option<Bytes>,
    acl: AclList,
    owner: Owner,
    counters: Counters,
}

impl SavedNode {
    pub(super) fn of(node: &Node) -> Self {
        Self { data: node.data.clone(), acl: node.acl.clone(), owner: node.owner, counters: node.counters }
    }
}

/// The file. As long as it is open nobody else can use it.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the file in the folder, or makes both, and reads what is there.
    pub(super) fn open(folder: &Path) -> Result<(Self, Saved), RegistryError> {
        fs::create_dir_all(folder).map_err(|cause| RegistryError::Folder { folder: folder.to_owned(), cause })?;
        let file = folder.join(FILE);
        open(&file).map_err(|cause| in_words(file, cause))
    }

    /// Saves a batch completely or not at all.
    pub(super) fn save(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for (path, node) in &batch.nodes {
            match node {
                Some(node) => put_node(&transaction, path, node)?,
                None => drop(transaction.prepare_cached("DELETE FROM nodes WHERE path = ?")?.execute([path])?),
            }
        }
        for (id, session) in &batch.sessions {
            match session {
                Some(session) => put_session(&transaction, *id, session)?,
                None => drop(transaction.prepare_cached("DELETE FROM sessions WHERE id = ?")?.execute([id])?),
            }
        }
        transaction.execute("UPDATE last SET zxid = ?", [batch.zxid])?;
        transaction.commit()
    }
}

fn in_words(file: PathBuf, cause: rusqlite::Error) -> RegistryError {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => RegistryError::InUse { file },
        _ => RegistryError::State { file, cause },
    }
}

fn open(file: &Path) -> rusqlite::Result<(Store, Saved)> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A crash of the process loses nothing that was committed; one of the machine may lose the last moments.
    connection.pragma_update(None, "synchronous", "normal")?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        other => return Err(unknown_layout(other)),
    }
    let saved = read(&transaction)?;
    transaction.commit()?;
    Ok((Store { connection }, saved))
}

/// The file of another version of this program is refused, not guessed at.
fn unknown_layout(version: i64) -> rusqlite::Error {
    let why = format!("its layout is {version}, this program knows {VERSION}");
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH), Some(why))
}

fn read(connection: &Connection) -> rusqlite::Result<Saved> {
    let zxid = connection.query_row("SELECT zxid FROM last", [], |row| row.get(0)).optional()?.unwrap_or(0);
    let mut sessions = connection.prepare("SELECT id, password, timeout_ms FROM sessions")?;
    let sessions = sessions.query_map([], session_of)?.collect::<Result<_, _>>()?;
    let mut nodes = connection.prepare(
        "SELECT path, data, acl, owner, czxid, mzxid, pzxid, ctime_ms, mtime_ms, version, aversion, creates
         FROM nodes ORDER BY path",
    )?;
    let nodes = nodes.query_map([], node_of)?.collect::<Result<_, _>>()?;
    Ok(Saved { zxid, sessions, nodes })
}

fn session_of(row: &Row<'_>) -> rusqlite::Result<(i64, SavedSession)> {
    let timeout = Duration::from_millis(row.get::<_, i64>("timeout_ms")?.try_into().unwrap_or(0));
    Ok((row.get("id")?, SavedSession { password: row.get("password")?, timeout }))
}

fn node_of(row: &Row<'_>) -> rusqlite::Result<(String, Node)> {
    let counters = Counters {
        czxid: row.get("czxid")?,
        mzxid: row.get("mzxid")?,
        pzxid: row.get("pzxid")?,
        ctime_ms: row.get("ctime_ms")?,
        mtime_ms: row.get("mtime_ms")?,
        version: row.get("version")?,
        aversion: row.get("aversion")?,
        creates: row.get("creates")?,
    };
    let data: Option<Vec<u8>> = row.get("data")?;
    let owner = Owner::from_number(row.get("owner")?);
    let node = Node::saved(data.map(Bytes::from), acl_of(row)?, owner, counters);
    Ok((row.get("path")?, node))
}

fn acl_of(row: &Row<'_>) -> rusqlite::Result<AclList> {
    let Some(bytes) = row.get::<_, Option<Vec<u8>>>("acl")? else { return Ok(acl::open()) };
    let list = acl_from_bytes(&bytes).map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Blob, error.into()))?;
    Ok(acl::shared(list))
}

fn put_node(connection: &Connection, path: &str, node: &SavedNode) -> rusqlite::Result<()> {
    let counters = &node.counters;
    connection
        .prepare_cached("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            path,
            node.data.as_deref(),
            acl_bytes(&node.acl).as_deref(),
            node.owner.number(),
            counters.czxid,
            counters.mzxid,
            counters.pzxid,
            counters.ctime_ms,
            counters.mtime_ms,
            counters.version,
            counters.aversion,
            counters.creates,
        ])
        .map(drop)
}

/// Nothing for the open list, which nearly all have.
fn acl_bytes(list: &AclList) -> Option<BytesMut> {
    if **list == *acl::open() {
        return None;
    }
    let mut bytes = BytesMut::new();
    put_acl(&mut bytes, list);
    Some(bytes)
}

fn put_session(connection: &Connection, id: i64, session: &SavedSession) -> rusqlite::Result<()> {
    let timeout_ms = i64::try_from(session.timeout.as_millis()).unwrap_or(i64::MAX);
    connection
        .prepare_cached("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)")?
        .execute(params![id, session.password, timeout_ms])
        .map(drop)
}
