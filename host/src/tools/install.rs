//! Installing: look at it, compile it, link it, write it down, swap. Each step may refuse, and then nothing changed.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ocho_core::ToolName;
use ocho_core::signature::{hex, sha256};
use ocho_core::tools::{Activation, ActivationState, InstallPlan, Origin, SignatureView, VERSION};
use ocho_runtime::{ComponentReport, Grants, NotAComponent, PluginError};

use super::entry::{Entry, Now, Part, missing_sentence};
use super::records::RevisionRecord;
use super::{Refusal, ToolStore, failpoint};

/// A component to be installed.
#[derive(Debug, Clone)]
pub struct InstallOrder {
    /// Its name.
    pub tool: ToolName,
    /// The component.
    pub wasm: Bytes,
    /// The text of a minisign signature file.
    pub signature: Option<String>,
    /// Its SHA-256 as the sender knows it, in hexadecimal digits.
    pub digest: Option<String>,
    /// What is granted with it, beyond what the tool has.
    pub grant: Grants,
    /// Whether it may take the name over from another source.
    pub force: bool,
}

/// What is known of an order before anything is compiled.
struct Examined {
    digest: String,
    signature: SignatureView,
    report: Arc<ComponentReport>,
}

impl ToolStore {
    /// Says what an installation would change, and changes nothing.
    ///
    /// # Errors
    /// Where it would be refused. What only wasmtime finds is not found here.
    pub async fn plan(&self, order: InstallOrder) -> Result<Activation, Refusal> {
        let (order, examined) = self.examine(order).await?;
        let entry = self.read().get(&order.tool).cloned().unwrap_or_default();
        let plan = self.plan_install(&entry, &order, &examined)?;
        let state = if plan.missing.is_empty() { ActivationState::Active } else { ActivationState::Waiting };
        let message = (!plan.missing.is_empty()).then(|| missing_sentence(&order.tool, Origin::Installed, &plan.missing));
        Ok(Activation { version: VERSION, tool: order.tool, revision: None, state, message, plan: Some(plan), runs_ended: 0 })
    }

    /// Installs a component as the newest revision of a tool. It becomes active at once where it has all its grants; otherwise
    /// it waits for them, and what was active stays so. Dropping the future before the end installs it or leaves it.
    ///
    /// # Errors
    /// Where it is refused; then nothing changed.
    pub async fn install(&self, order: InstallOrder) -> Result<Activation, Refusal> {
        let (order, examined) = self.examine(order).await?;
        let entry = self.read().get(&order.tool).cloned().unwrap_or_default();
        // Before it costs a compilation.
        self.plan_install(&entry, &order, &examined)?;
        let compiled = self.0.compiler.compile_aside(order.wasm.clone()).await?;
        let plugin = compiled.map_err(refused_by_wasmtime)?;
        let store = self.clone();
        self.blocking(move || {
            let ((plan, number), after) = store.change(&order.tool, |entry| {
                let plan = store.plan_install(entry, &order, &examined)?;
                if !entry.kept.contains_key(&plan.to) {
                    store.0.shelf.put(&examined.digest, &order.wasm).map_err(|error| Refusal::Storage(error.to_string()))?;
                    let record = Arc::new(record(&order, &examined, plan.to));
                    entry.installed.take(Part::installed(&record, Ok(plugin)), plan.missing.is_empty());
                    entry.kept.insert(plan.to, record);
                    (entry.last_number, entry.last_installed) = (plan.to, plan.to);
                }
                entry.grants.insert(Origin::Installed, plan.grants.clone());
                plan.drops.iter().for_each(|number| drop(entry.kept.remove(number)));
                let number = plan.to;
                Ok((plan, number))
            })?;
            failpoint::reached("answering");
            Ok(Activation { plan: Some(plan), ..store.activation(&order.tool, &after, number) })
        })
        .await
    }

    async fn examine(&self, order: InstallOrder) -> Result<(InstallOrder, Examined), Refusal> {
        let store = self.clone();
        // Hashing and reading some megabytes takes long enough to stand in the way.
        self.blocking(move || {
            let digest = hex(&sha256(&order.wasm));
            if let Some(expected) = order.digest.clone().filter(|expected| !expected.eq_ignore_ascii_case(&digest)) {
                return Err(Refusal::Digest { expected, found: digest });
            }
            let signature = store.0.config.signatures.check(&order.wasm, order.signature.as_deref())?;
            let report = ComponentReport::read(&order.wasm)?;
            if !report.misfits().is_empty() {
                return Err(Refusal::Misfits(report.misfits().to_vec()));
            }
            Ok((order, Examined { digest, signature, report: Arc::new(report) }))
        })
        .await
    }

