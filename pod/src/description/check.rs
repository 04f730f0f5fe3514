//! `ochopod check`: tries a description with a made-up cluster, so that mistakes are found before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ocho_core::PodSeq;
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, Pods};
use crate::description::template::{NETWORK, Scene, TemplateError};
use crate::description::values::{CommandLine, Template};
use crate::description::{Description, DescriptionError};
use crate::environment::Variables;
use crate::hooks::HookError;

/// What a pod would do, in a made-up cluster of three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The program and its arguments, as they would be started; nothing where the model says it.
    pub command: String,
    /// The files that would be written, with their sizes.
    pub files: Vec<(String, usize)>,
    /// The names of the tools.
    pub tools: Vec<String>,
    /// The clusters that it depends on.
    pub dependencies: Vec<String>,
}

impl From<TemplateError> for HookError {
    fn from(error: TemplateError) -> Self {
        Self::new(error.to_string())
    }
}

/// Fills every template in.
///
/// # Errors
/// Where one uses something that no cluster has, with its line.
pub fn outline(description: &Description, mut variables: Variables) -> Result<Outline, DescriptionError> {
    variables.entry(NETWORK.to_owned()).or_insert_with(|| "machine".to_owned());
    let depends_on = description.cluster.depends_on.iter().map(|entry| entry.get_ref().clone());
    let dependencies: Vec<String> = depends_on.collect();
    let scene = Scene::pretend(pretend_cluster(&dependencies, &description.numbers), Arc::new(variables));
    let trial = Trial { description, scene };
    let process = &description.process;
    let command = process.command.as_ref().map(|command| trial.command("command", command)).transpose()?.unwrap_or_default();
    for (name, template) in &process.environment {
        trial.fill_in(&format!("environment `{name}`"), template)?;
    }
    let files = description.file.iter().map(|file| {
        let path = trial.fill_in("the path of a file", &file.get_ref().path)?;
        let text = trial.fill_in(&format!("file `{path}`"), file.get_ref().template())?;
        Ok((path, text.len()))
    });
    let files = files.collect::<Result<_, DescriptionError>>()?;
    trial.others()?;
    let command = if process.shell { format!("/bin/sh -c {}", command.join(" ")) } else { command.join(" ") };
    Ok(Outline { command, files, tools: description.tools.keys().cloned().collect(), dependencies })
}

/// A description and a cluster that was made up for it.
struct Trial<'a> {
    description: &'a Description,
    scene: Scene,
}

impl Trial<'_> {
    fn fill_in(&self, place: &str, template: &Template) -> Result<String, DescriptionError> {
        let Template(text, at) = template;
        self.scene.fill_in(text).map_err(|error| self.description.source.sense(*at, format!("{place}: {error}")))
    }

    fn command(&self, place: &str, command: &CommandLine) -> Result<Vec<String>, DescriptionError> {
        match command {
            CommandLine::Words(words) => words.iter().map(|word| self.fill_in(place, word)).collect(),
            CommandLine::Line(line) => Ok(vec![self.fill_in(place, line)?]),
        }
    }

    fn others(&self) -> Result<(), DescriptionError> {
        let hooks = &self.description.hooks;
        let check = self.description.check.as_ref().map(|check| check.get_ref());
        let metrics = self.description.metrics.as_ref().map(|metrics| metrics.get_ref());
        for (place, command) in [
            ("[hooks]", hooks.can_configure.as_ref()),
            ("[hooks]", hooks.configured.as_ref()),
            ("[hooks]", hooks.signaled.as_ref()),
            ("[hooks]", hooks.tear_down.as_ref()),
            ("[hooks]", hooks.finalize.as_ref()),
            ("[check]", check.and_then(|check| check.command.as_ref())),
            ("[metrics]", metrics.and_then(|metrics| metrics.command.as_ref())),
            ("[probe]", self.description.probe.as_ref().map(|probe| &probe.command)),
        ] {
            if let Some(command) = command {
                self.command(place, command)?;
            }
        }
        for (place, template) in [
            ("[check]", check.and_then(|check| check.http.as_ref())),
            ("[check]", check.and_then(|check| check.tcp.as_ref())),
            ("[metrics]", metrics.and_then(|metrics| metrics.http.as_ref())),
        ] {
            if let Some(template) = template {
                self.fill_in(place, template)?;
            }
        }
        Ok(())
    }
}

/// Three pods, and two of each dependency.
fn pretend_cluster(dependencies: &[String], ports: &BTreeSet<u16>) -> Cluster {
    let pods = |cluster: &str, count: u32| -> Pods {
        (0..count).map(|seq| (format!("{cluster}-{seq}"), pretend_pod(cluster, seq, ports))).collect()
    };
    let dependencies: BTreeMap<String, Pods> = dependencies.iter().map(|name| (name.clone(), pods(name, 2))).collect();
    let key = "pod-1".to_owned();
    Cluster { leader: Some(key.clone()), key, pods: pods("pod", 3), dependencies, seq: PodSeq(1), generation: None }
}

fn pretend_pod(cluster: &str, seq: u32, ports: &BTreeSet<u16>) -> Map<String, Value> {
    let ports: Map<String, Value> = ports.iter().map(|port| (port.to_string(), Value::from(*port))).collect();
    let pod = json!({"seq": seq, "ip": format!("192.0.2.{}", seq + 1), "public": "", "node": "node", "port": "8080", "ports": ports,
        "application": "app", "task": "task", "cluster": cluster, "namespace": "marathon", "zk": "192.0.2.9:2181"});
    match pod {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
