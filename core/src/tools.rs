//! What `/v1/tools` says: tools, their revisions, grants and limits, and what an installation would change.
//!
//! The host writes these values and `ocho` reads them. A reader takes members that it does not know for granted, and most
//! members may be missing, so that an older program understands a newer host.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Grants, ToolName};

/// The version that every body carries.
pub const VERSION: u32 = 1;

/// Where a component comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The host's own.
    Builtin,
    /// A file in the tools folder.
    Folder,
    /// Installed through `/v1/tools`.
    Installed,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Builtin => "built in",
            Self::Folder => "tools folder",
            Self::Installed => "installed",
        })
    }
}

/// Whether a run of a tool can start, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolState {
    /// It can.
    Active,
    /// The operator switched it off.
    Disabled,
    /// It has no revision that can run until something is granted.
    Waiting,
    /// Its component cannot run.
    Broken,
}

impl fmt::Display for ToolState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Waiting => "waiting",
            Self::Broken => "broken",
        })
    }
}

/// A line of `GET /v1/tools`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSummary {
    /// The tool's name.
    pub tool: ToolName,
    /// Whether a run of it can start.
    pub active: bool,
    /// The same with the reason.
    pub state: ToolState,
    /// The active revision, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The revision that waits for a grant, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u32>,
    /// Where the active revision comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// SHA-256 of the active revision, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Size of the active revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasm_bytes: Option<u64>,
    /// The version that the component says that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_version: Option<String>,
    /// What the component says about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it may reach.
    #[serde(default)]
    pub grants: Grants,
    /// What the newest revision imports beyond that.
    #[serde(default, skip_serializing_if = "Grants::is_empty")]
    pub missing: Grants,
    /// What is wrong, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// `GET /v1/tools`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolList {
    /// [`VERSION`].
    pub version: u32,
    /// Sorted by name.
    pub tools: Vec<ToolSummary>,
}

/// `GET /v1/tools/{tool}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolAnswer {
    /// [`VERSION`].
    pub version: u32,
    /// The tool.
    pub tool: ToolDetail,
}

/// All about one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: ToolSummary,
    /// What the newest revision imports of the contract.
    pub wanted: Grants,
    /// What it was granted; the same as `grants`.
    pub granted: Grants,
    /// The fence of its runs.
    pub limits: LimitsView,
    /// Newest first. What is built in or in the tools folder has one.
    pub revisions: Vec<RevisionView>,
}

/// A revision of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionView {
    /// Counts the revisions of this name, from 1. Never used twice for installed ones.
    pub number: u32,
    /// What it is now.
    pub state: RevisionState,
    /// SHA-256 of the component, in hexadecimal digits.
    pub digest: String,
    /// Size of the component.
    pub bytes: u64,
    /// Where it comes from.
    pub origin: Origin,
    /// Name of the key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was installed, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_at: Option<String>,
    /// The WASI that it is a command for: `0.3` or `0.2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasi: Option<Wasi>,
    /// What it says about itself.
    #[serde(default)]
    pub metadata: Metadata,
    /// Everything that it imports, sorted, with versions.
    #[serde(default)]
    pub imports: Vec<String>,
    /// What it imports of the contract.
    #[serde(default)]
    pub wanted: Grants,
}

/// What a revision is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionState {
    /// New runs use it.
    Active,
    /// Becomes active once what it misses is granted.
    Waiting,
    /// Kept for a rollback.
    Kept,
    /// Cannot run.
    Broken,
}

impl fmt::Display for RevisionState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Kept => "kept",
            Self::Broken => "broken",
        })
    }
}

/// The generation of WASI that a command is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wasi {
    /// WASI 0.2.
    #[serde(rename = "0.2")]
    P2,
    /// WASI 0.3.
    #[serde(rename = "0.3")]
    P3,
}

impl fmt::Display for Wasi {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::P2 => "0.2",
            Self::P3 => "0.3",
        })
    }
}

/// What a component says about itself, in its standard metadata sections. Nobody checks it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<String>,
    /// Its licence, an SPDX expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which state of the source it was built from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
}

/// A limit with where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitView {
    /// Its value; none where there is no limit.
    pub value: Option<u64>,
    /// Whether it was set for this tool, or is the host's default.
    #[serde(rename = "override")]
    pub is_override: bool,
}

/// The fence of a tool's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// Linear memory of a run.
    pub memory_bytes: LimitView,
    /// From start to end, waiting included.
    pub wall_ms: LimitView,
    /// Processor time of the guest.
    pub cpu_ms: LimitView,
    /// What a run may print.
    pub output_bytes: LimitView,
    /// Runs of the tool at once.
    pub runs: LimitView,
}

/// What was set for one tool, beyond the host's defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitOverrides {
    /// Linear memory of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// From start to end, waiting included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Processor time of the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// What a run may print.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// Runs of the tool at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
}

/// `PUT /v1/tools/{tool}/limits`: a missing member stays as it is, `null` goes back to the host's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsChange {
    /// Linear memory of a run.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<Option<u64>>,
    /// From start to end, waiting included.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<Option<u64>>,
    /// Processor time of the guest.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<Option<u64>>,
    /// What a run may print.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<Option<u64>>,
    /// Runs of the tool at once.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub runs: Option<Option<u64>>,
}

