//! From an application to the container that a Docker engine is asked for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::memory;
use crate::scheduler::model::app::{AppSpec, NetworkMode, VolumeKind};
use crate::scheduler::model::task::Task;

/// Where the task's folder is seen inside the container, as in the real thing.
pub(crate) const SANDBOX: &str = "/mnt/mesos/sandbox";

/// The name of a task's container.
pub(crate) fn name_of(task: &Task) -> String {
    format!("ocho-{}", task.id)
}

/// The body of the request that creates the container.
pub(crate) fn create(task: &Task, env: &BTreeMap<String, String>, sandbox: &str) -> Result<Value, String> {
    let spec = &task.app.spec;
    let image = spec.image().ok_or("the application has no image")?;
    let env: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut body = json!({
        "Image": image,
        "Env": env,
        "Labels": { "ocho.task": task.id, "ocho.app": task.app_id() },
        "AttachStdin": false,
        "Tty": spec.tty.unwrap_or(false),
        "HostConfig": host_config(task, sandbox)?,
    });
    let members = body.as_object_mut().ok_or("no object")?;
    if let Some(cmd) = &spec.cmd {
        members.insert("Entrypoint".into(), json!(["/bin/sh"]));
        members.insert("Cmd".into(), json!(["-c", cmd]));
    } else if !spec.args.is_empty() {
        members.insert("Cmd".into(), json!(spec.args));
    }
    if let Some(user) = &spec.user {
        members.insert("User".into(), user.as_str().into());
    }
    let ports: Map<String, Value> = ports(task).map(|(port, _)| (port, json!({}))).collect();
    members.insert("ExposedPorts".into(), ports.into());
    for parameter in spec.container.iter().filter_map(|container| container.docker.as_ref()).flat_map(|docker| &docker.parameters)
    {
        add_parameter(members, &parameter.key, &parameter.value)?;
    }
    Ok(body)
}

fn host_config(task: &Task, sandbox: &str) -> Result<Value, String> {
    let spec = &task.app.spec;
    let docker = spec.container.as_ref().and_then(|container| container.docker.as_ref());
    let bindings: Map<String, Value> =
        ports(task).map(|(port, host)| (port, json!([{ "HostIp": "127.0.0.1", "HostPort": host.to_string() }]))).collect();
    let mut config = json!({
        "Binds": binds(spec, sandbox)?,
        "NetworkMode": network(spec),
        "PortBindings": bindings,
        "Privileged": docker.is_some_and(|docker| docker.privileged),
        // The casts saturate.
        "CpuShares": ((spec.cpus * 1024.0) as i64).max(2),
        "RestartPolicy": { "Name": "no" },
    });
    if let (Some(limit), Some(members)) =
        (memory::limit_of(spec).and_then(|limit| i64::try_from(limit).ok()), config.as_object_mut())
    {
        members.insert("Memory".into(), limit.into());
        members.insert("MemorySwap".into(), limit.into());
    }
    Ok(config)
}

fn network(spec: &AppSpec) -> &str {
    match spec.networks.first() {
        Some(network) if network.mode == NetworkMode::Bridge => "bridge",
        Some(network) if network.mode == NetworkMode::Container => network.name.as_deref().unwrap_or("bridge"),
        _ => "host",
    }
}

fn binds(spec: &AppSpec, sandbox: &str) -> Result<Vec<String>, String> {
    let mut binds = vec![format!("{sandbox}:{SANDBOX}:rw")];
    for volume in spec.container.iter().flat_map(|container| &container.volumes) {
        match &volume.kind {
            VolumeKind::Host { host_path, mode } => {
                binds.push(format!("{host_path}:{}:{}", volume.container_path, mode.to_ascii_lowercase()));
            }
            _ => return Err(format!("the volume `{}` is of a kind that this engine does not have", volume.container_path)),
        }
    }
    Ok(binds)
}

/// Ports of the container, `8080/tcp`, and the host ports that lead there. None when it shares the machine's network.
fn ports(task: &Task) -> impl Iterator<Item = (String, u16)> {
    let needs = if task.app.spec.is_host_mode() { Vec::new() } else { task.app.ports() };
    let pairs: Vec<_> = needs.into_iter().zip(task.ports.clone()).collect();
    pairs.into_iter().flat_map(|(need, host)| {
        let port = if need.asked == 0 { host } else { need.asked };
        let kinds = [("tcp", need.tcp), ("udp", need.udp)];
        kinds.into_iter().filter(|(_, spoken)| *spoken).map(move |(kind, _)| (format!("{port}/{kind}"), host))
    })
}

/// Options of Docker's command line that have an equal in its interface. Others are refused, not lost.
fn add_parameter(body: &mut Map<String, Value>, key: &str, value: &str) -> Result<(), String> {
    let mut push = |place: &[&str]| push_at(body, place, value);
    match key {
        "env" => push(&["Env"]),
        "volume" => push(&["HostConfig", "Binds"]),
        "add-host" => push(&["HostConfig", "ExtraHosts"]),
        "cap-add" => push(&["HostConfig", "CapAdd"]),
        "cap-drop" => push(&["HostConfig", "CapDrop"]),
        "dns" => push(&["HostConfig", "Dns"]),
        "hostname" => drop(body.insert("Hostname".into(), value.into())),
        "workdir" => drop(body.insert("WorkingDir".into(), value.into())),
        "user" => drop(body.insert("User".into(), value.into())),
        "entrypoint" => drop(body.insert("Entrypoint".into(), json!([value]))),
        "label" => {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            if let Some(labels) = body.get_mut("Labels").and_then(Value::as_object_mut) {
                labels.insert(name.to_owned(), value.into());
            }
        }
        other => return Err(format!("the Docker parameter `{other}` is not supported here")),
    }
    Ok(())
}

fn push_at(body: &mut Map<String, Value>, place: &[&str], value: &str) {
    let [outer @ .., last] = place else { return };
    let mut at = body;
    for name in outer {
        let Some(next) = at.entry(*name).or_insert_with(|| json!({})).as_object_mut() else { return };
        at = next;
    }
    if let Some(list) = at.entry(*last).or_insert_with(|| json!([])).as_array_mut() {
        list.push(value.into());
    }
}
