//! What an operator changes of a tool that is there: grants, limits, the revision in use, whether it runs at all.

use ocho_core::ToolName;
use ocho_core::tools::{Activation, GrantsChange, LimitOverrides, LimitsChange, Origin};

use super::entry::{Entry, Layer, Part};
use super::install::refused_by_wasmtime;
use super::records::RevisionRecord;
use super::{Refusal, ToolStore};

impl ToolStore {
    /// Grants interfaces to the topmost layer of a tool, and takes others away from all of its layers. What waited for a grant
    /// becomes active; what misses one now refuses to run. Also says whether it takes something away with `now`: then runs in
    /// flight must not go on, and those that are being started do not.
    ///
    /// # Errors
    /// Where there is no such tool, or the change cannot be stored.
    pub async fn set_grants(&self, tool: &ToolName, change: GrantsChange) -> Result<(Activation, bool), Refusal> {
        let both: ocho_runtime::Grants = change.grant.iter().filter(|one| change.revoke.has(*one)).collect();
        if !both.is_empty() {
            return Err(Refusal::Contradiction(both));
        }
        let store = self.clone();
        self.steer(tool, move |tool, entry, origin| {
            let after = store.grants(tool, entry, origin).with(&change.grant);
            entry.grants.insert(origin, after);
            // From the layers below too: one that waits has an active one below it.
            for origin in entry.layers() {
                let before = store.grants(tool, entry, origin);
                let after = before.without(&change.revoke);
                if after != before {
                    entry.grants.insert(origin, after);
                }
            }
            // Also where it was taken away before: runs that began earlier have it still.
            let ends_runs = change.now && !change.revoke.is_empty();
            entry.epoch += u64::from(ends_runs);
            Ok(ends_runs)
        })
        .await
    }

    /// Changes the fence of a tool's runs, for runs that start from now on.
    ///
    /// # Errors
    /// Where a limit is not one that this host can keep, there is no such tool, or the change cannot be stored.
    pub async fn set_limits(&self, tool: &ToolName, change: LimitsChange) -> Result<Activation, Refusal> {
        let store = self.clone();
        let set = move |_: &ToolName, entry: &mut Entry, _| {
            let limits = change.apply(&entry.limits);
            store.0.config.check_limits(&limits)?;
            entry.limits = limits;
            Ok(())
        };
        self.steer(tool, set).await.map(|(activation, ())| activation)
    }

    /// Switches a tool off or on. Runs in flight go on.
    ///
    /// # Errors
    /// Where there is no such tool, or the change cannot be stored.
    pub async fn set_enabled(&self, tool: &ToolName, enabled: bool) -> Result<Activation, Refusal> {
        let set = move |_: &ToolName, entry: &mut Entry, _| {
            entry.disabled = !enabled;
            Ok(())
        };
        self.steer(tool, set).await.map(|(activation, ())| activation)
    }

    /// Goes back to a revision that is kept, or to the one before the active one. The tool keeps its grants; a revision that
    /// imports more waits for them.
    ///
    /// # Errors
    /// Where there is none, it cannot run, or the change cannot be stored.
    pub async fn roll_back(&self, tool: &ToolName, to: Option<u32>) -> Result<Activation, Refusal> {
        let entry = self.read().get(tool).cloned().unwrap_or_default();
        let record = entry.kept.get(&target(tool, &entry, to)?).expect("a target is kept").clone();
        let (store, theirs) = (self.clone(), record.clone());
        let wasm = self.blocking(move || store.read_installed(&theirs).map_err(|why| unusable(&theirs, &why))).await?;
        let compiled = self.0.compiler.compile_aside(wasm).await?;
        let plugin = compiled.map_err(refused_by_wasmtime)?;
        let (store, tool) = (self.clone(), tool.clone());
        self.blocking(move || {
            let ((), after) = store.change(&tool, |entry| {
                if !entry.kept.contains_key(&record.number) {
                    return Err(no_such_revision(&tool, entry, record.number));
                }
                let is_granted = store.grants(&tool, entry, Origin::Installed).missing(&record.report.wanted).is_empty();
                entry.installed.take(Part::installed(&record, Ok(plugin)), is_granted);
                Ok(())
            })?;
            Ok(store.activation(&tool, &after, record.number))
        })
        .await
    }

