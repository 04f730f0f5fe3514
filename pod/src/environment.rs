//! What the process's environment says about the pod. Reads variables only; what has to be looked up elsewhere is in
//! [`crate::whereabouts`].

use std::collections::BTreeMap;

use ocho_core::ClusterName;
use ocho_core::signature::Token;

use crate::zookeeper_hosts::{ZookeeperHosts, ZookeeperHostsError};

/// Variables by name. Those that are no Unicode text are left out.
pub type Variables = BTreeMap<String, String>;

/// The variables of this process.
#[must_use]
pub fn variables() -> Variables {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// The environment, read and checked.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `ochopod_namespace`, by default `marathon`. May contain dots.
    pub namespace: String,
    /// `ochopod_cluster`, by default `default`. Has no dot, so that the qualified name reads in one way only.
    pub name: String,
    /// `<namespace>.<name>`.
    pub cluster: ClusterName,
    /// `ochopod_port`: the control port inside the container, by default 8080.
    pub control_port: u16,
    /// `ochopod_debug`: whether the log has details. True unless the variable is there with another value than `true`.
    pub debug: bool,
    /// `ochopod_local`: no Marathon around, everything on 127.0.0.1.
    pub local: bool,
    /// `ochopod_start`: whether the first configuration starts the sub-process.
    pub start: bool,
    /// `MARATHON_APP_ID` without its first slash; in local mode `ochopod_application`.
    pub application: String,
    /// `MESOS_TASK_ID`; in local mode `ochopod_task`.
    pub task: String,
    /// `HOST`: name or address of the machine.
    pub host: Option<String>,
    /// `PORT_<n>`: the machine's port that leads to each port of the container.
    pub ports: BTreeMap<String, u16>,
    /// `ochopod_zk`.
    pub zookeeper: Option<ZookeeperHosts>,
    /// `ochopod_bind`.
    pub network: Option<Network>,
    /// `ochopod_control_token`: callers of the control API have to sign with it. It is never published.
    pub control_token: Option<Token>,
    /// `ochopod_publish_secrets`: `/info` shows metrics that look like secrets to everybody, as the original does.
    pub publish_secrets: bool,
    /// Every other `ochopod_<x>`, by `<x>`.
    pub others: BTreeMap<String, String>,
    /// What was passed over, for the log.
    pub warnings: Vec<String>,
}

/// Whose network the process uses, which tells where its control port opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The machine's own: the control port opens on the machine's port, `$PORT_<ochopod_port>`.
    Machine,
    /// A container's: it opens on `ochopod_port`, and the machine forwards to it.
    Container,
}

impl Network {
    /// The word that `ochopod_bind` knows it by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Container => "container",
        }
    }
}