/// Tells `null` from a missing member.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl LimitsChange {
    /// What is set after this change.
    #[must_use]
    pub fn apply(&self, to: &LimitOverrides) -> LimitOverrides {
        LimitOverrides {
            memory_bytes: self.memory_bytes.unwrap_or(to.memory_bytes),
            wall_ms: self.wall_ms.unwrap_or(to.wall_ms),
            cpu_ms: self.cpu_ms.unwrap_or(to.cpu_ms),
            output_bytes: self.output_bytes.unwrap_or(to.output_bytes),
            runs: self.runs.unwrap_or(to.runs),
        }
    }

    /// The members that are set, by name.
    #[must_use]
    pub fn values(&self) -> BTreeMap<&'static str, u64> {
        let all = [
            ("memory_bytes", self.memory_bytes),
            ("wall_ms", self.wall_ms),
            ("cpu_ms", self.cpu_ms),
            ("output_bytes", self.output_bytes),
            ("runs", self.runs),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.flatten()?))).collect()
    }
}

/// `PUT /v1/tools/{tool}/grants`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrantsChange {
    /// Interfaces to grant.
    pub grant: Grants,
    /// Interfaces to take away.
    pub revoke: Grants,
    /// Whether runs in flight are ended too, if something is taken away.
    pub now: bool,
}

/// `POST /v1/tools/{tool}/rollback`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackOrder {
    /// The revision to go back to; the one before the active one, if not given.
    pub revision: Option<u32>,
}

/// Whether a change took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationState {
    /// New runs use the revision.
    Active,
    /// The revision is kept, and becomes active once what it misses is granted.
    Waiting,
    /// The tool cannot run now.
    Inactive,
}

/// What came of a change: of every request to `/v1/tools/{tool}` but `GET`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// [`VERSION`].
    pub version: u32,
    /// The tool.
    pub tool: ToolName,
    /// The revision that this is about; none of a plan, which changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Whether it is active. Of a plan: whether it would be.
    pub state: ActivationState,
    /// What is missing, and the command that grants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of an installation: what changed, or would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<InstallPlan>,
    /// Runs in flight that were ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub runs_ended: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What an installation changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallPlan {
    /// The tool.
    pub tool: ToolName,
    /// The revision that is active before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// The number of the new revision.
    pub to: u32,
    /// SHA-256 of the component, in hexadecimal digits.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// The size of the revision that is active before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<u64>,
    /// The WASI that it is a command for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasi: Option<Wasi>,
    /// What it says about itself.
    #[serde(default)]
    pub metadata: Metadata,
    /// The version that the active revision says that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_before: Option<String>,
    /// What it imports of the contract.
    #[serde(default)]
    pub imports: Grants,
    /// What of that the active revision does not import.
    #[serde(default)]
    pub imports_added: Grants,
    /// What the active revision imports, and this does not.
    #[serde(default)]
    pub imports_removed: Grants,
    /// What it may reach afterwards.
    #[serde(default)]
    pub grants: Grants,
    /// What of that is new.
    #[serde(default)]
    pub grants_added: Grants,
    /// What it imports and was not granted: it waits for these.
    #[serde(default)]
    pub missing: Grants,
    /// The fence of its runs.
    pub limits: LimitsView,
    /// What is known of its signature.
    pub signature: SignatureView,
    /// Whose name it takes over, where another source has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Origin>,
    /// Revisions that are dropped, since only so many are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<u32>,
}

/// What is known of a component's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignatureView {
    /// None came.
    Unsigned,
    /// One came, and no key is configured to check it with.
    Unchecked,
    /// It is good.
    Good {
        /// Name of the key.
        key: String,
        /// What the signer says with it, such as the time and the name of the file.
        comment: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_null_is_told_from_a_missing_one() {
        let before = LimitOverrides { wall_ms: Some(5), cpu_ms: Some(6), ..LimitOverrides::default() };
        let change: LimitsChange = serde_json::from_str(r#"{"wall_ms": null, "runs": 3}"#).unwrap();
        assert_eq!(change.apply(&before), LimitOverrides { cpu_ms: Some(6), runs: Some(3), ..LimitOverrides::default() });
        assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"wall_ms":null,"runs":3}"#);
        assert_eq!(change.values().into_iter().collect::<Vec<_>>(), [("runs", 3)]);
        assert!(serde_json::from_str::<LimitsChange>(r#"{"wall": 1}"#).is_err());
        assert!(serde_json::from_str::<LimitsChange>(r#"{"wall_ms": -1}"#).is_err());
    }

    #[test]
    fn orders_have_defaults_and_take_no_unknown_names() {
        assert_eq!(serde_json::from_str::<RollbackOrder>("{}").unwrap().revision, None);
        let change: GrantsChange = serde_json::from_str(r#"{"grant": ["pods/exec"]}"#).unwrap();
        assert_eq!((change.grant.to_string().as_str(), change.revoke.is_empty(), change.now), ("pods/exec", true, false));
        assert!(serde_json::from_str::<GrantsChange>(r#"{"grant": ["pods"]}"#).is_err());
        assert!(serde_json::from_str::<GrantsChange>(r#"{"grants": []}"#).is_err());
    }

    #[test]
    fn an_older_answer_is_read() {
        let old = r#"{"tool": "ls", "active": true, "state": "active", "grants": ["pods/registry"], "colour": "red"}"#;
        let summary: ToolSummary = serde_json::from_str(old).unwrap();
        assert_eq!((summary.revision, summary.grants.to_string().as_str()), (None, "pods/registry"));
        let again = serde_json::to_string(&summary).unwrap();
        assert_eq!(again, r#"{"tool":"ls","active":true,"state":"active","grants":["pods/registry"]}"#);
    }
}
