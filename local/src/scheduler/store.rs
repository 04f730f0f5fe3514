//! What survives the scheduler: a SQLite database that is written with every change, before anybody hears of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::deployments::plan::{Deployment, Step};
use super::model::app::App;
use super::model::group::{Group, Root};
use super::model::id::PathId;
use super::model::task::{Health, Task};
use super::model::time::Timestamp;
use super::state::{Dirty, State};

/// The layout of the tables. A database with another number is refused, not guessed at.
const LAYOUT: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS root (version INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS definition (
        app TEXT NOT NULL, version INTEGER NOT NULL, listed INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (app, version)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS unlisted ON definition (listed) WHERE listed = 0;
    CREATE TABLE IF NOT EXISTS task (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS deployment (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS wait (app TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS failure (app TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
";

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the database has layout {0}, this program knows {LAYOUT}")]
    Layout(i64),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a row cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// The database.
pub(crate) struct Store {
    connection: Connection,
    /// Roots that went since unused definitions were last looked for.
    roots_gone: usize,
}

/// A tree with the versions of its applications in place of their definitions.
#[derive(Serialize, Deserialize)]
struct RootRow {
    apps: BTreeMap<PathId, i64>,
    groups: BTreeMap<PathId, Group>,
}

/// A deployment with as much of its trees as it changes.
#[derive(Serialize, Deserialize)]
struct DeploymentRow {
    id: String,
    version: Timestamp,
    original: Root,
    target: Root,
    steps: Vec<Step>,
    current: usize,
}

impl Store {
    /// Opens the database, and makes it where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        // A commit is safe against the end of this process at once, and against a power cut a little later.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => connection.pragma_update(None, "user_version", LAYOUT)?,
            LAYOUT => {}
            other => return Err(StoreError::Layout(other)),
        }
        connection.execute_batch(TABLES)?;
        Ok(Self { connection, roots_gone: 0 })
    }

    /// A disk that is full from here on.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).expect("it is a number");
    }

    /// Writes rows as they are now, all or none.
    pub(crate) fn write(&mut self, state: &State, dirty: &BTreeSet<Dirty>) -> Result<(), StoreError> {
        if dirty.is_empty() {
            return Ok(());
        }
        let tx = self.connection.transaction()?;
        for row in dirty {
            write_row(&tx, state, row)?;
        }
        tx.commit()?;
        self.roots_gone += dirty.iter().filter(|row| matches!(row, Dirty::Root(v) if !state.history.contains_key(v))).count();
        if self.roots_gone >= super::state::VERSIONS_KEPT {
            self.roots_gone = 0;
            self.drop_unused(state)?;
        }
        Ok(())
    }

    /// Drops definitions of removed applications once no tree of the history has them any more.
    fn drop_unused(&mut self, state: &State) -> Result<(), StoreError> {
        let tx = self.connection.transaction()?;
        let unlisted: Vec<(String, i64)> = tx
            .prepare_cached("SELECT app, version FROM definition WHERE listed = 0")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (app, version) in unlisted {
            let id = PathId::absolute(&app);
            let used = state.history.values().any(|root| root.apps.get(&id).is_some_and(|app| app.version.0 == version));
            if !used {
                tx.prepare_cached("DELETE FROM definition WHERE app = ? AND version = ?")?.execute(params![app, version])?;
            }
        }
        Ok(tx.commit()?)
    }

    /// Reads everything. Rows that do not read are told and left out: a scheduler that does not start helps nobody.
    pub(crate) fn load(&self, host: String, now: Timestamp) -> Result<State, StoreError> {
        let mut state = State::new(host, now);
        let definitions = self.load_definitions(&mut state)?;
        let roots: Vec<(i64, String)> = self
            .connection
            .prepare("SELECT version, body FROM root ORDER BY version")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let history: BTreeMap<Timestamp, Arc<Root>> = roots
            .into_iter()
            .filter_map(|(version, body)| Some((Timestamp(version), Arc::new(root_of(&body, &definitions)?))))
            .collect();
        if let Some((version, root)) = history.last_key_value() {
            state.saw_version(*version);
            state.root = root.clone();
            state.history = history;
            // The tree of a new engine is not part of this history.
            state.take();
        }
        for task in self.load_bodies::<Task>("SELECT body FROM task")? {
            let health = vec![Health::default(); task.app.spec.health_checks.len()];
            state.adopt_task(Task { health, ..task });
        }
        for row in self.load_bodies::<DeploymentRow>("SELECT body FROM deployment ORDER BY version")? {
            state.saw_version(row.version);
            state.deployments.push(row.into());
        }
        for (app, wait) in self.load_pairs("SELECT app, body FROM wait")? {
            state.waits.insert(app, wait);
        }
        for (app, failure) in self.load_pairs("SELECT app, body FROM failure")? {
            state.failures.insert(app, failure);
        }
        Ok(state)
    }

    fn load_definitions(&self, state: &mut State) -> Result<HashMap<(PathId, i64), Arc<App>>, StoreError> {
        let mut found = HashMap::new();
        let mut statement = self.connection.prepare("SELECT listed, body FROM definition")?;
        let rows: Vec<(bool, String)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        for (listed, body) in rows {
            let Some(app) = read::<App>(&body).map(Arc::new) else { continue };
            if listed {
                state.versions.entry(app.id.clone()).or_default().insert(app.version, app.clone());
            }
            found.insert((app.id.clone(), app.version.0), app);
        }
        Ok(found)
    }

    fn load_bodies<T: DeserializeOwned>(&self, query: &str) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare(query)?;
        let bodies: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(bodies.iter().filter_map(|body| read(body)).collect())
    }

    fn load_pairs<T: DeserializeOwned>(&self, query: &str) -> Result<Vec<(PathId, T)>, StoreError> {
        let mut statement = self.connection.prepare(query)?;
        let pairs: Vec<(String, String)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(pairs.iter().filter_map(|(app, body)| Some((PathId::absolute(app), read(body)?))).collect())
    }
}

fn read<T: DeserializeOwned>(body: &str) -> Option<T> {
    serde_json::from_str(body).inspect_err(|error| tracing::error!(%error, body, "a row of the database does not read")).ok()
}

fn root_of(body: &str, definitions: &HashMap<(PathId, i64), Arc<App>>) -> Option<Root> {
    let row: RootRow = read(body)?;
    let apps = row.apps.into_iter().filter_map(|(id, version)| {
        let app = definitions.get(&(id.clone(), version)).cloned();
        if app.is_none() {
            tracing::error!(app = %id, version, "the definition of an application is missing in the database");
        }
        Some((id, app?))
    });
    Some(Root { apps: apps.collect(), groups: row.groups })
}

fn write_row(tx: &Transaction<'_>, state: &State, row: &Dirty) -> Result<(), StoreError> {
    match row {
        Dirty::Root(version) => write_root(tx, *version, state.history.get(version)),
        Dirty::Versions(app) => write_versions(tx, app, state.versions.get(app)),
        Dirty::Task(id) => put(tx, "task", "id", id, state.task(id)),
        Dirty::Deployment(id) => write_deployment(tx, id, state.deployments.iter().find(|deployment| deployment.id == *id)),
        Dirty::Wait(app) => put(tx, "wait", "app", app.as_str(), state.waits.get(app)),
        Dirty::Failure(app) => put(tx, "failure", "app", app.as_str(), state.failures.get(app)),
    }
}

fn put(tx: &Transaction<'_>, table: &str, key: &str, id: &str, value: Option<&impl Serialize>) -> Result<(), StoreError> {
    match value {
        Some(value) => {
            let body = serde_json::to_string(value)?;
            tx.prepare_cached(&format!("INSERT OR REPLACE INTO {table} ({key}, body) VALUES (?, ?)"))?.execute([id, &body])?;
        }
        None => {
            tx.prepare_cached(&format!("DELETE FROM {table} WHERE {key} = ?"))?.execute([id])?;
        }
    }
    Ok(())
}

fn write_root(tx: &Transaction<'_>, version: Timestamp, root: Option<&Arc<Root>>) -> Result<(), StoreError> {
    let Some(root) = root else {
        tx.prepare_cached("DELETE FROM root WHERE version = ?")?.execute([version.0])?;
        return Ok(());
    };
    let apps = root.apps.iter().map(|(id, app)| (id.clone(), app.version.0)).collect();
    let body = serde_json::to_string(&RootRow { apps, groups: root.groups.clone() })?;
    tx.prepare_cached("INSERT OR REPLACE INTO root (version, body) VALUES (?, ?)")?.execute(params![version.0, body])?;
    Ok(())
}

fn write_versions(
    tx: &Transaction<'_>,
    app: &PathId,
    versions: Option<&BTreeMap<Timestamp, Arc<App>>>,
) -> Result<(), StoreError> {
    let empty = BTreeMap::new();
    let versions = versions.unwrap_or(&empty);
    let oldest = versions.keys().next().map_or(i64::MAX, |version| version.0);
    tx.prepare_cached("UPDATE definition SET listed = 0 WHERE app = ? AND version < ? AND listed = 1")?
        .execute(params![app.as_str(), oldest])?;
    let newest: Option<i64> = tx
        .prepare_cached("SELECT version FROM definition WHERE app = ? AND listed = 1 ORDER BY version DESC LIMIT 1")?
        .query_row([app.as_str()], |row| row.get(0))
        .optional()?;
    for (version, definition) in versions.range(Timestamp(newest.map_or(i64::MIN, |newest| newest + 1))..) {
        let body = serde_json::to_string(definition.as_ref())?;
        tx.prepare_cached("INSERT OR REPLACE INTO definition (app, version, listed, body) VALUES (?, ?, 1, ?)")?
            .execute(params![app.as_str(), version.0, body])?;
    }
    Ok(())
}

fn write_deployment(tx: &Transaction<'_>, id: &str, deployment: Option<&Deployment>) -> Result<(), StoreError> {
    let Some(deployment) = deployment else { return put(tx, "deployment", "id", id, None::<&DeploymentRow>) };
    let changed = tx
        .prepare_cached("UPDATE deployment SET body = json_set(body, '$.current', ?) WHERE id = ?")?
        .execute(params![i64::try_from(deployment.current).unwrap_or(0), id])?;
    if changed > 0 {
        return Ok(());
    }
    let row = DeploymentRow {
        id: deployment.id.clone(),
        version: deployment.version,
        original: part_of(&deployment.original, deployment),
        target: part_of(&deployment.target, deployment),
        steps: deployment.steps.clone(),
        current: deployment.current,
    };
    let body = serde_json::to_string(&row)?;
    tx.prepare_cached("INSERT INTO deployment (id, version, body) VALUES (?, ?, ?)")?.execute(params![
        id,
        deployment.version.0,
        body
    ])?;
    Ok(())
}

fn part_of(root: &Root, deployment: &Deployment) -> Root {
    let apps = deployment.affected().filter_map(|id| Some((id.clone(), root.apps.get(id)?.clone())));
    Root { apps: apps.collect(), groups: root.groups.clone() }
}

impl From<DeploymentRow> for Deployment {
    fn from(row: DeploymentRow) -> Self {
        let mut deployment = Self::new(row.id, row.version, Arc::new(row.original), Arc::new(row.target), row.steps);
        deployment.current = row.current;
        deployment
    }
}