/// Why there is no pod to be made from this environment.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A part of the cluster's name.
    #[error("`{variable}` is `{value}`: it has to be a word without slashes, blanks or (in `ochopod_cluster`) dots")]
    Name {
        /// The variable.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// The control port.
    #[error("`ochopod_port` is `{0}`, not a port from 1 to 65535")]
    Port(String),
    /// The bind rule.
    #[error("`ochopod_bind` is `{0}`: it can be `machine` or `container`")]
    Bind(String),
    /// The registry's address.
    #[error("`ochopod_zk` cannot be used")]
    Zookeeper(#[source] ZookeeperHostsError),
    /// Marathon sets it for each task.
    #[error("`{0}` is not set; Marathon sets it. Elsewhere, set `ochopod_local=true`")]
    Missing(&'static str),
}

/// Variables that steer the agent and are no hints to be published.
const PRIVATE: [&str; 4] = ["bind", "control_token", "publish_secrets", "zk"];
/// Hints with a field of their own.
const KNOWN: [&str; 8] = ["cluster", "namespace", "port", "debug", "local", "start", "application", "task"];

impl Environment {
    /// Reads the variables.
    ///
    /// # Errors
    /// Where one that cannot be done without is missing or makes no sense.
    pub fn read(variables: &Variables) -> Result<Self, EnvironmentError> {
        let hint = |name: &str| variables.get(&format!("ochopod_{name}")).map(String::as_str);
        let text = |name: &str, default: &str| hint(name).unwrap_or(default).to_owned();
        let (namespace, name) = (text("namespace", "marathon"), text("cluster", "default"));
        let cluster = cluster_name(&namespace, &name)?;
        let local = hint("local") == Some("true");
        let (application, task) = match local {
            true => (text("application", ""), text("task", "")),
            false => (without_first(required(variables, "MARATHON_APP_ID")?), required(variables, "MESOS_TASK_ID")?.to_owned()),
        };
        let (ports, warnings) = ports(variables);
        Ok(Self {
            control_port: control_port(hint("port").unwrap_or("8080"))?,
            debug: hint("debug").is_none_or(|value| value == "true"),
            start: hint("start").is_none_or(|value| value == "true"),
            host: variables.get("HOST").filter(|host| !host.is_empty()).cloned(),
            zookeeper: hint("zk")
                .filter(|url| !url.is_empty())
                .map(str::parse)
                .transpose()
                .map_err(EnvironmentError::Zookeeper)?,
            network: hint("bind").map(network).transpose()?,
            control_token: hint("control_token").and_then(Token::new),
            publish_secrets: hint("publish_secrets") == Some("true"),
            others: others(variables),
            namespace,
            name,
            cluster,
            local,
            application,
            task,
            ports,
            warnings,
        })
    }
}

fn cluster_name(namespace: &str, name: &str) -> Result<ClusterName, EnvironmentError> {
    let wrong = |variable, value: &str| EnvironmentError::Name { variable, value: value.to_owned() };
    if namespace.is_empty() || namespace.parse::<ClusterName>().is_err() {
        return Err(wrong("ochopod_namespace", namespace));
    }
    if name.is_empty() || name.contains('.') {
        return Err(wrong("ochopod_cluster", name));
    }
    format!("{namespace}.{name}").parse().map_err(|_| wrong("ochopod_cluster", name))
}

fn control_port(text: &str) -> Result<u16, EnvironmentError> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| EnvironmentError::Port(text.to_owned()))
}

fn network(text: &str) -> Result<Network, EnvironmentError> {
    match text {
        "machine" => Ok(Network::Machine),
        "container" => Ok(Network::Container),
        other => Err(EnvironmentError::Bind(other.to_owned())),
    }
}

fn required<'a>(variables: &'a Variables, name: &'static str) -> Result<&'a str, EnvironmentError> {
    variables.get(name).map(String::as_str).filter(|value| !value.is_empty()).ok_or(EnvironmentError::Missing(name))
}

/// Application ids start with a slash.
fn without_first(id: &str) -> String {
    id.chars().skip(1).collect()
}

fn ports(variables: &Variables) -> (BTreeMap<String, u16>, Vec<String>) {
    let (mut ports, mut warnings) = (BTreeMap::new(), Vec::new());
    for (name, value) in variables {
        let Some(port) = name.strip_prefix("PORT_").filter(|port| !port.is_empty()) else { continue };
        match value.parse() {
            Ok(0) | Err(_) => warnings.push(format!("`{name}` is `{value}`, not a port from 1 to 65535: not advertised")),
            Ok(mapped) => {
                ports.insert(port.to_owned(), mapped);
            }
        }
    }
    (ports, warnings)
}

