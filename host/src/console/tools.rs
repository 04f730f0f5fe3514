//! `/v1/tools`: which tools there are, and installing, granting, replacing and switching them off.
//!
//! Bodies are values of `ocho_core::tools`. Where a change is refused, nothing changed.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use futures::StreamExt as _;
use ocho_core::ToolName;
use ocho_core::tools::{Activation, GrantsChange, LimitsChange, RollbackOrder, ToolAnswer, ToolList, VERSION};
use ocho_runtime::Grants;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem;
use crate::runs::Runs;
use crate::tools::{InstallOrder, Refusal};

/// A change of grants or limits is a few lines of JSON.
const ORDER_BYTES: usize = 64 * 1024;

/// A component that is too large is read on to here before it is refused, so that a client that is still sending hears why.
const READ_ON: usize = 4;

/// All tools with revision, digest, grants, and the error of those that cannot run.
pub(super) async fn list(State(runs): State<Runs>) -> Response {
    Json(ToolList { version: VERSION, tools: runs.tools().list() }).into_response()
}

/// One tool with its revisions, what it wants and has, and its limits.
pub(super) async fn show(State(runs): State<Runs>, Path(tool): Path<String>) -> Response {
    let Ok(tool) = tool.parse::<ToolName>() else { return no_name(&tool) };
    match runs.tools().show(&tool) {
        Ok(tool) => Json(ToolAnswer { version: VERSION, tool }).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// How a component is to be installed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Install {
    plan: bool,
    force: bool,
    grant: String,
    digest: Option<String>,
    /// A minisign signature file in base64. In the query, since the signature of a request covers that: a header could be taken
    /// off on the way, and a host that takes unsigned tools too would not notice.
    signature: Option<String>,
}

/// Installs the body as the newest revision of a tool, or says with `plan=true` what that would change.
pub(super) async fn install(
    State(runs): State<Runs>,
    Path(tool): Path<String>,
    how: Result<Query<Install>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let how = match how {
        Ok(Query(how)) => how,
        Err(rejected) => return bad_request(&rejected.body_text()),
    };
    let (tool, grant) = match (tool.parse::<ToolName>(), read_grants(&how.grant)) {
        (Ok(tool), Ok(grant)) => (tool, grant),
        (Err(error), _) => return bad_request(&error.to_string()),
        (_, Err(why)) => return bad_request(&why),
    };
    if how.digest.as_ref().is_some_and(|digest| digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return bad_request("`digest` is not a SHA-256 in 64 hexadecimal digits");
    }
    let signature = match signature(&how, &headers) {
        Ok(signature) => signature,
        Err(why) => return bad_request(&why),
    };
    let wasm = match component(&headers, body, runs.tools().component_bytes()).await {
        Ok(wasm) => wasm,
        Err(refused) => return refused,
    };
    let order = InstallOrder { tool, wasm, signature, digest: how.digest, grant, force: how.force };
    answer(if how.plan { runs.tools().plan(order).await } else { runs.tools().install(order).await })
}

/// Makes a kept revision the active one.
pub(super) async fn roll_back(State(runs): State<Runs>, Path(tool): Path<String>, body: Body) -> Response {
    match order::<RollbackOrder>(&tool, body).await {
        Ok((tool, order)) => answer(runs.tools().roll_back(&tool, order.revision).await),
        Err(refused) => refused,
    }
}

/// Grants interfaces and takes others away; with `now` runs in flight of the tool are ended, if it takes something away.
pub(super) async fn set_grants(State(runs): State<Runs>, Path(tool): Path<String>, body: Body) -> Response {
    let (tool, change) = match order::<GrantsChange>(&tool, body).await {
        Ok(order) => order,
        Err(refused) => return refused,
    };
    // A task of its own: a caller that hangs up must not leave runs in flight with what is stored as taken away.
    let done = tokio::spawn(async move { regrant(&runs, &tool, change).await });
    answer(done.await.unwrap_or_else(|error| Err(Refusal::Storage(error.to_string()))))
}

async fn regrant(runs: &Runs, tool: &ToolName, change: GrantsChange) -> Result<Activation, Refusal> {
    let why = format!("{} was revoked", change.revoke);
    let (activation, ends_runs) = runs.tools().set_grants(tool, change).await?;
    Ok(Activation { runs_ended: if ends_runs { runs.end_tool(tool, &why) } else { 0 }, ..activation })
}

/// Sets limits of a tool, or goes back to the host's own.
pub(super) async fn set_limits(State(runs): State<Runs>, Path(tool): Path<String>, body: Body) -> Response {
    match order::<LimitsChange>(&tool, body).await {
        Ok((tool, change)) => answer(runs.tools().set_limits(&tool, change).await),
        Err(refused) => refused,
    }
}

/// Switches a tool off.
pub(super) async fn disable(State(runs): State<Runs>, Path(tool): Path<String>) -> Response {
    let Ok(tool) = tool.parse::<ToolName>() else { return no_name(&tool) };
    answer(runs.tools().set_enabled(&tool, false).await)
}

/// Switches a tool on again.
pub(super) async fn enable(State(runs): State<Runs>, Path(tool): Path<String>) -> Response {
    let Ok(tool) = tool.parse::<ToolName>() else { return no_name(&tool) };
    answer(runs.tools().set_enabled(&tool, true).await)
}

/// Removes an installed tool.
pub(super) async fn remove(State(runs): State<Runs>, Path(tool): Path<String>) -> Response {
    let Ok(tool) = tool.parse::<ToolName>() else { return no_name(&tool) };
    answer(runs.tools().remove(&tool).await)
}

fn answer(outcome: Result<Activation, Refusal>) -> Response {
    match outcome {
        Ok(activation) => Json(activation).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Unknown(_) => StatusCode::NOT_FOUND,
        Refusal::NotAComponent(_) | Refusal::Limits { .. } | Refusal::Contradiction(_) => StatusCode::BAD_REQUEST,
        Refusal::Signature(_) => StatusCode::FORBIDDEN,
        Refusal::Digest { .. } | Refusal::Protected(_) | Refusal::NoRevision(_) => StatusCode::CONFLICT,
        Refusal::Misfits(_) | Refusal::Link(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, refusal.code(), &refusal.to_string())
}

fn bad_request(why: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, "request", why)
}

/// What cannot be a name is the name of no tool.
fn no_name(tool: &str) -> Response {
    let tool: String = tool.chars().take(80).collect();
    problem(StatusCode::NOT_FOUND, "no-such-tool", &format!("there is no tool `{tool}`"))
}

fn read_grants(list: &str) -> Result<Grants, String> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|error: ocho_runtime::UnknownInterface| error.to_string())).collect()
}

