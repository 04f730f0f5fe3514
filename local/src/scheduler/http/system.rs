//! What an operator asks: ping, info, leader, metrics, configuration.

use std::sync::Arc;

use axum::Json;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::error::{Answer, ApiError};
use super::request::Request;
use crate::scheduler::engine::Engine;
use crate::scheduler::model::task::{Task, TaskState};
use crate::scheduler::model::time::Timestamp;

/// The version of the interface that is spoken.
pub(crate) const VERSION: &str = "1.11.26";

/// Settings of the real thing that clients expect to find, without value.
const MARATHON_CONFIG: [&str; 41] = [
    "access_control_allow_origin",
    "checkpoint",
    "decline_offer_duration",
    "default_network_name",
    "env_vars_prefix",
    "executor",
    "failover_timeout",
    "features",
    "framework_name",
    "ha",
    "hostname",
    "launch_token",
    "launch_token_refresh_interval",
    "leader_proxy_connection_timeout_ms",
    "leader_proxy_read_timeout_ms",
    "local_port_max",
    "local_port_min",
    "maintenance_mode",
    "master",
    "max_instances_per_offer",
    "mesos_bridge_name",
    "mesos_heartbeat_failure_threshold",
    "mesos_heartbeat_interval",
    "mesos_leader_ui_url",
    "mesos_role",
    "mesos_user",
    "min_revive_offers_interval",
    "new_group_enforce_role",
    "offer_matching_timeout",
    "on_elected_prepare_timeout",
    "reconciliation_initial_delay",
    "reconciliation_interval",
    "scale_apps_initial_delay",
    "scale_apps_interval",
    "store_cache",
    "task_launch_confirm_timeout",
    "task_launch_timeout",
    "task_lost_expunge_initial_delay",
    "task_lost_expunge_interval",
    "task_reservation_timeout",
    "webui_url",
];

const ZOOKEEPER_CONFIG: [&str; 7] = [
    "zk",
    "zk_compression",
    "zk_compression_threshold",
    "zk_connection_timeout",
    "zk_max_node_size",
    "zk_session_timeout",
    "zk_timeout",
];

/// `GET /ping`: a word, or the same word as JSON.
pub(crate) fn ping(request: &Request) -> Answer {
    for media in request.accepted() {
        match media {
            "*/*" | "text/*" | "text/plain" | "text/html" => return Ok(([(CONTENT_TYPE, "text/plain")], "pong").into_response()),
            "application/json" | "application/*" => return Ok(Json("pong").into_response()),
            _ => {}
        }
    }
    let silent = request.accepted().next().is_none();
    if silent { Ok(([(CONTENT_TYPE, "text/plain")], "pong").into_response()) } else { Ok(StatusCode::NO_CONTENT.into_response()) }
}

fn leader_of(engine: &Engine) -> String {
    engine.address.to_string()
}

/// `GET /v2/info`.
pub(crate) fn info(engine: &Arc<Engine>) -> Answer {
    let blank = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>();
    let mut marathon = blank(&MARATHON_CONFIG);
    marathon.insert("framework_name".into(), "marathon".into());
    marathon.insert("hostname".into(), engine.config.hostname.as_str().into());
    marathon.insert("ha".into(), false.into());
    marathon.insert("local_port_min".into(), (*engine.config.service_ports.start()).into());
    marathon.insert("local_port_max".into(), (*engine.config.service_ports.end()).into());
    marathon.insert("features".into(), json!([]));
    let mut zookeeper = blank(&ZOOKEEPER_CONFIG);
    zookeeper.insert("zk".into(), format!("zk://{}/", engine.config.zookeeper).into());
    zookeeper.insert("zk_max_versions".into(), crate::scheduler::state::VERSIONS_KEPT.into());
    let info = json!({
        "name": "marathon",
        "version": VERSION,
        "buildref": concat!("ocho-", env!("CARGO_PKG_VERSION")),
        "elected": true,
        "leader": leader_of(engine),
        "frameworkId": "ocho-local",
        "marathon_config": marathon,
        "zookeeper_config": zookeeper,
        "http_config": { "http_port": engine.address.port(), "https_port": null },
    });
    Ok(Json(info).into_response())
}

/// `GET /v2/leader`.
pub(crate) fn leader(engine: &Arc<Engine>) -> Answer {
    Ok(Json(json!({ "leader": leader_of(engine) })).into_response())
}

/// `DELETE /v2/leader`: there is one engine, so nothing changes hands.
pub(crate) fn abdicate() -> Answer {
    Ok(Json(json!({ "message": "Leadership abdicated" })).into_response())
}

/// `GET /v2/plugins`: there are none.
pub(crate) fn plugins() -> Answer {
    Ok(Json(json!({ "plugins": [] })).into_response())
}

/// Any call to a plugin.
pub(crate) fn no_plugin(id: &str) -> Answer {
    Err(ApiError::not_found(format!("No plugin with this pluginId: {id}")))
}

/// Names and values of the gauges.
fn gauges(engine: &Engine) -> Vec<(&'static str, u64)> {
    let uptime = Timestamp::now().since(engine.started).as_secs();
    engine.read(|state| {
        let count = |fits: fn(&Task) -> bool| state.tasks().filter(|task| fits(task)).count() as u64;
        vec![
            ("marathon.apps.active.gauge", state.root.apps.len() as u64),
            ("marathon.groups.active.gauge", state.root.groups.len() as u64),
            ("marathon.deployments.active.gauge", state.deployments.len() as u64),
            ("marathon.instances.running.gauge", count(|task| task.state == TaskState::Running)),
            ("marathon.instances.staged.gauge", count(|task| task.state == TaskState::Staging)),
            ("marathon.uptime.gauge.seconds", uptime),
        ]
    })
}

/// `GET /metrics`.
pub(crate) fn metrics(engine: &Arc<Engine>) -> Answer {
    let gauges: serde_json::Map<String, Value> =
        gauges(engine).into_iter().map(|(name, value)| (name.to_owned(), json!({ "value": value }))).collect();
    let metrics = json!({
        "version": "4.0.0", "counters": {}, "gauges": gauges, "histograms": {}, "meters": {}, "timers": {},
    });
    Ok(Json(metrics).into_response())
}

/// `GET /metrics/prometheus`.
pub(crate) fn prometheus(engine: &Arc<Engine>) -> Answer {
    let text: String = gauges(engine)
        .into_iter()
        .map(|(name, value)| {
            let name = name.replace('.', "_");
            format!("# TYPE {name} gauge\n{name} {value}\n")
        })
        .collect();
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// `GET /config`.
pub(crate) fn config(engine: &Arc<Engine>) -> Answer {
    let config = &engine.config;
    let shown = json!({
        "hostname": config.hostname,
        "http_port": engine.address.port(),
        "task_ports": [config.task_ports.start(), config.task_ports.end()],
        "local_port_min": config.service_ports.start(),
        "local_port_max": config.service_ports.end(),
        "kill_grace_ms": u64::try_from(config.kill_grace.as_millis()).unwrap_or(u64::MAX),
        "output_bytes": config.output_bytes,
        "zk": format!("zk://{}/", config.zookeeper),
    });
    Ok(Json(shown).into_response())
}

/// `/v2/eventSubscriptions`, from before there was a stream: answered as by one that was started without it.
pub(crate) fn no_callbacks() -> Answer {
    Err(ApiError::bad_request(
        "http event callback system is not running on this Marathon instance. Follow the event stream at /v2/events instead.",
    ))
}
