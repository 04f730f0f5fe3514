//! The definition of an application in its normal form, exactly as answers show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::PathId;
use super::time::Timestamp;

/// An application at one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct App {
    pub(crate) id: PathId,
    pub(crate) instances: u32,
    /// Everything whose change replaces the tasks.
    #[serde(flatten)]
    pub(crate) spec: AppSpec,
    pub(crate) version: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version_info: Option<VersionInfo>,
}

/// When the number of instances and when the rest changed last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionInfo {
    pub(crate) last_scaling_at: Timestamp,
    pub(crate) last_config_change_at: Timestamp,
}

impl App {
    /// Tasks older than this run an outdated definition.
    pub(crate) fn config_version(&self) -> Timestamp {
        self.version_info.map_or(self.version, |info| info.last_config_change_at)
    }

    /// Names and numbers of the ports that the tasks of this application get, in order.
    pub(crate) fn ports(&self) -> Vec<PortNeed> {
        if self.spec.is_host_mode() {
            return self.spec.port_definitions.iter().flatten().map(|port| port.need(self.spec.require_ports)).collect();
        }
        self.spec.container.iter().flat_map(|container| container.port_mappings.iter().flatten()).map(PortMapping::need).collect()
    }

    /// The service ports, in the order of the ports.
    pub(crate) fn service_ports(&self) -> Vec<u16> {
        if self.spec.is_host_mode() {
            return self.spec.port_definitions.iter().flatten().map(|port| port.port).collect();
        }
        self.spec
            .container
            .iter()
            .flat_map(|container| container.port_mappings.iter().flatten())
            .map(|mapping| mapping.service_port)
            .collect()
    }
}

/// What a task needs for one port.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PortNeed {
    /// A host port that it must be, or 0 for any.
    pub(crate) host: u16,
    /// The number behind `PORT_<n>`; 0 when the definition names none.
    pub(crate) asked: u16,
    pub(crate) name: Option<String>,
    pub(crate) tcp: bool,
    pub(crate) udp: bool,
}

/// The part of a definition whose change replaces the tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cmd: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    pub(crate) cpus: f64,
    pub(crate) mem: f64,
    pub(crate) disk: f64,
    pub(crate) gpus: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    pub(crate) executor: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, EnvValue>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) container: Option<Container>,
    pub(crate) networks: Vec<Network>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port_definitions: Option<Vec<PortDefinition>>,
    pub(crate) require_ports: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) health_checks: Vec<HealthCheck>,
    /// A check that tells and never kills. Kept and shown; this engine does not run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) readiness_checks: Vec<ReadinessCheck>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) constraints: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) accepted_resource_roles: Vec<String>,
    pub(crate) role: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dependencies: Vec<PathId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fetch: Vec<Fetch>,
    pub(crate) backoff_seconds: u32,
    pub(crate) backoff_factor: f64,
    pub(crate) max_launch_delay_seconds: u32,
    pub(crate) upgrade_strategy: UpgradeStrategy,
    pub(crate) unreachable_strategy: UnreachableStrategy,
    pub(crate) kill_selection: KillSelection,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) task_kill_grace_period_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) residency: Option<Residency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) executor_resources: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource_limits: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tty: Option<bool>,
}

impl Default for AppSpec {
    fn default() -> Self {
        Self {
            cmd: None,
            args: Vec::new(),
            cpus: 1.0,
            mem: 128.0,
            disk: 0.0,
            gpus: 0,
            user: None,
            executor: String::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            labels: BTreeMap::new(),
            container: None,
            networks: Vec::new(),
            port_definitions: None,
            require_ports: false,
            health_checks: Vec::new(),
            check: None,
            readiness_checks: Vec::new(),
            constraints: Vec::new(),
            accepted_resource_roles: Vec::new(),
            role: "*".to_owned(),
            dependencies: Vec::new(),
            fetch: Vec::new(),
            backoff_seconds: 1,
            backoff_factor: 1.15,
            max_launch_delay_seconds: 300,
            upgrade_strategy: UpgradeStrategy { minimum_health_capacity: 1.0, maximum_over_capacity: 1.0 },
            unreachable_strategy: UnreachableStrategy::default(),
            kill_selection: KillSelection::YoungestFirst,
            task_kill_grace_period_seconds: None,
            residency: None,
            executor_resources: None,
            resource_limits: None,
            tty: None,
        }
    }
}

