//! What the operator says about tools.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use minisign_verify::PublicKey;
use ocho_core::ToolName;
use ocho_core::tools::{LimitOverrides, LimitView, LimitsView};
use ocho_runtime::{Grants, Interface, Limits};

use super::{Refusal, SignaturePolicy, Signatures, read_key};

/// How runs are fenced by default.
#[derive(Debug, Clone)]
pub struct DefaultLimits {
    /// CPU time.
    pub cpu: Duration,
    /// Time, waiting included.
    pub wall: Duration,
    /// Memory.
    pub memory_bytes: usize,
}

/// How the store works.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The fence of runs.
    pub limits: DefaultLimits,
    /// Grants of files in the tools folder, instead of the default ones.
    pub granted: BTreeMap<ToolName, Grants>,
    /// What a tool gets that nobody granted anything.
    pub default_grants: Grants,
    /// Revisions of an installed tool that are kept, the active one among them.
    pub revisions_kept: usize,
    /// The most bytes of a component.
    pub component_bytes: usize,
    /// Who may sign tools, and whether they must be signed.
    pub signatures: Signatures,
}

/// Tools that wait for pods to come and go.
const PATIENT: [&str; 5] = ["bump", "deploy", "exec", "kill", "scale"];

/// What an operator may set: a week, as long as jobs ever need; what is printed is kept in memory until the run is over.
const WALL_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
const OUTPUT_BYTES_MAX: u64 = 256 << 20;
const RUNS_MAX: u64 = 10_000;

impl StoreConfig {
    /// The fence of a tool's runs.
    pub(super) fn limits_of(&self, tool: &ToolName, set: &LimitOverrides) -> Limits {
        let DefaultLimits { cpu, wall, memory_bytes } = self.limits;
        let wall = if PATIENT.contains(&tool.as_str()) { wall.saturating_mul(6) } else { wall };
        let limits = Limits { cpu, wall, memory_bytes, ..Limits::tool() };
        let bytes = |value: Option<u64>, default| value.map_or(default, |value| usize::try_from(value).unwrap_or(default));
        Limits {
            memory_bytes: bytes(set.memory_bytes, limits.memory_bytes).min(memory_bytes),
            wall: set.wall_ms.map_or(limits.wall, Duration::from_millis),
            cpu: set.cpu_ms.map_or(limits.cpu, Duration::from_millis),
            output_bytes: bytes(set.output_bytes, limits.output_bytes),
            ..limits
        }
    }

    pub(super) fn limits_view(&self, tool: &ToolName, set: &LimitOverrides) -> LimitsView {
        let limits = self.limits_of(tool, set);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let view = |value: u64, set: Option<u64>| LimitView { value: Some(value), is_override: set.is_some() };
        LimitsView {
            memory_bytes: view(limits.memory_bytes as u64, set.memory_bytes),
            wall_ms: view(millis(limits.wall), set.wall_ms),
            cpu_ms: view(millis(limits.cpu), set.cpu_ms),
            output_bytes: view(limits.output_bytes as u64, set.output_bytes),
            runs: LimitView { value: set.runs, is_override: set.runs.is_some() },
        }
    }

    /// Refuses limits that this host cannot keep.
    pub(super) fn check_limits(&self, set: &LimitOverrides) -> Result<(), Refusal> {
        let within = |name: &'static str, value: Option<u64>, least: u64, most: u64| match value {
            Some(value) if value < least || value > most => Err(Refusal::Limits { name, value, least, most }),
            _ => Ok(()),
        };
        // The pool of instances is made for this much, and for no more.
        within("memory_bytes", set.memory_bytes, 1 << 16, self.limits.memory_bytes as u64)?;
        within("wall_ms", set.wall_ms, 1, WALL_MS_MAX)?;
        within("cpu_ms", set.cpu_ms, 1, WALL_MS_MAX)?;
        within("output_bytes", set.output_bytes, 1, OUTPUT_BYTES_MAX)?;
        within("runs", set.runs, 1, RUNS_MAX)
    }
}

/// Options of the tool store.
#[derive(Debug, Clone, Args)]
pub struct ToolArgs {
    /// What a tool may reach that was granted nothing else; `none` for nothing
    #[arg(
        long,
        value_name = "INTERFACE,...",
        env = "OCHOD_DEFAULT_GRANTS",
        default_value = "pods/registry,pods/observe",
        value_parser = interfaces
    )]
    pub default_grants: Grants,
    /// Keys whose signatures of tools count: a name, and the second line of a minisign.pub
    #[arg(long, value_name = "NAME=KEY,...", env = "OCHOD_TOOL_KEYS", value_delimiter = ',', value_parser = read_key)]
    pub tool_keys: Vec<(String, PublicKey)>,
    /// Whether tools must be signed (`required`), or only what is signed is checked (`offered`)
    #[arg(long, value_name = "POLICY", env = "OCHOD_TOOL_SIGNATURES", default_value = "offered")]
    pub tool_signatures: SignaturePolicy,
    /// Revisions of an installed tool that are kept for a rollback, the active one among them
    #[arg(long, value_name = "N", env = "OCHOD_TOOL_REVISIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub tool_revisions: u32,
    /// The largest component that is taken as a tool
    #[arg(long, value_name = "MIB", env = "OCHOD_TOOL_SIZE_LIMIT", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=512))]
    pub tool_size_limit: u32,
}

fn interfaces(text: &str) -> Result<Grants, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none");
    names.map(|name| name.parse::<Interface>().map_err(|error| error.to_string())).collect()
}

impl ToolArgs {
    /// Whether tools must be signed and nobody can sign them.
    #[must_use]
    pub fn lacks_keys(&self) -> bool {
        self.tool_signatures == SignaturePolicy::Required && self.tool_keys.is_empty()
    }

    /// How the store works with these options.
    #[must_use]
    pub fn store_config(&self, limits: DefaultLimits, granted: Vec<(ToolName, Grants)>) -> StoreConfig {
        StoreConfig {
            limits,
            granted: granted.into_iter().collect(),
            default_grants: self.default_grants.clone(),
            revisions_kept: self.tool_revisions as usize,
            component_bytes: (self.tool_size_limit as usize) << 20,
            signatures: Signatures { policy: self.tool_signatures, keys: self.tool_keys.clone() },
        }
    }
}
