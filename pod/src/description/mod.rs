//! `pod.toml`: a pod described in a file.

mod check;
pub mod template;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::dependency::{Dependency, DependencyError};
use crate::environment::Variables;
use crate::hooks::HookError;
use crate::hooks::described::fill_in_command;
use crate::leader::ModelSettings;
use crate::lifecycle::{LifecycleSettings, OnCrash};
use crate::tools::{CommandTool, Limits, Shell, Tools};
use values::{CommandLine, Mode, ModelPart, Template, Time};

pub use check::{Outline, outline};
pub(crate) use values::CommandLine as CommandTemplate;

/// A pod, as its author describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// A component with the author's own logic.
    pub(crate) model: Option<Spanned<ModelPart>>,
    /// What to run.
    #[serde(default)]
    pub process: ProcessPart,
    /// How the cluster is formed.
    #[serde(default)]
    pub cluster: ClusterPart,
    /// What has to be there before the pod is configured.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Files to write before the process starts.
    #[serde(default)]
    pub file: Vec<Spanned<FilePart>>,
    /// How to tell whether the process is well.
    pub check: Option<Spanned<CheckPart>>,
    /// Where the metrics come from.
    pub metrics: Option<Spanned<Source>>,
    /// What the leader says about the cluster.
    pub probe: Option<ProbePart>,
    /// Whether `/exec` has the tool `shell`, which runs any line.
    #[serde(default = "yes")]
    pub(crate) shell_tool: bool,
    /// What `/exec` can run, by name.
    #[serde(default)]
    pub tools: BTreeMap<String, Spanned<ToolPart>>,
    /// Commands at certain moments.
    #[serde(default)]
    pub hooks: HooksPart,
    /// Every number in the text that could be a port: what a made-up cluster exposes.
    #[serde(skip)]
    pub(crate) numbers: BTreeSet<u16>,
    /// Where it was read from, and where its lines begin.
    #[serde(skip)]
    source: SourceText,
}

/// What messages need to know of the text.
#[derive(Debug, Clone, Default)]
struct SourceText {
    path: PathBuf,
    newlines: Vec<usize>,
}

impl SourceText {
    fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_owned(), newlines: text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    /// The line, from 1, in which a byte stands.
    fn line(&self, at: usize) -> usize {
        self.newlines.partition_point(|newline| *newline < at) + 1
    }

    fn sense(&self, at: usize, what: impl Into<String>) -> DescriptionError {
        DescriptionError::Sense { path: self.path.clone(), line: self.line(at), what: what.into() }
    }
}

/// `[process]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessPart {
    /// Program and arguments, or one line. A model may say it instead.
    pub(crate) command: Option<CommandLine>,
    /// Whether a line is for `/bin/sh`; else it is cut at single spaces.
    #[serde(default)]
    pub(crate) shell: bool,
    /// Where it runs and where relative file names lead; made if it is not there.
    pub(crate) folder: Option<PathBuf>,
    /// Variables on top of the pod's own.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, Template>,
    #[serde(default)]
    output: OutputPart,
    grace: Option<Time>,
    #[serde(default)]
    soft: bool,
    #[serde(default)]
    on_crash: OnCrashPart,
    #[serde(default)]
    give_up_after: u32,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OutputPart {
    /// To the pod's own streams.
    #[default]
    Inherit,
    /// Into the log.
    Log,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnCrashPart {
    /// Start again, more and more slowly.
    #[default]
    Restart,
    /// As the original: a crash is a failed check.
    Count,
}

/// `[cluster]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterPart {
    depends_on: Vec<Spanned<String>>,
    damper: Option<Time>,
    damper_at_most: Option<Time>,
    patience: Option<Time>,
    grace: Option<Time>,
    sequential: bool,
    full_shutdown: bool,
    strict: bool,
    follow_peers: bool,
}

/// `[[needs]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// An entry of `depends_on`; the own cluster if there is none.
    dependency: Option<Spanned<String>>,
    /// So many pods at least.
    #[serde(default = "one")]
    pub(crate) pods: usize,
    /// Each of them exposes this port.
    pub(crate) port: Option<u16>,
}

