//! Whether a new task may take over from an old one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::scheduler::engine::Engine;
use crate::scheduler::model::app::{ReadinessCheck, ReadinessProtocol};
use crate::scheduler::model::task::{ReadinessResponse, Task};

/// So much of a body is kept for those who ask.
const BODY_KEPT: usize = 16 * 1024;

/// Asks until the first good answer; only while a deployment waits for it.
pub(super) async fn until_ready(engine: &Arc<Engine>, task: &Task) {
    let Some(check) = task.app.spec.readiness_checks.first() else { return };
    loop {
        let begun = Instant::now();
        if engine.read(|state| state.deployments_of(task.app_id()).next().is_some()) && ask(engine, task, check).await {
            return;
        }
        sleep_until(begun + Duration::from_secs(check.interval_seconds.into())).await;
    }
}

async fn ask(engine: &Arc<Engine>, task: &Task, check: &ReadinessCheck) -> bool {
    let limit = Duration::from_secs(check.timeout_seconds.into());
    let response = match timeout(limit, get(engine, task, check)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::debug!(task = task.id, error, "not ready");
            return false;
        }
        Err(_) => return false,
    };
    let ready = check.http_status_codes_for_ready.contains(&response.status);
    let kept = check.preserve_last_response.then_some(response);
    engine.change(|state| {
        state.change_findings(&task.id, |task| task.readiness = kept);
        if ready {
            state.change_task(&task.id, |task| task.ready = true);
        }
    });
    ready
}

async fn get(engine: &Arc<Engine>, task: &Task, check: &ReadinessCheck) -> Result<ReadinessResponse, String> {
    let names = task.app.spec.port_names();
    let index = names.iter().position(|name| *name == Some(check.port_name.as_str()));
    let port = index.and_then(|index| task.ports.get(index)).ok_or("the task has no such port")?;
    let scheme = match check.protocol {
        ReadinessProtocol::Http => "http",
        ReadinessProtocol::Https => "https",
    };
    let slash = if check.path.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://127.0.0.1:{port}{slash}{}", check.path);
    let mut response = engine.probes.status(&url).await?;
    let header = response.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = header.unwrap_or("text/plain").to_owned();
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = BODY_KEPT.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() >= BODY_KEPT {
            break;
        }
    }
    Ok(ReadinessResponse { status, content_type, body: String::from_utf8_lossy(&body).into_owned() })
}