    fn plan_install(&self, entry: &Entry, order: &InstallOrder, examined: &Examined) -> Result<InstallPlan, Refusal> {
        let tool = &order.tool;
        let replaces = taken_over(tool, entry, examined);
        if let Some((_, why)) = replaces.as_ref().filter(|_| !order.force) {
            return Err(Refusal::Protected(format!("{why}; `ocho plugin install {tool} --force` takes the name over")));
        }
        let (active, report) = (entry.top(), &examined.report);
        let before = if entry.kept.is_empty() { Grants::default() } else { self.grants(tool, entry, Origin::Installed) };
        let has = if entry.kept.is_empty() { self.0.config.default_grants.clone() } else { before.clone() };
        let grants = has.with(&order.grant);
        let imported = active.map(|part| part.report.wanted.clone()).unwrap_or_default();
        let missing = grants.missing(&report.wanted);
        let to = same(entry, examined).unwrap_or_else(|| entry.next_number());
        Ok(InstallPlan {
            tool: tool.clone(),
            from: active.map(|part| part.number),
            to,
            digest: examined.digest.clone(),
            bytes: report.bytes,
            bytes_before: active.map(|part| part.report.bytes),
            wasi: report.wasi,
            metadata: report.metadata.clone(),
            version_before: active.and_then(|part| part.report.metadata.version.clone()),
            imports: report.wanted.clone(),
            imports_added: report.wanted.without(&imported),
            imports_removed: imported.without(&report.wanted),
            drops: self.drops(entry, to, !missing.is_empty()),
            missing,
            grants_added: grants.without(&before),
            grants,
            limits: self.0.config.limits_view(tool, &entry.limits),
            signature: examined.signature.clone(),
            replaces: replaces.map(|(origin, _)| origin),
        })
    }

    /// The revisions that go, so that no more than the configured number is kept.
    fn drops(&self, entry: &Entry, to: u32, waits: bool) -> Vec<u32> {
        // What is active stays as long as the new one only waits.
        let active = entry.installed.active.as_ref().filter(|part| waits && part.number != to).map(|part| part.number);
        let others: Vec<u32> = entry.kept.keys().copied().filter(|number| *number != to && Some(*number) != active).collect();
        let room = self.0.config.revisions_kept.saturating_sub(1 + usize::from(active.is_some()));
        others[..others.len().saturating_sub(room)].to_vec()
    }

    /// What a change came to for one revision.
    pub(super) fn activation(&self, tool: &ToolName, entry: &Entry, number: u32) -> Activation {
        let waits = entry.waiting().filter(|part| part.number == number);
        let (state, message) = match (waits, &entry.now) {
            (Some(part), _) => {
                let missing = self.grants(tool, entry, part.origin).missing(&part.report.wanted);
                (ActivationState::Waiting, Some(missing_sentence(tool, part.origin, &missing)))
            }
            (None, Now::Active(_)) => (ActivationState::Active, None),
            _ => (ActivationState::Inactive, entry.why_not(tool)),
        };
        Activation { version: VERSION, tool: tool.clone(), revision: Some(number), state, message, plan: None, runs_ended: 0 }
    }

    /// Does what may block on a thread that may.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Refusal::Storage(error.to_string())))
    }
}

/// What only the compiler and the linker find.
pub(super) fn refused_by_wasmtime(error: PluginError) -> Refusal {
    match error {
        PluginError::NotAComponent(why) => Refusal::NotAComponent(NotAComponent::Garbage(why)),
        error => Refusal::Link(error.to_string()),
    }
}

/// The newest revision, where it is this component signed by the same key: installing it again makes no new one.
fn same(entry: &Entry, examined: &Examined) -> Option<u32> {
    let newest = entry.installed.newest()?;
    // One that cannot run, since its file was damaged, is mended by a new one.
    let is_same = newest.digest == examined.digest && newest.key.as_deref() == key(&examined.signature) && newest.plugin.is_ok();
    is_same.then_some(newest.number)
}

fn key(signature: &SignatureView) -> Option<&str> {
    match signature {
        SignatureView::Good { key, .. } => Some(key),
        SignatureView::Unsigned | SignatureView::Unchecked => None,
    }
}

fn record(order: &InstallOrder, examined: &Examined, number: u32) -> RevisionRecord {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    RevisionRecord {
        number,
        digest: examined.digest.clone(),
        key: key(&examined.signature).map(str::to_owned),
        signature: order.signature.clone(),
        installed_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        report: examined.report.clone(),
    }
}

/// Whose name this component would take over, with a sentence; nothing where it comes from the same source.
fn taken_over(tool: &ToolName, entry: &Entry, examined: &Examined) -> Option<(Origin, String)> {
    let owner = entry.steered()?;
    let whose = match owner.origin {
        Origin::Builtin => "is built in".to_owned(),
        Origin::Folder => "belongs to a file in the tools folder".to_owned(),
        Origin::Installed => {
            let (old, new) = (owner.key.as_deref(), key(&examined.signature));
            let (was, is) = (&owner.report.metadata.source, &examined.report.metadata.source);
            match (old, was, is) {
                (Some(signer), _, _) if new != old => format!("belongs to what `{signer}` signed, and this is not"),
                (_, Some(was), Some(is)) if was != is => {
                    format!("belongs to a component from `{was}`, and this one is from `{is}`")
                }
                _ => return None,
            }
        }
    };
    Some((owner.origin, format!("the name `{tool}` {whose}")))
}