impl AppSpec {
    /// Whether tasks use the machine's network as it is.
    pub(crate) fn is_host_mode(&self) -> bool {
        self.networks.iter().all(|network| network.mode == NetworkMode::Host)
    }

    /// Whether the definition brings data that stays with an instance.
    pub(crate) fn has_own_volume(&self) -> bool {
        self.container
            .iter()
            .flat_map(|container| &container.volumes)
            .any(|volume| matches!(volume.kind, VolumeKind::Persistent { .. } | VolumeKind::External { .. }))
    }

    /// The Docker image, when the container is of that type.
    pub(crate) fn docker_image(&self) -> Option<&str> {
        let container = self.container.as_ref().filter(|container| container.kind == ContainerKind::Docker)?;
        container.docker.as_ref().map(|docker| docker.image.as_str())
    }

    /// The image of any type of container.
    pub(crate) fn image(&self) -> Option<&str> {
        self.container.as_ref()?.docker.as_ref().map(|docker| docker.image.as_str())
    }

    /// Names of the ports, in order.
    pub(crate) fn port_names(&self) -> Vec<Option<&str>> {
        if self.is_host_mode() {
            return self.port_definitions.iter().flatten().map(|port| port.name.as_deref()).collect();
        }
        self.container
            .iter()
            .flat_map(|container| container.port_mappings.iter().flatten())
            .map(|mapping| mapping.name.as_deref())
            .collect()
    }
}

/// The value of an environment variable: a text, or a reference to a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum EnvValue {
    Text(String),
    Secret { secret: String },
}

/// Where a secret comes from. Kept and shown; this engine has no store of secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) source: String,
}

/// The two kinds of container.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ContainerKind {
    Docker,
    Mesos,
}

/// What the task runs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    #[serde(rename = "type")]
    pub(crate) kind: ContainerKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) docker: Option<Docker>,
    pub(crate) volumes: Vec<Volume>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port_mappings: Option<Vec<PortMapping>>,
}

/// The image of a container and how it is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Docker {
    pub(crate) image: String,
    pub(crate) force_pull_image: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) privileged: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pull_config: Option<Value>,
}

/// An option of the Docker command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// A port of the container and where it is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PortMapping {
    pub(crate) container_port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host_port: Option<u16>,
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) protocol: Protocol,
    pub(crate) service_port: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) network_names: Vec<String>,
}

impl PortMapping {
    /// The mapping that an application gets which declares none.
    pub(crate) fn any(host_port: Option<u16>) -> Self {
        Self {
            container_port: 0,
            host_port,
            labels: BTreeMap::new(),
            name: None,
            protocol: Protocol::Tcp,
            service_port: 0,
            network_names: Vec::new(),
        }
    }

    fn need(&self) -> PortNeed {
        PortNeed {
            host: self.host_port.unwrap_or(0),
            asked: self.container_port,
            name: self.name.clone(),
            tcp: self.protocol != Protocol::Udp,
            udp: self.protocol != Protocol::Tcp,
        }
    }
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Protocol {
    #[serde(rename = "tcp")]
    Tcp,
    #[serde(rename = "udp")]
    Udp,
    #[serde(rename = "udp,tcp")]
    Both,
}

/// A service port of an application on the machine's network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PortDefinition {
    pub(crate) port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) protocol: Protocol,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
}

impl PortDefinition {
    /// The definition that an application gets which declares none.
    pub(crate) fn default_one() -> Self {
        Self { port: 0, name: Some("default".to_owned()), protocol: Protocol::Tcp, labels: BTreeMap::new() }
    }