fn others(variables: &Variables) -> BTreeMap<String, String> {
    let hints = variables.iter().filter_map(|(name, value)| Some((name.strip_prefix("ochopod_")?, value)));
    hints
        .filter(|(name, _)| !name.is_empty() && !KNOWN.contains(name) && !PRIVATE.contains(name))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn given(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const TASK: [(&str, &str); 3] = [("MARATHON_APP_ID", "/ochopod.lab.web-2016"), ("MESOS_TASK_ID", "t.1"), ("HOST", "h")];

    fn read(more: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        Environment::read(&given(&[&TASK, more].concat()))
    }

    #[test]
    fn defaults() {
        let environment = read(&[]).unwrap();
        assert_eq!(environment.cluster.as_str(), "marathon.default");
        assert_eq!(
            (environment.control_port, environment.debug, environment.local, environment.start),
            (8080, true, false, true)
        );
        assert_eq!((environment.application.as_str(), environment.task.as_str()), ("ochopod.lab.web-2016", "t.1"));
        assert!(environment.ports.is_empty() && environment.others.is_empty() && environment.network.is_none());
    }

    #[test]
    fn b32_a_port_that_is_no_number_is_passed_over_and_8080_is_not_made_up() {
        let environment = read(&[("PORT_80", "31000"), ("PORT_HTTP", "abc"), ("PORT_x", "5"), ("PORT_1", "70000")]).unwrap();
        assert_eq!(environment.ports, BTreeMap::from([("80".to_owned(), 31000), ("x".to_owned(), 5)]));
        assert_eq!(environment.warnings.len(), 2);
        assert_eq!(environment.warnings[1], "`PORT_HTTP` is `abc`, not a port from 1 to 65535: not advertised");
    }

    #[test]
    fn b26_a_dot_in_the_clusters_name_is_refused() {
        let error = read(&[("ochopod_cluster", "b.c"), ("ochopod_namespace", "a")]).unwrap_err().to_string();
        assert!(error.starts_with("`ochopod_cluster` is `b.c`"), "{error}");
        assert_eq!(read(&[("ochopod_cluster", "c"), ("ochopod_namespace", "a.b")]).unwrap().cluster.as_str(), "a.b.c");
    }

    #[test]
    fn says_what_is_wrong() {
        let text = |more: &[(&str, &str)]| read(more).unwrap_err().to_string();
        assert!(text(&[("ochopod_cluster", "")]).starts_with("`ochopod_cluster` is ``"));
        assert!(text(&[("ochopod_namespace", "a/b")]).starts_with("`ochopod_namespace` is `a/b`"));
        assert_eq!(text(&[("ochopod_port", "0")]), "`ochopod_port` is `0`, not a port from 1 to 65535");
        assert_eq!(text(&[("ochopod_bind", "x")]), "`ochopod_bind` is `x`: it can be `machine` or `container`");
        assert_eq!(
            text(&[("MESOS_TASK_ID", "")]),
            "`MESOS_TASK_ID` is not set; Marathon sets it. Elsewhere, set `ochopod_local=true`"
        );
    }

    #[test]
    fn s06_what_steers_the_agent_is_not_a_hint() {
        let environment =
            read(&[("ochopod_control_token", "s"), ("ochopod_zk", "h:1"), ("ochopod_bind", "container"), ("ochopod_x", "y")])
                .unwrap();
        assert_eq!(environment.others, BTreeMap::from([("x".to_owned(), "y".to_owned())]));
        assert_eq!(environment.network, Some(Network::Container));
        assert_eq!(environment.control_token, Token::new("s"));
    }

    #[test]
    fn local_mode_needs_no_marathon() {
        let local =
            Environment::read(&given(&[("ochopod_local", "true"), ("ochopod_application", "a"), ("MARATHON_APP_ID", "/b")]));
        assert_eq!(local.unwrap().application, "a");
        assert!(Environment::read(&given(&[])).is_err());
    }

    proptest! {
        #[test]
        fn any_variables_are_an_answer_not_a_panic(values in prop::collection::vec(".{0,12}", 9)) {
            let names = ["ochopod_cluster", "ochopod_namespace", "ochopod_port", "ochopod_zk", "ochopod_bind", "MARATHON_APP_ID",
                "MESOS_TASK_ID", "PORT_é", "ochopod_"];
            let variables = names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value)).collect();
            let _ = Environment::read(&variables);
        }
    }
}
