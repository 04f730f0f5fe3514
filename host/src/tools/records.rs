//! What is kept of tools in the journal's database: names with their settings, grants, revisions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ocho_core::ToolName;
use ocho_core::tools::{LimitOverrides, Origin};
use ocho_runtime::{ComponentReport, Grants, Interface};
use rusqlite::{Connection, Row, Transaction, params};

/// The database, through a connection of its own.
pub(super) struct Records {
    connection: Connection,
}

/// What survives of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Persisted {
    pub(super) disabled: bool,
    pub(super) limits: LimitOverrides,
    pub(super) last_installed: u32,
    pub(super) active: Option<u32>,
    pub(super) waiting: Option<u32>,
    pub(super) grants: BTreeMap<Origin, Grants>,
    pub(super) revisions: BTreeMap<u32, Arc<RevisionRecord>>,
}

impl Persisted {
    pub(super) fn digests(&self) -> Vec<String> {
        self.revisions.values().map(|revision| revision.digest.clone()).collect()
    }
}

/// An installed revision. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RevisionRecord {
    pub(super) number: u32,
    pub(super) digest: String,
    /// Name of the key that signed it.
    pub(super) key: Option<String>,
    /// The signature, to be checked again at each start: a key may be withdrawn.
    pub(super) signature: Option<String>,
    pub(super) installed_ms: u64,
    pub(super) report: Arc<ComponentReport>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tools (
        tool TEXT PRIMARY KEY, disabled INTEGER NOT NULL, limits TEXT NOT NULL, last_installed INTEGER NOT NULL,
        active INTEGER, waiting INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tool_grants (
        tool TEXT NOT NULL, origin TEXT NOT NULL, interfaces TEXT NOT NULL, PRIMARY KEY (tool, origin)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tool_revisions (
        tool TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL, key TEXT, signature TEXT,
        installed_ms INTEGER NOT NULL, report TEXT NOT NULL, PRIMARY KEY (tool, number)
    ) WITHOUT ROWID";

/// The journal writes through a connection of its own; a change waits so long for its turn.
const TURN: Duration = Duration::from_secs(20);

impl Records {
    pub(super) fn open(data: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match data {
            Some(folder) => Connection::open(folder.join("journal.sqlite"))?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(TURN)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Unlike a run's record, a grant that was taken away must not come back with the power.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// All names. A row that cannot be read is told and left out.
    pub(super) fn load(&self) -> rusqlite::Result<BTreeMap<ToolName, Persisted>> {
        let mut names: BTreeMap<ToolName, Persisted> = BTreeMap::new();
        self.each("SELECT * FROM tools", |tool, row| {
            let limits: String = row.get("limits")?;
            let limits = serde_json::from_str(&limits).unwrap_or_else(|error| {
                tracing::error!(%tool, %error, "limits cannot be read, the host's own count");
                LimitOverrides::default()
            });
            let persisted = names.entry(tool).or_default();
            persisted.limits = limits;
            persisted.disabled = row.get("disabled")?;
            persisted.last_installed = row.get("last_installed")?;
            persisted.active = row.get("active")?;
            persisted.waiting = row.get("waiting")?;
            Ok(())
        })?;
        self.each("SELECT * FROM tool_grants", |tool, row| {
            let (origin, interfaces): (String, String) = (row.get("origin")?, row.get("interfaces")?);
            if let Some(origin) = read_origin(&origin) {
                names.entry(tool.clone()).or_default().grants.insert(origin, read_grants(&tool, &interfaces));
            }
            Ok(())
        })?;
        self.each("SELECT * FROM tool_revisions", |tool, row| {
            if let Some(revision) = read_revision(&tool, row)? {
                names.entry(tool).or_default().revisions.insert(revision.number, Arc::new(revision));
            }
            Ok(())
        })?;
        Ok(names)
    }

    fn each(&self, query: &str, mut take: impl FnMut(ToolName, &Row<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get("tool")?;
            match name.parse() {
                Ok(tool) => take(tool, row)?,
                Err(error) => tracing::error!(%error, "a tool's record cannot be read"),
            }
        }
        Ok(())
    }

    /// Digests of all revisions, also of those whose rows cannot be read otherwise.
    pub(super) fn digests(&self) -> rusqlite::Result<BTreeSet<String>> {
        self.connection.prepare("SELECT digest FROM tool_revisions")?.query_map([], |row| row.get(0))?.collect()
    }

    /// Writes what a name comes to, all of it or nothing.
    pub(super) fn save(&mut self, tool: &ToolName, persisted: &Persisted) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        save_name(&transaction, tool, persisted)?;
        save_grants(&transaction, tool, persisted)?;
        save_revisions(&transaction, tool, persisted)?;
        transaction.commit()
    }
}

fn save_name(transaction: &Transaction<'_>, tool: &ToolName, persisted: &Persisted) -> rusqlite::Result<()> {
    let limits = serde_json::to_string(&persisted.limits).expect("numbers are JSON");
    transaction.execute(
        "INSERT OR REPLACE INTO tools VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![tool.as_str(), persisted.disabled, limits, persisted.last_installed, persisted.active, persisted.waiting],
    )?;
    Ok(())
}

fn save_grants(transaction: &Transaction<'_>, tool: &ToolName, persisted: &Persisted) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM tool_grants WHERE tool = ?1", params![tool.as_str()])?;
    for (origin, grants) in &persisted.grants {
        let names: Vec<&str> = grants.iter().map(Interface::name).collect();
        transaction.execute(
            "INSERT INTO tool_grants VALUES (?1, ?2, ?3)",
            params![tool.as_str(), origin_name(*origin), names.join(" ")],
        )?;
    }
    Ok(())
}

fn save_revisions(transaction: &Transaction<'_>, tool: &ToolName, persisted: &Persisted) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare("SELECT number FROM tool_revisions WHERE tool = ?1")?;
    let known: BTreeSet<u32> = statement.query_map(params![tool.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for number in known.iter().filter(|number| !persisted.revisions.contains_key(number)) {
        transaction.execute("DELETE FROM tool_revisions WHERE tool = ?1 AND number = ?2", params![tool.as_str(), number])?;
    }
    for revision in persisted.revisions.values().filter(|revision| !known.contains(&revision.number)) {
        let report = serde_json::to_string(&*revision.report).expect("a report is JSON");
        let installed_ms = i64::try_from(revision.installed_ms).unwrap_or(i64::MAX);
        transaction.execute(
            "INSERT INTO tool_revisions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![tool.as_str(), revision.number, revision.digest, revision.key, revision.signature, installed_ms, report],
        )?;
    }
    Ok(())
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Builtin => "builtin",
        Origin::Folder => "folder",
        Origin::Installed => "installed",
    }
}

fn read_origin(name: &str) -> Option<Origin> {
    [Origin::Builtin, Origin::Folder, Origin::Installed].into_iter().find(|origin| origin_name(*origin) == name)
}

/// An interface that a later host granted and this one does not know is no grant here.
fn read_grants(tool: &ToolName, names: &str) -> Grants {
    let known =
        |name: &str| name.parse::<Interface>().inspect_err(|error| tracing::warn!(%tool, %error, "grant is left out")).ok();
    names.split_ascii_whitespace().filter_map(known).collect()
}

fn read_revision(tool: &ToolName, row: &Row<'_>) -> rusqlite::Result<Option<RevisionRecord>> {
    let (number, report): (u32, String) = (row.get("number")?, row.get("report")?);
    let report = match serde_json::from_str(&report) {
        Ok(report) => Arc::new(report),
        Err(error) => {
            tracing::error!(%tool, revision = number, %error, "a revision's record cannot be read; install it again");
            return Ok(None);
        }
    };
    Ok(Some(RevisionRecord {
        number,
        digest: row.get("digest")?,
        key: row.get("key")?,
        signature: row.get("signature")?,
        installed_ms: u64::try_from(row.get::<_, i64>("installed_ms")?).unwrap_or_default(),
        report,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn persisted() -> Persisted {
        let revision = |number: u32| RevisionRecord {
            number,
            digest: format!("d{number}"),
            key: (number == 2).then(|| "maker".to_owned()),
            signature: None,
            installed_ms: 1_700_000_000_000,
            report: Arc::default(),
        };
        Persisted {
            disabled: true,
            limits: LimitOverrides { runs: Some(3), ..LimitOverrides::default() },
            last_installed: 7,
            active: Some(1),
            waiting: Some(2),
            grants: BTreeMap::from([(Origin::Installed, Grants::observer()), (Origin::Builtin, Grants::default())]),
            revisions: [1, 2].map(|number| (number, Arc::new(revision(number)))).into(),
        }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let data = tempfile::tempdir().unwrap();
        let tool: ToolName = "x".parse().unwrap();
        let mut saved = persisted();
        Records::open(Some(data.path())).unwrap().save(&tool, &saved).unwrap();
        let mut records = Records::open(Some(data.path())).unwrap();
        assert_eq!(records.load().unwrap(), BTreeMap::from([(tool.clone(), saved.clone())]));
        saved.revisions.remove(&2);
        saved.grants.remove(&Origin::Builtin);
        saved.waiting = None;
        records.save(&tool, &saved).unwrap();
        assert_eq!(records.load().unwrap(), BTreeMap::from([(tool, saved)]));
        assert_eq!(records.digests().unwrap(), BTreeSet::from(["d1".to_owned()]));
    }

    #[test]
    fn odd_rows_are_left_out() {
        let records = Records::open(None).unwrap();
        let odd = "INSERT INTO tools VALUES ('Bad Name', 0, '{}', 1, NULL, NULL), ('x', 0, 'no JSON', 1, 1, NULL);
            INSERT INTO tool_grants VALUES ('x', 'installed', 'pods/registry pods/colours'), ('x', 'moon', 'pods/exec');
            INSERT INTO tool_revisions VALUES ('x', 1, 'd', NULL, NULL, 0, 'no JSON')";
        records.connection.execute_batch(odd).unwrap();
        let loaded = records.load().unwrap();
        assert_eq!(loaded.len(), 1);
        let x = loaded.values().next().unwrap();
        assert_eq!(
            (x.revisions.len(), x.grants.len(), x.grants[&Origin::Installed].to_string()),
            (0, 1, "pods/registry".to_owned())
        );
    }
}
