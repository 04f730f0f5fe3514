//! A name with its layers, and what they come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use ocho_core::ToolName;
use ocho_core::tools::{LimitOverrides, Origin};
use ocho_runtime::{ComponentReport, Grants, Interface, Plugin};

use super::ToolStore;
use super::records::{Persisted, RevisionRecord};
use super::revision::{Gate, Revision};

/// A component of one layer.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) number: u32,
    pub(super) origin: Origin,
    pub(super) digest: String,
    pub(super) key: Option<String>,
    pub(super) installed_ms: Option<u64>,
    pub(super) report: Arc<ComponentReport>,
    /// Linked, or why it cannot be.
    pub(super) plugin: Result<Plugin, String>,
}

impl Part {
    /// An installed revision with what came of compiling it.
    pub(super) fn installed(record: &RevisionRecord, plugin: Result<Plugin, String>) -> Self {
        Self {
            number: record.number,
            origin: Origin::Installed,
            digest: record.digest.clone(),
            key: record.key.clone(),
            installed_ms: Some(record.installed_ms),
            report: record.report.clone(),
            plugin,
        }
    }
}

/// What is in use of a layer that changes, and what would be if something were granted.
#[derive(Clone, Default)]
pub(super) struct Layer {
    pub(super) active: Option<Part>,
    pub(super) waiting: Option<Part>,
}

impl Layer {
    pub(super) fn newest(&self) -> Option<&Part> {
        self.waiting.as_ref().or(self.active.as_ref())
    }

    /// Takes a component in: at once, or once it has its grants.
    pub(super) fn take(&mut self, part: Part, is_granted: bool) {
        if is_granted {
            *self = Self { active: Some(part), waiting: None };
        } else {
            self.waiting = Some(part);
        }
    }
}

/// What a run of this name meets.
#[derive(Clone, Default)]
pub(super) enum Now {
    /// A run can start.
    Active(Arc<Revision>),
    /// The operator switched it off.
    Disabled,
    /// It imports what it was not granted.
    Missing { number: u32, origin: Origin, missing: Grants },
    /// It cannot run.
    Broken(String),
    /// There is nothing of this name.
    #[default]
    Nothing,
}

/// A name.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) gate: Arc<Gate>,
    /// Moves when a grant is taken away at once.
    pub(super) epoch: u64,
    pub(super) disabled: bool,
    pub(super) limits: LimitOverrides,
    /// What was granted to each layer, where that is not what such a layer begins with.
    pub(super) grants: BTreeMap<Origin, Grants>,
    pub(super) builtin: Option<Part>,
    pub(super) folder: Layer,
    pub(super) installed: Layer,
    /// Installed revisions, those in use among them.
    pub(super) kept: BTreeMap<u32, Arc<RevisionRecord>>,
    pub(super) last_number: u32,
    /// The last number of an installed revision: these are never used twice.
    pub(super) last_installed: u32,
    /// What is wrong with the newest file of the tools folder.
    pub(super) error: Option<String>,
    pub(super) now: Now,
}

impl From<Persisted> for Entry {
    fn from(persisted: Persisted) -> Self {
        let part = |number: Option<u32>| {
            let record = persisted.revisions.get(&number?)?;
            Some(Part::installed(record, Err("it is not loaded yet".to_owned())))
        };
        Self {
            installed: Layer { active: part(persisted.active), waiting: part(persisted.waiting) },
            disabled: persisted.disabled,
            limits: persisted.limits,
            grants: persisted.grants,
            kept: persisted.revisions,
            last_number: persisted.last_installed,
            last_installed: persisted.last_installed,
            ..Self::default()
        }
    }
}

impl Entry {
    /// What the database keeps of it.
    pub(super) fn persisted(&self) -> Persisted {
        Persisted {
            disabled: self.disabled,
            limits: self.limits,
            last_installed: self.last_installed,
            active: self.installed.active.as_ref().map(|part| part.number),
            waiting: self.installed.waiting.as_ref().map(|part| part.number),
            grants: self.grants.clone(),
            revisions: self.kept.clone(),
        }
    }

    pub(super) fn persisted_digests(&self) -> impl Iterator<Item = &String> {
        self.kept.values().map(|record| &record.digest)
    }

    /// The number of the next revision.
    pub(super) fn next_number(&self) -> u32 {
        self.last_number.saturating_add(1)
    }

    /// The component that counts: of the topmost layer that has one.
    pub(super) fn top(&self) -> Option<&Part> {
        self.installed.active.as_ref().or(self.folder.active.as_ref()).or(self.builtin.as_ref())
    }

    /// The component that waits for a grant, of the topmost layer that has one.
    pub(super) fn waiting(&self) -> Option<&Part> {
        // A file below an installed tool waits for nothing: it would not be used.
        let folder = || self.folder.waiting.as_ref().filter(|_| self.installed.active.is_none());
        self.installed.waiting.as_ref().or_else(folder)
    }