impl Need {
    /// The entry of `depends_on`, if it is not about the own cluster.
    pub(crate) fn dependency(&self) -> Option<&str> {
        self.dependency.as_ref().map(|name| name.get_ref().as_str())
    }
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

/// `[[file]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePart {
    /// Where to.
    pub(crate) path: Template,
    /// What stands in it.
    template: Option<Template>,
    /// A file with the template, relative to the description.
    source: Option<PathBuf>,
    /// Its mode.
    pub(crate) mode: Option<Mode>,
}

impl FilePart {
    /// The template, read from the source where there is one.
    pub(crate) fn template(&self) -> &Template {
        self.template.as_ref().expect("`source` was read into it")
    }
}

/// `[check]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckPart {
    pub(crate) command: Option<CommandLine>,
    #[serde(default)]
    pub(crate) shell: bool,
    pub(crate) http: Option<Template>,
    pub(crate) tcp: Option<Template>,
    every: Option<Time>,
    timeout: Option<Time>,
    failures: Option<u32>,
    warm_up: Option<Time>,
}

/// Where a value comes from: a command's output or the body of an HTTP answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub(crate) command: Option<CommandLine>,
    #[serde(default)]
    pub(crate) shell: bool,
    pub(crate) http: Option<Template>,
    timeout: Option<Time>,
}

/// `[probe]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePart {
    pub(crate) command: CommandLine,
    #[serde(default)]
    pub(crate) shell: bool,
    every: Option<Time>,
    timeout: Option<Time>,
}

/// `[tools.<name>]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolPart {
    /// The arguments of the request are added to it.
    pub(crate) command: Option<CommandLine>,
    #[serde(default)]
    pub(crate) shell: bool,
    timeout: Option<Time>,
    /// Whether the model runs it.
    #[serde(default)]
    pub(crate) model: bool,
}

/// `[hooks]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HooksPart {
    /// Once, before the first start.
    pub(crate) initialize: Option<CommandLine>,
    /// Refuses a configuration by failing.
    pub(crate) can_configure: Option<CommandLine>,
    /// All pods are configured.
    pub(crate) configured: Option<CommandLine>,
    /// Answers `signal`: JSON on standard input, JSON on standard output.
    pub(crate) signaled: Option<CommandLine>,
    /// Ends the process, in place of SIGTERM.
    pub(crate) tear_down: Option<CommandLine>,
    /// At the end.
    pub(crate) finalize: Option<CommandLine>,
    /// Whether lines are for `/bin/sh`.
    pub(crate) shell: bool,
}

/// How long a process may take until its first check passes, if its description does not say.
const WARM_UP: Duration = Duration::from_secs(10);
/// How long something may take that does not say.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);

impl CheckPart {
    pub(crate) fn limit(&self) -> Duration {
        self.timeout.map_or(QUESTION_LIMIT, |time| time.0)
    }
}

impl Source {
    pub(crate) fn limit(&self) -> Duration {
        self.timeout.map_or(QUESTION_LIMIT, |time| time.0)
    }
}

impl ProbePart {
    pub(crate) fn limit(&self) -> Duration {
        self.timeout.map_or(QUESTION_LIMIT, |time| time.0)
    }
}