    /// Removes an installed tool with all its revisions and grants; what it had replaced shows again. Runs in flight go on.
    ///
    /// # Errors
    /// Where it is not an installed one, or the change cannot be stored.
    pub async fn remove(&self, tool: &ToolName) -> Result<Activation, Refusal> {
        let (store, tool) = (self.clone(), tool.clone());
        self.blocking(move || {
            let (number, after) = store.change(&tool, |entry| {
                let number = entry.steered().ok_or_else(|| Refusal::Unknown(tool.clone()))?.number;
                if entry.kept.is_empty() {
                    return Err(Refusal::Protected(match entry.folder.newest() {
                        Some(_) => format!("`{tool}` is a file in the tools folder; remove the file"),
                        None => {
                            format!("`{tool}` is built in and cannot be removed; `ocho plugin disable {tool}` switches it off")
                        }
                    }));
                }
                entry.installed = Layer::default();
                entry.kept.clear();
                entry.grants.remove(&Origin::Installed);
                entry.limits = LimitOverrides::default();
                // What was switched off stays off where something of this name is left.
                entry.disabled &= entry.steered().is_some() || entry.error.is_some();
                Ok(number)
            })?;
            Ok(Activation { revision: after.top().map(|part| part.number), ..store.activation(&tool, &after, number) })
        })
        .await
    }

    /// A change of the layer that an operator means.
    async fn steer<T: Send + 'static>(
        &self,
        tool: &ToolName,
        change: impl FnOnce(&ToolName, &mut Entry, Origin) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<(Activation, T), Refusal> {
        let (store, tool) = (self.clone(), tool.clone());
        self.blocking(move || {
            let (outcome, after) = store.change(&tool, |entry| {
                let origin = entry.steered().ok_or_else(|| Refusal::Unknown(tool.clone()))?.origin;
                change(&tool, entry, origin)
            })?;
            let number = after.steered().map_or(0, |part| part.number);
            Ok((store.activation(&tool, &after, number), outcome))
        })
        .await
    }
}

/// The revision to go back to.
fn target(tool: &ToolName, entry: &Entry, to: Option<u32>) -> Result<u32, Refusal> {
    let steered = entry.steered().ok_or_else(|| Refusal::Unknown(tool.clone()))?;
    match (to, steered.origin) {
        (_, Origin::Builtin) => Err(Refusal::NoRevision(format!("`{tool}` is built in and has no other revision"))),
        (_, Origin::Folder) => {
            Err(Refusal::NoRevision(format!("`{tool}` is a file in the tools folder; put the file there that it is to be")))
        }
        (Some(number), _) if entry.kept.contains_key(&number) => Ok(number),
        (Some(number), _) => Err(no_such_revision(tool, entry, number)),
        (None, _) => {
            let active = entry.installed.active.as_ref().map_or(u32::MAX, |part| part.number);
            let before = entry.kept.keys().copied().filter(|number| *number < active).max();
            before.ok_or_else(|| {
                Refusal::NoRevision(format!(
                    "no revision of `{tool}` before the active one is kept; `ocho plugin rm {tool}` removes it"
                ))
            })
        }
    }
}

fn unusable(record: &RevisionRecord, why: &str) -> Refusal {
    Refusal::NoRevision(format!("revision {} cannot be used: {why}", record.number))
}

fn no_such_revision(tool: &ToolName, entry: &Entry, number: u32) -> Refusal {
    let kept: Vec<String> = entry.kept.keys().map(u32::to_string).collect();
    Refusal::NoRevision(format!("revision {number} of `{tool}` is not kept; there are {}", kept.join(", ")))
}
