//! Tools as `/v1/tools` shows them.

use chrono::{DateTime, SecondsFormat};
use ocho_core::ToolName;
use ocho_core::tools::{RevisionState, RevisionView, ToolDetail, ToolState, ToolSummary};
use ocho_runtime::{ComponentReport, Grants};

use super::ToolStore;
use super::entry::{Entry, Now, Part, missing_sentence};

/// A line of the list.
pub(super) fn summary(tool: &ToolName, entry: &Entry, store: &ToolStore) -> ToolSummary {
    let active = match &entry.now {
        Now::Active(revision) => Some(revision),
        _ => None,
    };
    let shown = entry.top().or(entry.waiting());
    let metadata = shown.map(|part| part.report.metadata.clone()).unwrap_or_default();
    let grants = entry.steered().map(|part| store.grants(tool, entry, part.origin)).unwrap_or_default();
    ToolSummary {
        tool: tool.clone(),
        active: active.is_some(),
        state: state(entry),
        revision: active.map(|revision| revision.number),
        waiting: entry.waiting().map(|part| part.number),
        origin: shown.map(|part| part.origin),
        digest: active.map(|revision| revision.digest.clone()),
        wasm_bytes: active.map(|revision| revision.wasm_bytes),
        tool_version: metadata.version,
        description: metadata.description,
        missing: grants.missing(&wanted(entry)),
        error: entry.why_not(tool).or_else(|| entry.error.clone()).or_else(|| waits(tool, entry, &grants)),
        grants,
    }
}

fn state(entry: &Entry) -> ToolState {
    match &entry.now {
        Now::Active(_) => ToolState::Active,
        Now::Disabled => ToolState::Disabled,
        Now::Missing { .. } => ToolState::Waiting,
        Now::Broken(_) | Now::Nothing => ToolState::Broken,
    }
}

/// What the newest component imports.
fn wanted(entry: &Entry) -> Grants {
    entry.steered().map(|part| part.report.wanted.clone()).unwrap_or_default()
}

fn waits(tool: &ToolName, entry: &Entry, grants: &Grants) -> Option<String> {
    let part = entry.waiting()?;
    let missing = grants.missing(&part.report.wanted);
    Some(format!("revision {} waits: {}", part.number, missing_sentence(tool, part.origin, &missing)))
}

/// All about a tool.
pub(super) fn detail(tool: &ToolName, entry: &Entry, store: &ToolStore) -> ToolDetail {
    let summary = summary(tool, entry, store);
    ToolDetail {
        wanted: wanted(entry),
        granted: summary.grants.clone(),
        limits: store.0.config.limits_view(tool, &entry.limits),
        revisions: revisions(entry),
        summary,
    }
}

fn revisions(entry: &Entry) -> Vec<RevisionView> {
    let is = |part: &Option<Part>, number: u32| part.as_ref().is_some_and(|part| part.number == number);
    let in_use = |part: &Part| match (&part.plugin, &entry.now) {
        (Err(_), _) => RevisionState::Broken,
        (Ok(_), Now::Missing { number, .. }) if *number == part.number => RevisionState::Waiting,
        (Ok(_), _) => RevisionState::Active,
    };
    let installed = entry.kept.values().rev().map(|record| {
        let part = Part::installed(record, Err(String::new()));
        let state = match record.number {
            number if is(&entry.installed.active, number) => entry.installed.active.as_ref().map_or(RevisionState::Kept, in_use),
            number if is(&entry.installed.waiting, number) => RevisionState::Waiting,
            _ => RevisionState::Kept,
        };
        view(&part, state)
    });
    let is_below = entry.installed.active.is_some();
    let folder = entry.folder.active.iter().map(|part| view(part, if is_below { RevisionState::Kept } else { in_use(part) }));
    let folder_waits = entry.folder.waiting.iter().map(|part| view(part, RevisionState::Waiting));
    let is_below = is_below || entry.folder.active.is_some();
    let builtin = entry.builtin.iter().map(|part| view(part, if is_below { RevisionState::Kept } else { in_use(part) }));
    installed.chain(folder_waits).chain(folder).chain(builtin).collect()
}

fn view(part: &Part, state: RevisionState) -> RevisionView {
    let ComponentReport { bytes, wasi, metadata, imports, wanted, .. } = (*part.report).clone();
    let installed_at = part.installed_ms.and_then(|ms| DateTime::from_timestamp_millis(i64::try_from(ms).ok()?));
    RevisionView {
        number: part.number,
        state,
        digest: part.digest.clone(),
        bytes,
        origin: part.origin,
        key: part.key.clone(),
        installed_at: installed_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
        wasi,
        metadata,
        imports,
        wanted,
    }
}