impl ToolPart {
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.timeout.map(|time| time.0)
    }
}

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// It is not there.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// It is no TOML, or not of this form. The text names the line.
    #[error("`{path}` is not a description of a pod\n{cause}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What and where.
        cause: toml::de::Error,
    },
    /// It makes no sense.
    #[error("`{path}`, line {line}: {what}")]
    Sense {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// Files are read up to this size.
const LARGEST: u64 = 4 << 20;

impl Description {
    /// Reads a file, and the templates that it names.
    ///
    /// # Errors
    /// Where one cannot be read or makes no sense.
    pub fn read(path: &Path) -> Result<Self, DescriptionError> {
        let text = read_text(path)?;
        Self::parse(&text, path)
    }

    /// Reads a text as if it came from the file `path`.
    ///
    /// # Errors
    /// Where it makes no sense.
    pub fn parse(text: &str, path: &Path) -> Result<Self, DescriptionError> {
        let form = |cause| DescriptionError::Form { path: path.to_owned(), cause };
        let mut description: Self = toml::from_str(text).map_err(form)?;
        description.numbers = numbers(text);
        description.source = SourceText::new(path, text);
        let source = description.source.clone();
        let sense = |at: usize, what: String| source.sense(at, what);
        description.check_sense(path, &sense)?;
        description.check_model(text, &sense)?;
        Ok(description)
    }

    /// What only a model could do needs one.
    fn check_model(&self, text: &str, sense: &dyn Fn(usize, String) -> DescriptionError) -> Result<(), DescriptionError> {
        if self.process.command.is_none() && self.model.is_none() {
            let at = text.find("[process]").unwrap_or(0);
            return Err(sense(at, "missing field `command` in [process]".to_owned()));
        }
        for (name, tool) in &self.tools {
            let part = tool.get_ref();
            let what = match (part.model, &part.command) {
                (true, Some(_)) => "has either a `command` or `model = true`",
                (true, None) if self.model.is_none() => {
                    "is for a model, and there is none: name it with `model = \"model.wasm\"`"
                }
                (false, None) => "has neither a `command` nor `model = true`",
                _ => continue,
            };
            return Err(sense(tool.span().start, format!("tool `{name}` {what}")));
        }
        Ok(())
    }

    /// The model's file, seen from where the description is, and the names of the tools that it runs.
    #[must_use]
    pub fn model_file(&self) -> Option<PathBuf> {
        let model = self.model.as_ref()?.get_ref();
        Some(self.source.path.parent().unwrap_or(Path::new("")).join(&model.file))
    }

    /// An error about the model, with the line that names it.
    #[must_use]
    pub fn about_model(&self, what: impl std::fmt::Display) -> DescriptionError {
        self.source.sense(self.model.as_ref().map_or(0, |model| model.span().start), what.to_string())
    }

    fn check_sense(&mut self, path: &Path, sense: &dyn Fn(usize, String) -> DescriptionError) -> Result<(), DescriptionError> {
        for entry in &self.cluster.depends_on {
            // The namespace comes from the environment; any will do to read the entry.
            Dependency::read(entry.get_ref(), "any").map_err(|error| sense(entry.span().start, error.to_string()))?;
        }
        for need in &self.needs {
            let Some(name) = &need.dependency else { continue };
            if !self.cluster.depends_on.iter().any(|entry| entry.get_ref() == name.get_ref()) {
                return Err(sense(name.span().start, format!("`{}` is not in `depends_on`", name.get_ref())));
            }
        }
        for file in &mut self.file {
            let at = file.span().start;
            let file = file.get_mut();
            match (&file.template, &file.source) {
                (Some(_), None) => {}
                (None, Some(source)) => {
                    let from = path.parent().unwrap_or(Path::new("")).join(source);
                    let text = read_text(&from)?;
                    template::check_syntax(&text).map_err(|error| sense(at, format!("`{}`: {error}", from.display())))?;
                    self.numbers.extend(numbers(&text));
                    file.template = Some(Template(text, at));
                }
                _ => return Err(sense(at, "a file has either a `template` or a `source`".to_owned())),
            }
        }
        self.check_sources(sense)
    }

    fn check_sources(&self, sense: &dyn Fn(usize, String) -> DescriptionError) -> Result<(), DescriptionError> {
        if let Some(check) = &self.check {
            let CheckPart { command, http, tcp, .. } = check.get_ref();
            if [command.is_some(), http.is_some(), tcp.is_some()].iter().filter(|given| **given).count() != 1 {
                return Err(sense(check.span().start, "[check] has one of `command`, `http` and `tcp`".to_owned()));
            }
        }
        if let Some(metrics) = &self.metrics
            && metrics.get_ref().command.is_some() == metrics.get_ref().http.is_some()
        {
            return Err(sense(metrics.span().start, "[metrics] has either a `command` or `http`".to_owned()));
        }
        Ok(())
    }

    /// How the sub-process is looked after.
    #[must_use]
    pub fn lifecycle_settings(&self) -> LifecycleSettings {
        let default = LifecycleSettings::default();
        let check = self.check.as_ref().map(Spanned::get_ref);
        LifecycleSettings {
            checks: check.and_then(|check| check.failures).unwrap_or(default.checks).max(1),
            check_every: check.and_then(|check| check.every).map_or(default.check_every, |time| time.0),
            warm_up: check.map_or(default.warm_up, |check| check.warm_up.map_or(WARM_UP, |time| time.0)),
            grace: self.process.grace.map_or(default.grace, |time| time.0),
            pipe_output: matches!(self.process.output, OutputPart::Log),
            soft: self.process.soft,
            strict: self.cluster.strict,
            follow_peers: self.cluster.follow_peers,
            on_crash: match self.process.on_crash {
                OnCrashPart::Restart => OnCrash::BackOff { give_up_after: self.process.give_up_after },
                OnCrashPart::Count => OnCrash::CountAsFailedCheck,
            },
            hook_limit: default.hook_limit,
        }
    }

    /// How the cluster is led, for a pod of `namespace`.
    ///
    /// # Errors
    /// Where a dependency cannot be named in this namespace.
    pub fn model_settings(&self, namespace: &str) -> Result<ModelSettings, DependencyError> {
        let default = ModelSettings::default();
        let cluster = &self.cluster;
        let time = |time: Option<Time>, default: Duration| time.map_or(default, |time| time.0);
        Ok(ModelSettings {
            damper: time(cluster.damper, default.damper),
            damper_at_most: cluster.damper_at_most.map(|time| time.0),
            probe_every: time(self.probe.as_ref().and_then(|probe| probe.every), default.probe_every),
            depends_on: cluster
                .depends_on
                .iter()
                .map(|entry| Dependency::read(entry.get_ref(), namespace))
                .collect::<Result<_, _>>()?,
            dependency_patience: time(cluster.patience, default.dependency_patience),
            full_shutdown: cluster.full_shutdown,
            // A pod that was given no time at all could only be late.
            grace: time(cluster.grace, default.grace).max(Duration::from_secs(1)),
            sequential: cluster.sequential,
        })
    }
}

impl Description {
    /// The tools: those of `[tools]`, and `shell` unless the description says `shell_tool = false`.
    ///
    /// # Errors
    /// Where a tool's command cannot be made.
    pub fn tools(&self, variables: &Variables, limits: Limits) -> Result<Tools, HookError> {
        let variables = Arc::new(variables.clone());
        let mut tools = Tools::new(limits);
        if self.shell_tool {
            tools = tools.with("shell", Arc::new(Shell::new(limits)));
        }
        for (name, part) in &self.tools {
            let part = part.get_ref();
            // The others are the model's.
            let Some(command) = &part.command else { continue };
            let command = fill_in_command(command, part.shell, None)?;
            let tool = CommandTool::new(command, Arc::clone(&variables), limits, part.limit());
            tools = tools.with(name, Arc::new(tool));
        }
        Ok(tools)
    }
}

fn numbers(text: &str) -> BTreeSet<u16> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).filter(|port| *port > 0).collect()
}

