//! `/v2/deployments` and `/v2/queue`.

use std::sync::Arc;

use axum::Json;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::{Value, json};

use super::done;
use super::error::{Answer, ApiError};
use super::request::Request;
use crate::scheduler::engine::Engine;
use crate::scheduler::model::id::PathId;
use crate::scheduler::model::time::Timestamp;
use crate::scheduler::reconcile::Queued;
use crate::scheduler::wire::answer;

/// Reasons to decline an offer, in the order of the funnel. Here nothing is offered, so all are zero.
const REASONS: [&str; 10] = [
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "AgentMaintenance",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
    "DeclinedScarceResources",
];

/// `GET /v2/deployments`: a bare array.
pub(crate) fn list(engine: &Arc<Engine>) -> Answer {
    let list: Vec<Value> =
        engine.read(|state| state.deployments.iter().map(|running| answer::deployment(state, running)).collect());
    Ok(Json(list).into_response())
}

/// `DELETE /v2/deployments/{id}`: undo it, or with force leave everything as it stands.
pub(crate) fn cancel(engine: &Arc<Engine>, request: &Request, id: &str) -> Answer {
    let missing = || ApiError::not_found(format!("DeploymentPlan {id} does not exist"));
    if request.flag("force", false) {
        engine.change(|state| state.cancel(id)).ok_or_else(missing)?;
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let result = engine.change(|state| state.roll_back(id, &engine.config.service_ports, Timestamp::now()));
    Ok(done(&result.ok_or_else(missing)??))
}

/// `GET /v2/queue`.
pub(crate) fn queue(engine: &Arc<Engine>, request: &Request) -> Answer {
    let offers = request.params("embed").any(|word| word == "lastUnusedOffers");
    let now = Timestamp::now();
    let queue: Vec<Value> = engine.read(|state| state.queue(now).iter().map(|item| queued(item, now, offers)).collect());
    Ok(Json(json!({ "queue": queue })).into_response())
}

fn queued(item: &Queued, now: Timestamp, offers: bool) -> Value {
    // Rounded up: a delay of half a second is not over yet.
    let left = item.until.map_or(0, |until| until.since(now).as_millis().div_ceil(1000));
    let summary: Vec<Value> = REASONS.iter().map(|reason| json!({ "reason": reason, "declined": 0, "processed": 0 })).collect();
    let mut shown = json!({
        "count": item.count,
        "delay": { "timeLeftSeconds": u64::try_from(left).unwrap_or(u64::MAX), "overdue": item.until.is_none() },
        "since": item.since,
        "processedOffersSummary": {
            "processedOffersCount": 0, "unusedOffersCount": 0,
            "rejectSummaryLastOffers": summary, "rejectSummaryLaunchAttempt": summary,
        },
        "app": answer::plain_app(&item.app),
    });
    if let (true, Some(members)) = (offers, shown.as_object_mut()) {
        members.insert("lastUnusedOffers".into(), json!([]));
    }
    shown
}

/// `DELETE /v2/queue/{id}/delay`.
pub(crate) fn reset_delay(engine: &Arc<Engine>, id: &PathId) -> Answer {
    let reset = engine.change(|state| {
        let waits = state.app(id).cloned().is_some_and(|app| state.queued(&app, Timestamp::now()).is_some());
        if waits {
            state.reset_backoff(id);
        }
        waits
    });
    if reset {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Err(ApiError::not_found(format!("Application {id} not found in tasks queue.")))
}