    /// The layer that an operator means by this name: the topmost one.
    pub(super) fn steered(&self) -> Option<&Part> {
        self.installed.newest().or_else(|| self.folder.newest()).or(self.builtin.as_ref())
    }

    /// The layers that have a component.
    pub(super) fn layers(&self) -> Vec<Origin> {
        let parts = [self.builtin.as_ref(), self.folder.newest(), self.installed.newest()];
        parts.into_iter().flatten().map(|part| part.origin).collect()
    }

    pub(super) fn is_listed(&self) -> bool {
        !matches!(self.now, Now::Nothing) || self.error.is_some()
    }

    /// Why no run can start, and what to do.
    pub(super) fn why_not(&self, tool: &ToolName) -> Option<String> {
        match &self.now {
            Now::Active(_) => None,
            Now::Disabled => Some(format!("it is disabled; `ocho plugin enable {tool}` switches it on")),
            Now::Missing { origin, missing, .. } => Some(missing_sentence(tool, *origin, missing)),
            Now::Broken(why) => Some(why.clone()),
            Now::Nothing => self.error.clone(),
        }
    }

    /// Says in the log what callers see differently from now on.
    pub(super) fn tell_change(&self, tool: &ToolName, before: &Self) {
        for (origin, grants) in self.grants.iter().filter(|(origin, grants)| before.grants.get(origin) != Some(grants)) {
            tracing::info!(%tool, %origin, %grants, "grants of a tool");
        }
        if self.limits != before.limits {
            tracing::info!(%tool, limits = ?self.limits, "limits of a tool");
        }
        let seen = |entry: &Self| match &entry.now {
            Now::Active(revision) => Some((revision.number, revision.digest.clone())),
            _ => None,
        };
        match (&self.now, seen(before) == seen(self)) {
            (Now::Active(revision), false) => {
                let (revision, digest, origin) = (revision.number, &revision.digest, revision.origin);
                tracing::info!(%tool, revision, digest, %origin, "tool is active");
            }
            (Now::Active(_), true) => {}
            _ => {
                let (why, was) = (self.why_not(tool), before.why_not(tool));
                if why.is_some() && why != was {
                    tracing::warn!(%tool, error = why, "tool cannot run");
                } else if seen(before).is_some() {
                    tracing::info!(%tool, "tool is gone");
                }
            }
        }
    }
}

/// `it imports pods/exec, which it was not granted; ...`
pub(super) fn missing_sentence(tool: &ToolName, origin: Origin, missing: &Grants) -> String {
    let names: Vec<&str> = missing.iter().map(Interface::name).collect();
    let by_configuration = match origin {
        Origin::Folder => format!(", or start ochod with --grant {tool}={} and what it has", names.join(",")),
        _ => String::new(),
    };
    format!(
        "it imports {missing}, which it was not granted; `ocho plugin grant {tool} {}` grants it{by_configuration}",
        names.join(" ")
    )
}

impl ToolStore {
    /// Works out what a name comes to: what waited and has its grants becomes active, and so on.
    pub(super) fn settle(&self, tool: &ToolName, entry: &mut Entry) {
        for origin in [Origin::Folder, Origin::Installed] {
            let grants = self.grants(tool, entry, origin);
            let layer = if origin == Origin::Folder { &mut entry.folder } else { &mut entry.installed };
            let has_all = |part: &mut Part| part.plugin.is_ok() && grants.missing(&part.report.wanted).is_empty();
            if let Some(part) = layer.waiting.take_if(has_all) {
                layer.active = Some(part);
            }
        }
        entry.now = self.now(tool, entry);
    }

    fn now(&self, tool: &ToolName, entry: &Entry) -> Now {
        let Some(part) = entry.top().or(entry.waiting()) else { return Now::Nothing };
        if entry.disabled {
            return Now::Disabled;
        }
        let plugin = match &part.plugin {
            Ok(plugin) => plugin,
            Err(why) => return Now::Broken(why.clone()),
        };
        let grants = self.grants(tool, entry, part.origin);
        let missing = grants.missing(&part.report.wanted);
        if !missing.is_empty() {
            return Now::Missing { number: part.number, origin: part.origin, missing };
        }
        Now::Active(Arc::new(Revision {
            tool: tool.clone(),
            number: part.number,
            digest: part.digest.clone(),
            origin: part.origin,
            grants,
            wasm_bytes: part.report.bytes,
            plugin: plugin.clone(),
            limits: self.0.config.limits_of(tool, &entry.limits),
            runs: entry.limits.runs.map(|runs| u32::try_from(runs).unwrap_or(u32::MAX)),
            epoch: entry.epoch,
            gate: entry.gate.clone(),
        }))
    }
}
