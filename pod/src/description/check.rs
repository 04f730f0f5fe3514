//! `ochopod check`: tries a description with a made-up cluster, so that mistakes are found before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ocho_core::PodSeq;
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, Pods};
use crate::command::program;
use crate::description::Description;
use crate::description::template::{NETWORK, Scene, TemplateError};
use crate::environment::Variables;
use crate::hooks::HookError;
use crate::hooks::described::fill_in_command;

/// What a pod would do, in a made-up cluster of three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The program and its arguments, as they would be started.
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
/// Where one uses something that no cluster has.
pub fn outline(description: &Description, mut variables: Variables) -> Result<Outline, HookError> {
    variables.entry(NETWORK.to_owned()).or_insert_with(|| "machine".to_owned());
    let depends_on = description.cluster.depends_on.iter().map(|entry| entry.get_ref().clone());
    let dependencies: Vec<String> = depends_on.collect();
    let scene = Scene::pretend(pretend_cluster(&dependencies, &description.numbers), Arc::new(variables));
    let process = &description.process;
    let command = fill_in_command(&process.command, process.shell, Some(&scene)).map_err(|error| within("command", &error))?;
    for (name, template) in &process.environment {
        scene.fill_in(&template.0).map_err(|error| within(&format!("environment `{name}`"), &error))?;
    }
    let mut files = Vec::new();
    for file in &description.file {
        let path = scene.fill_in(&file.get_ref().path.0).map_err(|error| within("the path of a file", &error))?;
        let text = scene.fill_in(&file.get_ref().template().0).map_err(|error| within(&format!("file `{path}`"), &error))?;
        files.push((path, text.len()));
    }
    try_others(description, &scene)?;
    let shown = match &command {
        crate::hooks::Command::Words(words) => words.join(" "),
        crate::hooks::Command::Shell(line) => format!("{} -c {line}", program(&command)),
    };
    Ok(Outline { command: shown, files, tools: description.tools.keys().cloned().collect(), dependencies })
}

fn try_others(description: &Description, scene: &Scene) -> Result<(), HookError> {
    let hooks = &description.hooks;
    let later = [&hooks.can_configure, &hooks.configured, &hooks.signaled, &hooks.tear_down, &hooks.finalize];
    for command in later.into_iter().flatten() {
        fill_in_command(command, hooks.shell, Some(scene)).map_err(|error| within("[hooks]", &error))?;
    }
    let check = description.check.as_ref().map(|check| check.get_ref());
    let metrics = description.metrics.as_ref().map(|metrics| metrics.get_ref());
    let urls = [
        check.and_then(|check| check.http.as_ref()),
        check.and_then(|check| check.tcp.as_ref()),
        metrics.and_then(|metrics| metrics.http.as_ref()),
    ];
    for url in urls.into_iter().flatten() {
        scene.fill_in(&url.0).map_err(|error| within("[check] or [metrics]", &error))?;
    }
    for (name, command) in [
        ("[check]", check.and_then(|check| check.command.as_ref())),
        ("[metrics]", metrics.and_then(|metrics| metrics.command.as_ref())),
        ("[probe]", description.probe.as_ref().map(|probe| &probe.command)),
    ] {
        if let Some(command) = command {
            fill_in_command(command, false, Some(scene)).map_err(|error| within(name, &error))?;
        }
    }
    Ok(())
}

fn within(place: &str, error: &dyn fmt::Display) -> HookError {
    HookError::new(format!("{place}: {error}"))
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