/// The text of the signature file, from base64 in the usual alphabet or that of URLs.
fn signature(how: &Install, headers: &HeaderMap) -> Result<Option<String>, String> {
    if headers.contains_key("x-ocho-minisig") {
        return Err("a signature file comes as `signature=BASE64` in the query, not in a header".to_owned());
    }
    let Some(base64) = &how.signature else { return Ok(None) };
    let wrong = || "`signature` is not the base64 of a minisign signature file".to_owned();
    // A `+` that somebody did not encode is a blank by now.
    let base64 = base64.trim_end_matches('=').replace(['-', ' '], "+").replace('_', "/");
    let text = STANDARD_NO_PAD.decode(base64).map_err(|_| wrong())?;
    String::from_utf8(text).map(Some).map_err(|_| wrong())
}

/// The body, if it is not larger than a component may be.
async fn component(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, Response> {
    let (mut kept, mut bytes, mut chunks) = (Vec::new(), 0_usize, body.into_data_stream());
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_too_large = |bytes: usize| bytes > most || announced.is_some_and(|announced| announced > most);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| bad_request(&format!("the component did not come whole: {error}")))?;
        bytes = bytes.saturating_add(chunk.len());
        if bytes > most.saturating_mul(READ_ON) {
            break;
        }
        if !is_too_large(bytes) {
            kept.extend_from_slice(&chunk);
        }
    }
    if is_too_large(bytes) {
        let why = format!("the component is larger than the {} MiB that this host takes (--tool-size-limit)", most >> 20);
        return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &why));
    }
    Ok(Bytes::from(kept))
}

/// The tool of the path, and the order of the body; an empty body is an order with nothing in it.
async fn order<T: DeserializeOwned + Default>(tool: &str, body: Body) -> Result<(ToolName, T), Response> {
    let tool = tool.parse::<ToolName>().map_err(|_| no_name(tool))?;
    let body = axum::body::to_bytes(body, ORDER_BYTES).await.map_err(|error| bad_request(&error.to_string()))?;
    if body.trim_ascii().is_empty() {
        return Ok((tool, T::default()));
    }
    serde_json::from_slice(&body).map(|order| (tool, order)).map_err(|error| bad_request(&format!("the body: {error}")))
}
