//! The file of a scene, as authors write it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::values::{Answer, Span, Texts, TimeOfDay, Until};

/// All of a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SceneFile {
    pub(crate) about: Option<String>,
    /// The scene whose cluster this one has, part by part, where it has none itself.
    pub(crate) from: Option<PathBuf>,
    #[serde(default)]
    pub(crate) run: RunPart,
    pub(crate) clock: Option<ClockPart>,
    pub(crate) registry: Option<RegistryPart>,
    pub(crate) pod: Option<Vec<PodPart>>,
    pub(crate) marathon: Option<MarathonPart>,
    pub(crate) shell: Option<Vec<ShellPart>>,
    #[serde(default)]
    pub(crate) expect: ExpectPart,
}

impl SceneFile {
    /// Takes the parts of the cluster that it has not from another.
    pub(crate) fn complete_with(&mut self, base: Self) {
        self.clock = self.clock.take().or(base.clock);
        self.registry = self.registry.take().or(base.registry);
        self.pod = self.pod.take().or(base.pod);
        self.marathon = self.marathon.take().or(base.marathon);
        self.shell = self.shell.take().or(base.shell);
    }
}

/// What the tool is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunPart {
    #[serde(default)]
    pub(crate) args: Vec<String>,
    pub(crate) line: Option<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) files: BTreeMap<String, FilePart>,
    pub(crate) grants: Option<ocho_runtime::Grants>,
    pub(crate) wall: Option<Span>,
}

/// A file in the working folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected the file's text, or { path = \"...\" }")]
pub(crate) enum FilePart {
    Text(String),
    Path { path: PathBuf },
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockPart {
    pub(crate) now: Option<TimeOfDay>,
    #[serde(default)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryPart {
    pub(crate) fails: Option<String>,
}

/// One pod, or several that differ in their number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PodPart {
    pub(crate) cluster: ocho_core::ClusterName,
    pub(crate) seq: Option<u32>,
    #[serde(default)]
    pub(crate) seqs: Vec<u32>,
    pub(crate) application: Option<String>,
    pub(crate) task: Option<String>,
    #[serde(default)]
    pub(crate) registers: Span,
    pub(crate) leaves: Option<Span>,
    #[serde(default)]
    pub(crate) registration: Map<String, Value>,
    #[serde(default)]
    pub(crate) info: Map<String, Value>,
    #[serde(default)]
    pub(crate) log: Vec<String>,
    pub(crate) is: Option<Answer>,
    #[serde(default)]
    pub(crate) answers: Answers,
}

/// Answers to each question, one after the other; the last one stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answers {
    #[serde(default)]
    pub(crate) info: Vec<Answer>,
    #[serde(default)]
    pub(crate) log: Vec<Answer>,
    #[serde(default)]
    pub(crate) on: Vec<Answer>,
    #[serde(default)]
    pub(crate) off: Vec<Answer>,
    #[serde(default)]
    pub(crate) kill: Vec<Answer>,
    #[serde(default)]
    pub(crate) signal: Vec<Answer>,
    #[serde(default)]
    pub(crate) reregister: Vec<Answer>,
    #[serde(default)]
    pub(crate) exec: Vec<Answer>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MarathonPart {
    pub(crate) fails: Option<String>,
    #[serde(default)]
    pub(crate) deploys_in: Span,
    pub(crate) boots_in: Option<Span>,
    pub(crate) boots: Option<u32>,
    pub(crate) boots_as: Option<String>,
    #[serde(default)]
    pub(crate) app: Vec<AppPart>,
    #[serde(default)]
    pub(crate) refuse: Vec<RefusePart>,
    #[serde(default)]
    pub(crate) event: Vec<EventPart>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppPart {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) definition: Map<String, Value>,
    pub(crate) locked: Option<Until>,
}

/// Requests that are refused: they begin so.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefusePart {
    pub(crate) request: String,
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) body: Value,
    pub(crate) fails: Option<Failing>,
    pub(crate) times: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Failing {
    Timeout,
    Unreachable,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventPart {
    #[serde(default)]
    pub(crate) at: Span,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) data: Value,
}

/// Another tool that answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShellPart {
    pub(crate) line: String,
    #[serde(default)]
    pub(crate) out: String,
    #[serde(default)]
    pub(crate) err: String,
    #[serde(default)]
    pub(crate) exit: u8,
    #[serde(default)]
    pub(crate) after: Span,
    pub(crate) fails: Option<ShellFailing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ShellFailing {
    Busy,
    NoSuchTool,
    TooDeep,
    Denied,
}

/// What is expected of the run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExpectPart {
    pub(crate) exit: Option<u8>,
    pub(crate) out: Option<String>,
    #[serde(default)]
    pub(crate) out_contains: Texts,
    #[serde(default)]
    pub(crate) out_lacks: Texts,
    pub(crate) out_json: Option<Value>,
    pub(crate) err: Option<String>,
    #[serde(default)]
    pub(crate) err_contains: Texts,
    #[serde(default)]
    pub(crate) err_lacks: Texts,
    pub(crate) ended: Option<String>,
    pub(crate) refused: Option<String>,
    pub(crate) elapsed: Option<Span>,
    pub(crate) orders: Option<Vec<OrderPart>>,
    pub(crate) requests: Option<Vec<OrderPart>>,
}

/// An order that is expected: a text is compared without the body.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text, or { order, body } or { order, body-has }")]
pub(crate) enum OrderPart {
    Text(String),
    Whole(WholeOrder),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WholeOrder {
    pub(crate) order: String,
    pub(crate) body: Option<Value>,
    pub(crate) body_has: Option<Value>,
}