fn read_text(path: &Path) -> Result<String, DescriptionError> {
    let failed = |cause| DescriptionError::Read { path: path.to_owned(), cause };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > LARGEST {
        return Err(failed(std::io::Error::other(format!("it has more than {LARGEST} bytes"))));
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Description, DescriptionError> {
        Description::parse(text, Path::new("pod.toml"))
    }

    const FULL: &str = r#"
[process]
command = ["server", "--port", "{{ port(80) }}"]
folder = "/tmp/x"
environment = { PEERS = "{{ peers(80) | join(',') }}" }
output = "log"
grace = "10s"
on_crash = "restart"
give_up_after = 5

[cluster]
depends_on = ["redis", "/other.ns.db-*"]
damper = 2.5
strict = true
sequential = true

[[needs]]
dependency = "redis"
port = 6379

[[needs]]
pods = 3

[[file]]
path = "server.conf"
template = """
{% for pod in pods %}server.{{ pod.seq }}={{ pod.ip }}
{% endfor %}"""
mode = "600"

[check]
http = "http://127.0.0.1:{{ port(80) }}/health"
every = "10s"
failures = 3

[metrics]
command = "cat metrics.json"

[probe]
command = ["echo", "{{ size }} pods"]

[tools.backup]
command = ["tar", "c"]

[hooks]
configured = ["true"]
"#;

    #[test]
    fn everything_that_can_be_said() {
        let description = parse(FULL).unwrap();
        let lifecycle = description.lifecycle_settings();
        assert_eq!((lifecycle.checks, lifecycle.check_every), (3, Duration::from_secs(10)));
        assert_eq!((lifecycle.grace, lifecycle.pipe_output, lifecycle.strict), (Duration::from_secs(10), true, true));
        assert_eq!(lifecycle.on_crash, OnCrash::BackOff { give_up_after: 5 });
        let model = description.model_settings("marathon").unwrap();
        assert_eq!((model.damper, model.sequential, model.grace), (Duration::from_millis(2500), true, Duration::from_secs(60)));
        assert_eq!(model.depends_on[1].as_str(), "/other.ns.db-*");
        let outline = outline(&description, Variables::new()).unwrap();
        assert_eq!(outline.command, "server --port 80");
        assert_eq!(outline.files, [("server.conf".to_owned(), 57)]);
        assert_eq!((outline.tools, outline.dependencies.len()), (vec!["backup".to_owned()], 2));
    }

    #[test]
    fn the_smallest_one() {
        let description = parse("[process]\ncommand = \"sleep 5\"").unwrap();
        assert_eq!(outline(&description, Variables::new()).unwrap().command, "sleep 5");
        assert!(description.tools(&Variables::new(), Limits::default()).unwrap().find("shell").is_some());
    }

    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        let error = parse(text).unwrap_err().to_string();
        for part in wanted {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        const PROCESS: &str = "[process]\ncommand = \"x\"\n";
        let with = |more: &str| format!("{PROCESS}{more}");
        check("[process]\n", &["line 1", "missing field `command`"]);
        check("[process]\ncommand = \"\"", &["line 2", "the command is empty"]);
        check("[process]\ncommand = []", &["line 2", "the command is empty"]);
        check("[process]\ncommand = [\"{{ x\"]", &["line 2", "syntax error"]);
        check(&with("foldr = \"x\""), &["line 3", "unknown field `foldr`"]);
        check(&with("grace = \"5x\""), &["line 3", "\"5x\"", "a time up to 24 hours"]);
        check(&with("[cluster]\ndepends_on = [\n  \"a b\"]"), &["`pod.toml`, line 5", "dependency `a b` does not read"]);
        check(&with("[[needs]]\ndependency = \"db\""), &["`pod.toml`, line 4: `db` is not in `depends_on`"]);
        check(&with("[[file]]\npath = \"x\""), &["`pod.toml`, line 3", "either a `template` or a `source`"]);
        check(&with("[[file]]\npath = \"x\"\ntemplate = \"\"\nmode = \"9\""), &["line 6", "mode `9` does not read"]);
        check(&with("[check]\nhttp = \"x\"\ntcp = \"y\""), &["`pod.toml`, line 3", "one of `command`, `http` and `tcp`"]);
        check(&with("[metrics]\nshell = true"), &["`pod.toml`, line 3", "either a `command` or `http`"]);
        check("[process\n", &["line 1"]);
        check("# nothing\n", &["`pod.toml`, line 1: missing field `command` in [process]"]);
        check(&with("[tools.x]\nmodel = true"), &["`pod.toml`, line 3: tool `x` is for a model, and there is none"]);
        check(&with("[tools.x]\ntimeout = 1"), &["`pod.toml`, line 3: tool `x` has neither a `command` nor `model = true`"]);
        check("model = 1", &["line 1", "a model: its file, or a table with `file`"]);
        check("[model]\nfile = \"x\"\ncpu = \"x\"", &["line 3", "a time up to 24 hours"]);
        check("[model]\nfil = \"x\"", &["line 2", "unknown field `fil`"]);
    }

    #[test]
    fn a_model_is_named_alone_or_with_its_settings() {
        let file = |text: &str| Description::parse(text, Path::new("a/pod.toml")).unwrap().model_file();
        assert_eq!(file("model = \"m.wasm\""), Some("a/m.wasm".into()));
        assert_eq!(file("[process]\ncommand = \"x\""), None);
        let description = parse("[model]\nfile = \"/m.wasm\"\nsettings = { a = [1, \"b\"] }\n[tools.t]\nmodel = true").unwrap();
        assert_eq!(serde_json::json!(description.model.as_ref().unwrap().get_ref().settings), serde_json::json!({"a": [1, "b"]}));
        assert_eq!(outline(&description, Variables::new()).unwrap().tools, ["t"]);
    }

    #[test]
    fn what_no_cluster_has_is_found_by_a_check() {
        let error = |more: &str| {
            let description = parse(&format!("[process]\ncommand = [\"x\", \"{{{{ {more} }}}}\"]")).unwrap();
            outline(&description, Variables::new()).unwrap_err().to_string()
        };
        assert_eq!(error("idnex"), "`pod.toml`, line 2: command: undefined value");
        assert_eq!(error("addresses('db', 1)"), "`pod.toml`, line 2: command: invalid operation: `db` is not in depends_on");
        let line = |text: &str| outline(&parse(text).unwrap(), Variables::new()).unwrap_err().to_string();
        const PROCESS: &str = "[process]\ncommand = \"x\"\n";
        for (more, place) in [
            ("environment = { A = \"a\", B = \"{{ b }}\" }", "line 3: environment `B`: undefined value"),
            ("[[file]]\npath = \"a\"\n\ntemplate = \"{{ b }}\"", "line 6: file `a`: undefined value"),
            ("[check]\ncommand = \"{{ b }}\"", "line 4: [check]: undefined value"),
            ("[check]\ncommand = [\n\"a\",\n\"{{ b }}\"]", "line 6: [check]: undefined value"),
            ("[check]\nhttp = \"{{ b }}\"", "line 4: [check]: undefined value"),
            ("[probe]\nevery = 5\ncommand = \"{{ b }}\"", "line 5: [probe]: undefined value"),
            ("[hooks]\nfinalize = \"{{ b }}\"", "line 4: [hooks]: undefined value"),
        ] {
            assert_eq!(line(&format!("{PROCESS}{more}")), format!("`pod.toml`, {place}"));
        }
    }

    #[test]
    fn a_source_is_read_from_beside_the_description() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pod.toml");
        let text = "[process]\ncommand = \"x\"\n[[file]]\npath = \"a\"\nsource = \"a.j2\"";
        std::fs::write(&path, text).unwrap();
        let missing = Description::read(&path).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read `") && missing.ends_with("a.j2`"), "{missing}");
        std::fs::write(folder.path().join("a.j2"), "{{ size }}").unwrap();
        assert_eq!(Description::read(&path).unwrap().file[0].get_ref().template().0, "{{ size }}");
        std::fs::write(folder.path().join("a.j2"), "{{").unwrap();
        let broken = Description::read(&path).unwrap_err().to_string();
        assert!(broken.contains("pod.toml`, line 3: `") && broken.contains("a.j2`: syntax error"), "{broken}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_answer_not_a_panic(text in r#"(\[|\]|process|command|=|"|\{|\}|[a-z0-9 \n.]){0,60}"#) {
            let _ = parse(&text);
        }
    }
}