    fn need(&self, fixed: bool) -> PortNeed {
        PortNeed {
            host: if fixed { self.port } else { 0 },
            asked: self.port,
            name: self.name.clone(),
            tcp: self.protocol != Protocol::Udp,
            udp: self.protocol != Protocol::Tcp,
        }
    }
}

/// A folder of the container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) container_path: String,
    #[serde(flatten)]
    pub(crate) kind: VolumeKind,
}

/// Where the content of a volume lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum VolumeKind {
    Persistent {
        mode: String,
        persistent: Value,
    },
    External {
        mode: String,
        external: Value,
    },
    Secret {
        secret: String,
    },
    #[serde(rename_all = "camelCase")]
    Host {
        host_path: String,
        mode: String,
    },
}

/// How a task is connected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) mode: NetworkMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

impl Network {
    /// A network without name and labels.
    pub(crate) fn plain(mode: NetworkMode) -> Self {
        Self { labels: BTreeMap::new(), mode, name: None }
    }
}

/// The three ways to be connected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum NetworkMode {
    #[serde(rename = "host")]
    Host,
    #[serde(rename = "container/bridge")]
    Bridge,
    #[serde(rename = "container")]
    Container,
}

/// Who asks, and what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum HealthProtocol {
    Http,
    Https,
    Tcp,
    Command,
    MesosHttp,
    MesosHttps,
    MesosTcp,
}

impl HealthProtocol {
    /// Whether the check belongs to the task's executor: it waits before its first question and kills at the limit.
    pub(crate) fn is_beside_the_task(self) -> bool {
        !matches!(self, Self::Http | Self::Https | Self::Tcp)
    }

    /// Whether the question goes through TLS.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::MesosHttps)
    }
}

/// A question that tells whether a task is well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthCheck {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<CommandText>,
    pub(crate) grace_period_seconds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ignore_http1xx: Option<bool>,
    pub(crate) interval_seconds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ip_protocol: Option<String>,
    pub(crate) max_consecutive_failures: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port_index: Option<u32>,
    pub(crate) protocol: HealthProtocol,
    pub(crate) timeout_seconds: u32,
    pub(crate) delay_seconds: u32,
}

/// A line for the shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandText {
    pub(crate) value: String,
}

/// A question that tells, during a deployment, whether a new task may take over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadinessCheck {
    pub(crate) name: String,
    pub(crate) protocol: ReadinessProtocol,
    pub(crate) path: String,
    pub(crate) port_name: String,
    pub(crate) interval_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) http_status_codes_for_ready: Vec<u16>,
    pub(crate) preserve_last_response: bool,
}

/// What a readiness check speaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ReadinessProtocol {
    Http,
    Https,
}

/// A file that is brought into the task's folder before it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fetch {
    pub(crate) uri: String,
    pub(crate) extract: bool,
    pub(crate) executable: bool,
    pub(crate) cache: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dest_path: Option<String>,
}

/// How much of the application stays up, and how much may run beside it, while tasks are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpgradeStrategy {
    pub(crate) maximum_over_capacity: f64,
    pub(crate) minimum_health_capacity: f64,
}

/// What happens to tasks on a machine that went away. Kept and shown: here there is one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum UnreachableStrategy {
    #[serde(rename_all = "camelCase")]
    After {
        inactive_after_seconds: u32,
        expunge_after_seconds: u32,
    },
    Word(Disabled),
}

/// The one word that stands in the place of times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Disabled {
    #[serde(rename = "disabled")]
    Disabled,
}

impl Default for UnreachableStrategy {
    fn default() -> Self {
        Self::After { inactive_after_seconds: 0, expunge_after_seconds: 0 }
    }
}

/// Which tasks go first when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum KillSelection {
    YoungestFirst,
    OldestFirst,
}

/// Both members have no effect any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Residency {
    pub(crate) relaunch_escalation_timeout_seconds: u32,
    pub(crate) task_lost_behavior: String,
}
